import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { WOULD_BLOCK } from "../../src/native/errors.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { serve } from "../../src/server/serve.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { MemorySystem } from "../../src/system/memory.ts";
import { HastyClient } from "../util/hasty_client.ts";
import { RawClient, ResettingClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { RunningScript, runScript } from "../util/scripts.ts";
import { eventually, within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

/** A handler that answers when the test lets it. */
class Gate {
  /** Resolves when a request has begun. */
  readonly begun: Promise<void>;
  /** Lets the handler answer. */
  readonly open: () => void;
  /** The handler. */
  readonly handler: Handler;

  constructor(answer: () => Response = () => new Response("late")) {
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    this.begun = begun.promise;
    this.open = gate.resolve;
    this.handler = async () => {
      begun.resolve();
      await gate.promise;
      return answer();
    };
  }
}

const CLIENTS = 96;

/**
 * The end of an answer after which the connection closes.
 */
const WHOLE = /\r\nconnection: close\r\n(.+\r\n)*\r\nok$/;

/** Waits until all clients see the server's end, and returns how. */
async function endsOf(clients: HastyClient[]): Promise<(number | string)[]> {
  await eventually(
    "the ends of all connections",
    () => clients.every((client) => client.read().last !== WOULD_BLOCK),
  );
  const ends = clients.map(({ last, text }) =>
    last !== 0 ? last : WHOLE.test(text) ? "answered" : text
  );
  for (const client of clients) client[Symbol.dispose]();
  return [...new Set(ends)];
}

/** Returns whether a promise has settled by this round of Deno's loop. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  for (let round = 0; round < 10; round++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return settled;
}

cleanTest("shutdown() resolves, when no client is connected", async () => {
  await using test = new TestServer(() => new Response("ok"));
  const { server } = test;
  assertEquals(await isSettled(server.finished), false);
  await within(server.shutdown(), "the server to shut down");
  await within(server.finished, "the server to finish");
});

cleanTest("shutdown() closes connections, when they are idle", async () => {
  await using test = new TestServer(() => new Response("ok"));
  const fresh = await test.connect();
  const used = await test.connect();
  await used.send(GET);
  await used.answer();
  const half = await test.connect();
  await half.send("GET / HT");
  await test.exercise(5);
  await within(test.server.shutdown(), "the server to shut down");
  for (const client of [fresh, used, half]) {
    assertEquals(await client.rest(), []);
  }
});

Deno.test("shutdown() waits for no client, when it is idle and stays", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const server = serve(
    { port: 0, reactor, onListen() {} },
    () => new Response("ok"),
  );
  const fresh = system.arrive();
  const used = system.arrive();
  used.receive(GET);
  await system.settle();
  // A connection that stays open, so that the loop goes on.
  reactor.setTimer(1e9, () => {});
  const down = server.shutdown();
  await system.settle();
  assertEquals([fresh.isClosed, used.isClosed], [true, true]);
  assertEquals([fresh.resetOnClose, used.resetOnClose], [false, false]);
  await down;
});

cleanTest(
  "shutdown() answers requests, when they have arrived and are unread",
  async () => {
    await using test = new TestServer(() => new Response("ok"));
    const { addr } = test.server;
    const clients = Array.from(
      { length: CLIENTS },
      () => new HastyClient(addr),
    );
    for (const client of clients) client.ask(GET);
    await eventually(
      "the first answers",
      () => clients.every((client) => client.read().text.endsWith("ok")),
    );
    for (const client of clients) client.ask(GET);
    const down = test.server.shutdown();
    assertEquals(await endsOf(clients), ["answered"]);
    await within(down, "the server to shut down");
  },
);

cleanTest(
  "shutdown() answers requests, when their connections are not accepted yet",
  async () => {
    await using test = new TestServer(() => new Response("ok"));
    const { addr } = test.server;
    const clients = Array.from(
      { length: CLIENTS },
      () => new HastyClient(addr),
    );
    for (const client of clients) client.ask(GET);
    const down = test.server.shutdown();
    assertEquals(await endsOf(clients), ["answered"]);
    await within(down, "the server to shut down");
  },
);

cleanTest(
  "shutdown() answers requests that have come, when a handler calls it",
  async () => {
    const paths: string[] = [];
    await using test = new TestServer((request) => {
      if (paths.length === 0) test.server.shutdown();
      paths.push(new URL(request.url).pathname);
      return new Response("ok");
    });
    const { addr } = test.server;
    const clients = Array.from(
      { length: CLIENTS },
      () => new HastyClient(addr),
    );
    for (const client of clients) {
      client.ask(GET);
    }
    assertEquals(await endsOf(clients), ["answered"]);
    assertEquals(paths, Array(CLIENTS).fill("/"));
  },
);

cleanTest(
  "shutdown() resets no client, when clients send back to back",
  async () => {
    await using test = new TestServer(() => new Response("ok"));
    await using script = new RunningScript("asks_back_to_back.ts", {
      args: [`${test.server.addr.port}`, `${CLIENTS}`],
    });
    await script.line();
    await within(test.server.shutdown(), "the server to shut down");
    assertEquals(await script.json(), { ended: CLIENTS });
  },
);

cleanTest("shutdown() lets a handler answer, when it is pending", async () => {
  const gate = new Gate();
  await using test = new TestServer(gate.handler);
  const client = await test.connect();
  await client.send(GET);
  await gate.begun;
  const down = test.server.shutdown();
  assertEquals(await isSettled(down), false);
  gate.open();
  const [answer, ...others] = await client.rest();
  assertEquals(answer?.text, "late");
  assertEquals(answer?.get("connection"), "close");
  assertEquals(others, []);
  client.close();
  await within(down, "the server to shut down");
});

cleanTest("shutdown() lets a stream end, when it has begun", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  await using test = new TestServer(() => new Response(readable));
  const response = await test.fetch();
  const down = test.server.shutdown();
  assertEquals(await isSettled(down), false);
  const writer = writable.getWriter();
  const text = response.text();
  await writer.write(new TextEncoder().encode("whole"));
  await writer.close();
  assertEquals(await text, "whole");
  await within(down, "the server to shut down");
});

cleanTest("shutdown() lets a body come, when it is being read", async () => {
  await using test = new TestServer(async (request) =>
    new Response(await request.text())
  );
  const client = await test.connect();
  await client.send(
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
  );
  await test.exercise(5);
  const down = test.server.shutdown();
  await client.send("llo");
  assertEquals((await client.rest()).map(({ text }) => text), ["hello"]);
  client.close();
  await within(down, "the server to shut down");
});

cleanTest(
  "shutdown() refuses new connections, when others are still answered",
  async () => {
    const gate = new Gate();
    await using test = new TestServer(gate.handler);
    const client = await test.connect();
    await client.send(GET);
    await gate.begun;
    const down = test.server.shutdown();
    await assertRejects(
      () => RawClient.connect(test.server.addr),
      Deno.errors.ConnectionRefused,
    );
    gate.open();
    await client.rest();
    client.close();
    await within(down, "the server to shut down");
  },
);

cleanTest(
  "shutdown() waits for the same end, when it is called twice",
  async () => {
    const gate = new Gate();
    await using test = new TestServer(gate.handler);
    const client = await test.connect();
    await client.send(GET);
    await gate.begun;
    const first = test.server.shutdown();
    const second = test.server.shutdown();
    assertStrictEquals(first, second);
    assertEquals(await isSettled(second), false);
    gate.open();
    await client.rest();
    client.close();
    await within(second, "the server to shut down");
  },
);

cleanTest("shutdown() resolves, when the last client resets", async () => {
  const gate = new Gate();
  await using test = new TestServer(gate.handler);
  using client = new ResettingClient(test.server.addr);
  await client.send(GET);
  await gate.begun;
  const down = test.server.shutdown();
  client.reset();
  await within(down, "the server to shut down");
  gate.open();
});

cleanTest(
  "shutdown() leaves another server alone, when they share a reactor",
  async () => {
    await using other = new TestServer(() => new Response("other"));
    await using test = new TestServer(() => new Response("ok"), {
      reactor: other.reactor,
    });
    const client = await other.connect();
    await client.send(GET);
    assertEquals((await client.answer()).text, "other");
    await within(test.server.shutdown(), "the server to shut down");
    await client.send(GET);
    assertEquals((await client.answer()).text, "other");
  },
);

cleanTest("server shuts down, when its signal aborts", async () => {
  const controller = new AbortController();
  await using test = new TestServer(() => new Response("ok"), {
    signal: controller.signal,
  });
  const client = await test.connect();
  await client.send(GET);
  await client.answer();
  controller.abort();
  await within(test.server.finished, "the server to finish");
  assertEquals(await client.rest(), []);
});

cleanTest("server shuts down, when it is disposed of", async () => {
  using reactor = new Reactor();
  const gate = new Gate();
  let client: RawClient;
  {
    await using server = serve(
      { hostname: "127.0.0.1", port: 0, reactor, onListen() {} },
      gate.handler,
    );
    client = await RawClient.connect(server.addr);
    await client.send(GET);
    await gate.begun;
    reactor.setTimer(0, gate.open);
    client.answer().then(() => client.close());
  }
  assertEquals(reactor.size, 0);
});

cleanTest(
  "handlers and streams may end, when their reactor was closed under them",
  async () => {
    const reactor = new Reactor();
    const gate = new Gate();
    const cancelled = Promise.withResolvers<void>();
    const stream = new ReadableStream({ cancel: () => cancelled.resolve() });
    const server = serve(
      { hostname: "127.0.0.1", port: 0, reactor, onListen() {} },
      (request, info) =>
        request.url.endsWith("stream")
          ? new Response(stream)
          : gate.handler(request, info),
    );
    using pending = await RawClient.connect(server.addr);
    await pending.send(GET);
    await gate.begun;
    using streaming = await RawClient.connect(server.addr);
    await streaming.send(GET.replace("/", "/stream"));
    await streaming.read();
    reactor.close();
    await within(cancelled.promise, "the stream to be cancelled");
    gate.open();
    await within(server.shutdown(), "the server to shut down");
  },
);

cleanTest(
  "Reactor.drain() ends idle connections at once, and answers what is asked",
  async () => {
    const reactor = new Reactor();
    const gate = new Gate();
    const server = serve(
      { hostname: "127.0.0.1", port: 0, reactor, onListen() {} },
      (request, info) =>
        request.url.endsWith("late")
          ? gate.handler(request, info)
          : new Response("ok"),
    );
    using idle = await RawClient.connect(server.addr);
    await idle.send(GET);
    await idle.answer();
    using half = await RawClient.connect(server.addr);
    await half.send(GET);
    await half.answer();
    await half.send("GET / HT");
    using busy = await RawClient.connect(server.addr);
    await busy.send(GET.replace("/", "/late"));
    await gate.begun;
    const drained = reactor.drain(60_000);
    for (const client of [idle, half]) {
      assertEquals(await within(client.rest(), "the end"), []);
    }
    gate.open();
    assertEquals((await busy.answer()).text, "late");
    assertEquals(await within(busy.rest(), "the end"), []);
    await within(drained, "the reactor to drain");
    await within(server.finished, "the server to finish");
  },
);

cleanTest(
  "server may be started again, when its port was just left",
  async () => {
    using reactor = new Reactor();
    let port = 0;
    for (let round = 0; round < 3; round++) {
      const server = serve(
        { hostname: "127.0.0.1", port, reactor, onListen() {} },
        () => new Response(`${round}`),
      );
      port = server.addr.port;
      using client = await RawClient.connect(server.addr);
      await client.send(GET);
      assertEquals((await client.answer()).text, `${round}`);
      await within(server.shutdown(), "the server to shut down");
    }
  },
);

for (const steps of [["unref"], ["unref-first"], ["shutdown"]]) {
  Deno.test(`process ends, when its server does ${steps}`, async () => {
    const { code, stdout, stderr } = await runScript("http_unref.ts", {
      args: steps,
    });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.trim().length > 0, true);
  });
}

for (const steps of [[], ["ref"], ["unref", "ref"], ["unref-first", "ref"]]) {
  Deno.test(`process goes on serving, when its server does ${steps.join(" and ") || "nothing"}`, async () => {
    await using script = new RunningScript("http_unref.ts", { args: steps });
    const port = await script.json<number>();
    for (let sent = 0; sent < 3; sent++) {
      using client = await RawClient.connect({
        transport: "tcp",
        hostname: "127.0.0.1",
        port,
      });
      await client.send(GET);
      assertEquals((await client.answer()).text, "ok");
    }
  });
}
