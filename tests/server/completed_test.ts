/**
 * `info.completed`: answers that were handed over, and answers that never are.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import type { Handler, ServeHandlerInfo } from "../../src/http/service.ts";
import type { ServeOptions } from "../../src/server/http_server.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { ConsoleWatch } from "../util/console.ts";
import { ResettingClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

/** A server that keeps the result of `completed` of each request. */
class WatchedServer extends TestServer {
  /** `completed` of each request, in order, read before the handler runs. */
  readonly completed: Promise<void>[] = [];
  /** The number of promises that have resolved. */
  whole = 0;
  /** Resolves when the first request has begun. */
  readonly begun: Promise<void>;

  constructor(handler: Handler, options: ServeOptions = {}) {
    const { promise, resolve } = Promise.withResolvers<void>();
    super((request, info) => {
      const { completed } = info;
      completed.then(() => this.whole++, () => {});
      this.completed.push(completed);
      resolve();
      return handler(request, info);
    }, options);
    this.begun = promise;
  }

  /** Waits until the answers were handed over. */
  async expectWhole(count: number): Promise<void> {
    await within(Promise.all(this.completed), "the answers to be whole");
    assertEquals(this.completed.length, count);
  }

  /** Waits until the only answer has failed, and returns the error. */
  expectLost(): Promise<Error> {
    assertEquals(this.completed.length, 1);
    return assertRejects(
      () => within(this.completed[0]!, "the answer to be lost"),
      Deno.errors.Interrupted,
      "HTTP response was not sent successfully",
    );
  }
}

const WHOLE: [name: string, handler: Handler, method?: string][] = [
  ["is text", () => new Response("text")],
  ["is bytes", () => new Response(new Uint8Array(100_000))],
  ["has no body", () => new Response(null, { status: 204 })],
  ["comes later", async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return new Response("text");
  }],
  ["is a stream", () => new Response(new Blob(["text"]).stream())],
  ["is to HEAD", () => new Response("text"), "HEAD"],
  [
    "is a stream to HEAD",
    () => new Response(new Blob(["text"]).stream()),
    "HEAD",
  ],
  ["comes from onError", () => {
    throw new Error("failed");
  }],
  ["comes later from onError", () => Promise.reject(new Error("failed"))],
];

for (const [name, handler, method = "GET"] of WHOLE) {
  cleanTest(`completed resolves, when the answer ${name}`, async () => {
    await using test = new WatchedServer(handler);
    const client = await test.connect();
    for (let sent = 1; sent <= 2; sent++) {
      await client.send(GET.replace("GET", method));
      await client.answer(method);
      await test.expectWhole(sent);
    }
  });
}

cleanTest(
  "completed resolves, when several requests were pipelined",
  async () => {
    await using test = new WatchedServer(() => new Response("text"));
    const client = await test.connect();
    await client.send(GET.repeat(20));
    await client.answers(20);
    await test.expectWhole(20);
  },
);

cleanTest(
  "completed resolves, when the body is too large and 413 is sent",
  async () => {
    await using test = new WatchedServer(
      async (request) => new Response(await request.text()),
      { bodyBytesMax: 4 },
    );
    const client = await test.connect();
    await client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    await test.begun;
    await client.send("5\r\nhello\r\n0\r\n\r\n");
    assertEquals((await client.rest()).map(({ status }) => status), [413]);
    await test.expectWhole(1);
  },
);

cleanTest(
  "completed waits for the end, when the answer is a stream",
  async () => {
    const { readable, writable } = new TransformStream<
      Uint8Array,
      Uint8Array
    >();
    await using test = new WatchedServer(() => new Response(readable));
    const response = await test.fetch();
    const writer = writable.getWriter();
    await writer.write(new Uint8Array(1));
    await new Promise((resolve) => setImmediate(resolve));
    assertEquals(test.whole, 0);
    await writer.close();
    await response.arrayBuffer();
    await test.expectWhole(1);
  },
);

cleanTest(
  "completed rejects, when the client goes before the answer",
  async () => {
    const gate = Promise.withResolvers<void>();
    await using test = new WatchedServer(async () => {
      await gate.promise;
      return new Response("late");
    });
    using client = new ResettingClient(test.server.addr);
    await client.send(GET);
    await test.begun;
    client.reset();
    const error = await test.expectLost();
    assertEquals(error.cause, undefined);
    gate.resolve();
  },
);

cleanTest(
  "completed rejects, when the client goes while a stream is sent",
  async () => {
    const stream = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array(1)),
    });
    await using test = new WatchedServer(() => new Response(stream));
    using client = new ResettingClient(test.server.addr);
    await client.send(GET);
    await test.begun;
    client.reset();
    await test.expectLost();
  },
);

cleanTest("completed rejects, when the server is aborted", async () => {
  const controller = new AbortController();
  await using test = new WatchedServer(
    () => new Promise(() => {}),
    { signal: controller.signal },
  );
  const client = await test.connect();
  await client.send(GET);
  await test.begun;
  controller.abort();
  await test.expectLost();
});

cleanTest(
  "completed rejects with the cause, when the stream fails",
  async () => {
    using _watch = new ConsoleWatch();
    const cause = new Error("midway");
    let chunks = 0;
    const stream = new ReadableStream({
      pull(controller) {
        if (chunks++ > 0) throw cause;
        controller.enqueue(new Uint8Array(1));
      },
    });
    await using test = new WatchedServer(() => new Response(stream));
    const client = await test.connect();
    await client.send(GET);
    await test.begun;
    const error = await test.expectLost();
    assertStrictEquals(error.cause, cause);
  },
);

cleanTest(
  "completed is settled, when it is asked for after the answer",
  async () => {
    const infos: ServeHandlerInfo[] = [];
    await using test = new TestServer((_request, info) => {
      infos.push(info);
      return new Response("text");
    });
    const client = await test.connect();
    await client.send(GET);
    await client.answer();
    await within(infos[0]!.completed, "an answer that was whole");
    client.close();
  },
);

cleanTest(
  "completed rejects, when it is asked for after the client went",
  async () => {
    const infos: ServeHandlerInfo[] = [];
    const aborted = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await using test = new TestServer((request, info) => {
      infos.push(info);
      request.signal.addEventListener("abort", () => aborted.resolve());
      begun.resolve();
      return new Promise(() => {});
    });
    using client = new ResettingClient(test.server.addr);
    await client.send(GET);
    await begun.promise;
    client.reset();
    await within(aborted.promise, "the signal");
    await within(test.server.shutdown(), "the server to shut down");
    await assertRejects(() => infos[0]!.completed, Deno.errors.Interrupted);
  },
);

cleanTest(
  "completed belongs to its request, when another is handled",
  async () => {
    const infos: ServeHandlerInfo[] = [];
    const old = Promise.withResolvers<Promise<void>>();
    const gate = Promise.withResolvers<Response>();
    await using test = new TestServer((_request, info) => {
      infos.push(info);
      if (infos.length === 1) return new Response("first");
      const [first] = infos;
      old.resolve(first!.completed);
      // The promise of the request that is answered after that.
      void info.completed;
      return gate.promise;
    });
    const client = await test.connect();
    await client.send(GET);
    await client.answer();
    await client.send(GET);
    await within(old.promise, "the first request's answer");
    gate.resolve(new Response("second"));
    assertEquals((await client.answer()).text, "second");
  },
);

cleanTest("completed is one promise, when it is asked for often", async () => {
  const { promise, resolve } = Promise.withResolvers<ServeHandlerInfo>();
  const early: Promise<void>[] = [];
  await using test = new TestServer(async (_request, info) => {
    early.push(info.completed);
    await undefined;
    early.push(info.completed);
    resolve(info);
    return new Response("text");
  });
  const client = await test.connect();
  await client.send(GET);
  await client.answer();
  const { completed } = await promise;
  for (const other of early) assertStrictEquals(other, completed);
  assert(completed instanceof Promise);
});

cleanTest(
  "completed ends no process, when the handler does not wait for it",
  async () => {
    const unhandled: unknown[] = [];
    const note = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      unhandled.push(event.reason);
    };
    globalThis.addEventListener("unhandledrejection", note);
    const begun = Promise.withResolvers<void>();
    await using test = new TestServer((_request, info) => {
      void info.completed;
      begun.resolve();
      return new Promise(() => {});
    });
    using client = new ResettingClient(test.server.addr);
    await client.send(GET);
    await begun.promise;
    client.reset();
    await within(test.server.shutdown(), "the server to shut down");
    // Deno reports unhandled rejections in a round of its loop.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.removeEventListener("unhandledrejection", note);
    assertEquals(unhandled, []);
  },
);
