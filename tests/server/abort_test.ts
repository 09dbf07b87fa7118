/**
 * How a server ends when its `signal` aborts: at once, as with `Deno.serve`.
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { serve } from "../../src/server/serve.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { runScript } from "../util/scripts.ts";
import { within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

const LOCAL = { hostname: "127.0.0.1", port: 0, onListen() {} };

/** More than the system takes for a peer that does not read. */
const LARGE_BYTES = 16 * 1024 * 1024;

/** A server with a signal that the test aborts. */
class Abortable extends TestServer {
  readonly #controller: AbortController;

  constructor(handler: Handler, controller = new AbortController()) {
    super(handler, { signal: controller.signal });
    this.#controller = controller;
  }

  /** Aborts the signal, and waits for the end of the server. */
  async abort(): Promise<void> {
    this.#controller.abort();
    await within(this.server.finished, "the server to finish");
  }
}

/** A stream that a test feeds, with a promise of its end. */
class Source {
  /** Why it was cancelled. */
  readonly cancelled: Promise<unknown>;
  readonly stream: ReadableStream<Uint8Array>;
  controller!: ReadableStreamDefaultController<Uint8Array>;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.cancelled = promise;
    this.stream = new ReadableStream({
      start: (controller) => void (this.controller = controller),
      cancel: resolve,
    });
  }

  /** Gives it some text, unless it has ended. */
  push(text: string): void {
    try {
      this.controller.enqueue(new TextEncoder().encode(text));
    } catch {
      // It was cancelled.
    }
  }
}

/** Returns a handler that never answers, and a promise of its request. */
function pending(): { handler: Handler; begun: Promise<Request> } {
  const { promise, resolve } = Promise.withResolvers<Request>();
  const handler: Handler = (request) => {
    resolve(request);
    return new Promise(() => {});
  };
  return { handler, begun: promise };
}

/** Reads until some text has arrived, and returns all text. */
async function readUntil(client: RawClient, text: string): Promise<string> {
  let all = "";
  while (!all.includes(text)) {
    const bytes = await client.read();
    assert(bytes !== undefined, `The server closed after "${all}"`);
    all += new TextDecoder().decode(bytes);
  }
  return all;
}

cleanTest("abort ends connections properly, when they are idle", async () => {
  await using test = new Abortable(() => new Response("ok"));
  const fresh = await test.connect();
  const used = await test.connect();
  await used.send(GET);
  await used.answer();
  await test.exercise(3);
  await test.abort();
  for (const client of [fresh, used]) assertEquals(await client.rest(), []);
});

cleanTest("abort accepts no connection, when it was called", async () => {
  await using test = new Abortable(() => new Response("ok"));
  await test.abort();
  await assertRejects(
    () => RawClient.connect(test.server.addr),
    Deno.errors.ConnectionRefused,
  );
});

cleanTest(
  "abort ends a connection properly, when its handler is pending",
  async () => {
    const { handler, begun } = pending();
    await using test = new Abortable(handler);
    const client = await test.connect();
    await client.send(GET);
    const { signal } = await begun;
    assertEquals(signal.aborted, false);
    await test.abort();
    assertEquals(signal.aborted, true);
    assertEquals(await client.restBytes(), new Uint8Array(0));
  },
);

cleanTest(
  "abort handles no further request, when some were pipelined",
  async () => {
    let count = 0;
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    await using test = new Abortable(async () => {
      count++;
      begun.resolve();
      await gate.promise;
      return new Response("late");
    });
    const client = await test.connect();
    await client.send(GET + GET);
    await begun.promise;
    await test.abort();
    gate.resolve();
    assertEquals(await client.rest(), []);
    assertEquals(count, 1);
  },
);

cleanTest(
  "abort cancels a stream and sends no more of it, when it has begun",
  async () => {
    const source = new Source();
    await using test = new Abortable(() => new Response(source.stream));
    const client = await test.connect();
    await client.send(GET);
    source.push("first");
    await readUntil(client, "first");
    const ended = test.abort();
    source.push("second");
    await within(source.cancelled, "the stream to be cancelled");
    await ended;
    assertEquals(await client.restBytes(), new Uint8Array(0));
  },
);

cleanTest(
  "abort resets a connection, when its end would be the body's",
  async () => {
    const source = new Source();
    await using test = new Abortable(() => new Response(source.stream));
    const client = await test.connect();
    await client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    source.push("first");
    await readUntil(client, "first");
    await test.abort();
    await assertRejects(
      () => client.restBytes(),
      Deno.errors.ConnectionReset,
    );
  },
);

cleanTest(
  "abort resets a connection, when its client is owed bytes",
  async () => {
    const large = new Uint8Array(LARGE_BYTES);
    await using test = new Abortable(() => new Response(large));
    const client = await test.connect();
    await client.send(GET);
    await readUntil(client, "\r\n\r\n");
    await test.abort();
    await assertRejects(
      () => client.restBytes(),
      Deno.errors.ConnectionReset,
    );
  },
);

cleanTest(
  "abort fails a body that is being read, when it has not come",
  async () => {
    const failed = Promise.withResolvers<unknown>();
    await using test = new Abortable(async (request) => {
      await request.text().catch(failed.resolve);
      return new Response("late");
    });
    const client = await test.connect();
    await client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
    );
    await test.exercise(3);
    await test.abort();
    assertInstanceOf(await within(failed.promise, "the body to fail"), Error);
    assertEquals(await client.rest(), []);
  },
);

cleanTest("abort cancels the answer, when it comes too late", async () => {
  const source = new Source();
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using test = new Abortable(async () => {
    begun.resolve();
    await gate.promise;
    return new Response(source.stream);
  });
  const client = await test.connect();
  await client.send(GET);
  await begun.promise;
  await test.abort();
  gate.resolve();
  await within(source.cancelled, "the stream to be cancelled");
  assertEquals(await client.rest(), []);
});

cleanTest(
  "abort ends what shutdown() waits for, when it is called after it",
  async () => {
    const { handler, begun } = pending();
    await using test = new Abortable(handler);
    const client = await test.connect();
    await client.send(GET);
    await begun;
    const down = test.server.shutdown();
    await test.abort();
    await within(down, "the server to shut down");
    assertEquals(await client.rest(), []);
  },
);

cleanTest("server lets go of its signal, when it has ended", async () => {
  const { signal } = new AbortController();
  const heard = new Set<unknown>();
  signal.addEventListener = (_type: string, listener: unknown) =>
    void heard.add(listener);
  signal.removeEventListener = (_type: string, listener: unknown) =>
    void heard.delete(listener);
  await using test = new TestServer(() => new Response("ok"), { signal });
  assertEquals(heard.size, 1);
  await within(test.server.shutdown(), "the server to shut down");
  assertEquals(heard.size, 0);
});

cleanTest(
  "abort ends all servers that have the signal, and no other",
  async () => {
    using reactor = new Reactor();
    const controller = new AbortController();
    const { signal } = controller;
    const hello: Handler = () => new Response("Hello");
    const first = serve({ ...LOCAL, reactor, signal }, hello);
    const second = serve({ ...LOCAL, reactor, signal }, hello);
    const other = serve({ ...LOCAL, reactor }, hello);
    controller.abort();
    await within(first.finished, "the first server to finish");
    await within(second.finished, "the second server to finish");
    using client = await RawClient.connect(other.addr);
    await client.send(GET);
    assertEquals((await client.answer()).text, "Hello");
  },
);

const SAME_ROUND: [name: string, handler: (abort: () => void) => Handler][] = [
  ["at once", (abort) => () => {
    abort();
    return new Response("last");
  }],
  ["by a promise", (abort) => () => {
    abort();
    return Promise.resolve(new Response("last"));
  }],
  ["after other promises", (abort) => async () => {
    abort();
    for (let round = 0; round < 10; round++) await undefined;
    return new Response("last");
  }],
  ["through onError", (abort) => () => {
    abort();
    throw new Error("last");
  }],
];

for (const [name, handlerOf] of SAME_ROUND) {
  cleanTest(
    `abort lets the handler that calls it answer, when it does so ${name}`,
    async () => {
      const controller = new AbortController();
      const handler = handlerOf(() => controller.abort());
      await using test = new TestServer(handler, {
        signal: controller.signal,
        onError: (error) => new Response((error as Error).message),
      });
      const client = await test.connect();
      await client.send(GET);
      const [answer, ...others] = await client.rest();
      assertEquals(answer?.text, "last");
      assertEquals(answer?.get("connection"), "close");
      assertEquals(others, []);
      await within(test.server.finished, "the server to finish");
    },
  );
}

cleanTest("abort lets onError answer, when that calls it", async () => {
  const controller = new AbortController();
  await using test = new TestServer(() => {
    throw new Error("failed");
  }, {
    signal: controller.signal,
    onError() {
      controller.abort();
      return new Response("last");
    },
  });
  const client = await test.connect();
  await client.send(GET);
  assertEquals((await client.rest()).map(({ text }) => text), ["last"]);
  await within(test.server.finished, "the server to finish");
});

cleanTest(
  "abort allows no answer, when the server has finished",
  async () => {
    const controller = new AbortController();
    const finished = Promise.withResolvers<void>();
    await using test = new Abortable(async () => {
      controller.abort();
      await test.server.finished;
      finished.resolve();
      return new Response("late");
    }, controller);
    const client = await test.connect();
    await client.send(GET);
    assertEquals(await client.rest(), []);
    await within(finished.promise, "the handler to go on");
  },
);

cleanTest(
  "shutdown() lets the handler that calls it answer, when it is pending",
  async () => {
    await using test = new TestServer(async () => {
      test.server.shutdown();
      await new Promise((resolve) => setImmediate(resolve));
      return new Response("last");
    });
    const client = await test.connect();
    await client.send(GET);
    assertEquals((await client.rest()).map(({ text }) => text), ["last"]);
    client.close();
    await within(test.server.finished, "the server to finish");
  },
);

cleanTest("server finishes, when onListen aborts it", async () => {
  using reactor = new Reactor();
  const controller = new AbortController();
  const server = serve({
    ...LOCAL,
    reactor,
    signal: controller.signal,
    onListen: () => controller.abort(),
  }, () => new Response());
  await within(server.finished, "the server to finish");
  assertEquals(reactor.size, 0);
});

cleanTest(
  "server calls onListen and finishes, when its signal had aborted",
  async () => {
    using reactor = new Reactor();
    const seen: Deno.NetAddr[] = [];
    const server = serve({
      ...LOCAL,
      reactor,
      signal: AbortSignal.abort(new Error("not now")),
      onListen: (addr) => void seen.push(addr),
    }, () => new Response());
    assertEquals(seen, [server.addr]);
    await within(server.finished, "the server to finish");
    assertEquals(reactor.size, 0);
  },
);

Deno.test("process ends, when abort ends a server with a pending handler", async () => {
  const { code, stdout, stderr } = await runScript("http_abort.ts");
  assertEquals([code, stdout, stderr], [0, "finished\n", ""]);
});

Deno.test("serve() and abort work, when a program has broken its prototypes", async () => {
  const { code, stdout, stderr } = await runScript("http_broken.ts");
  assertEquals([code, stdout, stderr], [0, "finished\n", ""]);
});
