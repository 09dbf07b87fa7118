/** How a handler and its stream notice that a client has gone. */

import { assertEquals, assertLess, assertRejects } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { TcpStream } from "../../src/net/tcp_stream.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { endless, Source, streamOf } from "../util/http_bodies.ts";
import { RawClient, ResettingClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { eventually, within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

/** More bytes than the server reads of an unread body. */
const PAUSING_BYTES = 100_000;

/** The aborts of one request's signal. */
class Witness {
  /** The request. */
  request: Request | undefined;
  /** The reasons of its aborts. */
  readonly aborts: unknown[] = [];
  readonly #begun = Promise.withResolvers<void>();
  readonly #aborted = Promise.withResolvers<void>();

  /** Returns a handler that watches the signals of all requests but HEAD. */
  handler(answer: Handler): Handler {
    return (request, info) => {
      if (request.method === "HEAD") return new Response();
      this.request = request;
      const { signal } = request;
      signal.addEventListener("abort", () => {
        this.aborts.push(signal.reason);
        this.#aborted.resolve();
      });
      this.#begun.resolve();
      return answer(request, info);
    };
  }

  /** Resolves when the handler was called. */
  get begun(): Promise<void> {
    return within(this.#begun.promise, "the handler");
  }

  /** Resolves when the signal has aborted. */
  get aborted(): Promise<void> {
    return within(this.#aborted.promise, "the signal to abort");
  }

  /** The names of the reasons of its aborts. */
  get reasons(): string[] {
    return this.aborts.map((reason) => (reason as Error).name);
  }
}

/** Resolves to the reason when a stream was cancelled. */
async function cancelOf(cancelled: unknown[]): Promise<unknown[]> {
  await eventually("the stream to be cancelled", () => cancelled.length > 0);
  return cancelled;
}

cleanTest(
  "signal aborts and the answer is sent, when the client ends its half while the handler is pending",
  async () => {
    const witness = new Witness();
    const go = Promise.withResolvers<Response>();
    await using test = new TestServer(witness.handler(() => go.promise));
    const client = await test.connect();
    await client.send(GET);
    await witness.begun;
    assertEquals(witness.aborts, []);
    await client.end();
    await witness.aborted;
    go.resolve(new Response("static"));
    assertEquals((await client.rest())[0]?.text, "static");
    assertEquals(witness.reasons, ["AbortError"]);
  },
);

for (const how of ["closes", "resets"]) {
  cleanTest(
    `signal aborts and a late stream is cancelled, when the client ${how} while the handler is pending`,
    async () => {
      const witness = new Witness();
      const go = Promise.withResolvers<Response>();
      await using test = new TestServer(witness.handler(() => go.promise));
      const { addr } = test.server;
      using client = new ResettingClient(addr);
      using closing = await RawClient.connect(addr);
      await (how === "closes" ? closing : client).send(GET);
      await witness.begun;
      if (how === "closes") closing.close();
      else client.reset();
      await witness.aborted;
      const { stream, cancelled, pulled } = endless(new Uint8Array(65_536));
      go.resolve(new Response(stream));
      assertEquals(await cancelOf(cancelled), ["resource closed"]);
      // Some bytes may be written before a reset arrives.
      if (how === "resets") assertEquals(pulled(), 0);
      assertEquals(witness.reasons, ["AbortError"]);
    },
  );
}

cleanTest(
  "signal aborts, when the client ends behind an upload that the handler does not read",
  async () => {
    const witness = new Witness();
    const go = Promise.withResolvers<void>();
    await using test = new TestServer(witness.handler(async (request) => {
      await go.promise;
      return new Response(String((await request.bytes()).byteLength));
    }));
    const client = await test.connect();
    await client.send(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${PAUSING_BYTES}\r\n\r\n`,
    );
    await client.send(new Uint8Array(PAUSING_BYTES));
    await witness.begun;
    await client.end();
    await witness.aborted;
    go.resolve();
    assertEquals((await client.rest())[0]?.text, String(PAUSING_BYTES));
    assertEquals(witness.aborts.length, 1);
  },
);

cleanTest(
  "signal aborts, when the client goes behind an upload that the handler does not read",
  async () => {
    const witness = new Witness();
    const go = Promise.withResolvers<Response>();
    await using test = new TestServer(witness.handler(() => go.promise));
    using client = await RawClient.connect(test.server.addr);
    await client.send(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 * PAUSING_BYTES}` +
        "\r\n\r\n",
    );
    await client.send(new Uint8Array(PAUSING_BYTES));
    await witness.begun;
    client.close();
    await witness.aborted;
    go.resolve(new Response());
    await assertRejects(() => witness.request!.text());
  },
);

cleanTest(
  "signal aborts and the stream goes on, when a client that does not read ends its half",
  async () => {
    const witness = new Witness();
    const LENGTH = 16 * 1_048_576;
    const { stream, cancelled } = streamOf(
      ...Array.from({ length: 16 }, () => new Uint8Array(LENGTH / 16)),
    );
    await using test = new TestServer(
      witness.handler(() => new Response(stream)),
    );
    const client = await test.connect();
    await client.send(GET);
    const { reactor } = test;
    await eventually("bytes to wait", () => reactor.stats().memoryBytes > 0);
    await client.end();
    await witness.aborted;
    const [answer] = await client.rest();
    assertEquals(answer?.body.byteLength, LENGTH);
    assertEquals(cancelled, []);
    assertEquals(witness.aborts.length, 1);
  },
);

cleanTest(
  "signal aborts and the stream is cancelled, when a client that does not read resets",
  async () => {
    const witness = new Witness();
    const { stream, cancelled } = endless(new Uint8Array(65_536));
    await using test = new TestServer(
      witness.handler(() => new Response(stream)),
    );
    using client = new ResettingClient(test.server.addr);
    client.pause();
    await client.send(GET);
    const { reactor } = test;
    await eventually("bytes to wait", () => reactor.stats().memoryBytes > 0);
    client.reset();
    await witness.aborted;
    assertEquals(await cancelOf(cancelled), ["resource closed"]);
    assertEquals(witness.reasons, ["AbortError"]);
  },
);

cleanTest(
  "a stream goes on to its end, when the client ends its half and it gives something",
  async () => {
    const witness = new Witness();
    const source = new Source();
    await using test = new TestServer(
      witness.handler(() => new Response(source.stream)),
    );
    const client = await test.connect();
    await client.send(GET);
    await witness.begun;
    await client.end();
    await witness.aborted;
    for (const text of ["one", "two"]) {
      source.give(text);
      await test.exercise(1);
    }
    source.close();
    assertEquals((await client.rest())[0]?.text, "onetwo");
    assertEquals(source.cancelled, []);
  },
);

for (const how of ["ends its half", "closes"]) {
  cleanTest(
    `a stream that gives nothing is cancelled, when the client ${how}`,
    async () => {
      const witness = new Witness();
      const source = new Source().give("first");
      await using test = new TestServer(
        witness.handler(() => new Response(source.stream)),
      );
      using client = await RawClient.connect(test.server.addr);
      await client.send(GET);
      const head = await client.read();
      if (how === "closes") client.close();
      else await client.end();
      await witness.aborted;
      assertEquals(await cancelOf(source.cancelled), ["resource closed"]);
      // The client notices that bytes are missing.
      const rest = how === "closes" ? [] : await client.restBytes();
      assertEquals(rest.length, 0);
      assertLess(0, head!.byteLength);
      await eventually("the connection to end", () => test.reactor.size === 1);
      assertEquals(source.cancelled.length, 1);
      assertEquals(witness.reasons, ["AbortError"]);
      assertEquals(test.errors, []);
    },
  );
}

cleanTest(
  "a stream that gives something is cancelled, when the client has closed",
  async () => {
    const witness = new Witness();
    const source = new Source().give("first");
    await using test = new TestServer(
      witness.handler(() => new Response(source.stream)),
    );
    using client = await RawClient.connect(test.server.addr);
    await client.send(GET);
    await client.read();
    client.close();
    await witness.aborted;
    // Bytes to a client that has gone are answered by a reset.
    await eventually("the stream to be cancelled", () => {
      if (source.cancelled.length > 0) return true;
      source.give("more");
      return false;
    });
    assertEquals(source.cancelled, ["resource closed"]);
  },
);

cleanTest(
  "signal stays as it is, when the client goes after a whole answer",
  async () => {
    const witnesses = [new Witness(), new Witness()];
    const handlers = [
      witnesses[0]!.handler(() => new Response("static")),
      witnesses[1]!.handler(() => new Response(streamOf("stream").stream)),
    ];
    await using test = new TestServer((request, info) =>
      handlers.shift()!(request, info)
    );
    using client = await RawClient.connect(test.server.addr);
    for (const text of ["static", "stream"]) {
      await client.send(GET);
      assertEquals((await client.answer()).text, text);
    }
    client.close();
    await eventually("the connection to end", () => test.reactor.size === 1);
    for (const { request, aborts } of witnesses) {
      assertEquals(request?.signal.aborted, false);
      assertEquals(aborts, []);
    }
  },
);

cleanTest(
  "server goes on, when a cancelled stream throws",
  async () => {
    const calls: unknown[] = [];
    const stream = new ReadableStream({
      cancel(reason) {
        calls.push(reason);
        throw new Error("cancel failed");
      },
    });
    const witness = new Witness();
    await using test = new TestServer(
      witness.handler(() => new Response(stream)),
    );
    using client = new ResettingClient(test.server.addr);
    await client.send(GET);
    await witness.begun;
    client.reset();
    assertEquals(await cancelOf(calls), ["resource closed"]);
    await test.exercise(1);
    assertEquals(test.errors, []);
  },
);

cleanTest(
  "a request that came whole is handled, though a reset came behind it",
  async () => {
    const CLIENTS = 100;
    const bodies: string[] = [];
    await using server = new TestServer(async (request) => {
      bodies.push(await request.text());
      return new Response();
    });
    const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for (let index = 0; index < CLIENTS; index++) {
      // All bytes arrive before the server reads.
      const client = TcpStream.connect(server.server.addr);
      client.write(new TextEncoder().encode(post));
      client.resetOnClose = true;
      client.close();
    }
    await eventually("all requests", () => bodies.length === CLIENTS);
    assertEquals(new Set(bodies), new Set(["hello"]));
    await eventually(
      "all connections to end",
      () => server.reactor.stats().open === 0,
    );
  },
);

cleanTest(
  "an endless stream is cancelled when the client resets, though its body waits unread",
  async () => {
    const { stream, cancelled } = endless(new Uint8Array(1_000));
    await using server = new TestServer(() => new Response(stream));
    const client = TcpStream.connect(server.server.addr);
    const body = "-".repeat(PAUSING_BYTES);
    const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}`;
    client.write(new TextEncoder().encode(`${head}\r\n\r\n${body}`));
    await eventually("an answer", () => client.unreadBytes > 0);
    client.resetOnClose = true;
    client.close();
    await cancelOf(cancelled);
  },
);
