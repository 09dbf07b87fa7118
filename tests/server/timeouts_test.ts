import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { Reactor, serve } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { ConsoleWatch } from "../util/console.ts";
import { MemorySystem } from "../../src/system/memory.ts";
import { parseAnswers } from "../util/http_answers.ts";
import { latin1 } from "../util/http_bytes.ts";
import { TestServer } from "../util/http_server.ts";
import { eventually, within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

/** A short limit, so that tests are quick; each waits for its effect. */
const SOON_MS = 30;
/** More than sockets hold. */
const LARGE_BYTES = 33_554_432;

function ok(): Response {
  return new Response("ok");
}

cleanTest("server closes a connection that says nothing", async () => {
  await using test = new TestServer(ok, { keepAliveMs: SOON_MS });
  const client = await test.connect();
  assertEquals((await client.restBytes()).byteLength, 0);
});

cleanTest("server answers 408, when a head never ends", async () => {
  await using test = new TestServer(ok, { headMs: SOON_MS });
  const client = await test.connect();
  await client.send("GET / HTTP/1.1\r\nHost: a\r\n");
  const [answer] = await client.rest();
  assertEquals(answer?.status, 408);
  assertEquals(answer?.get("connection"), "close");
});

Deno.test("server closes a connection that is kept alive too long, and none before", async () => {
  const system = new MemorySystem();
  await using _server = serve(
    { reactor: new Reactor({ system }), onListen() {}, keepAliveMs: 1_000 },
    ok,
  );
  const client = system.arrive();
  client.receive(GET);
  await system.pass(999);
  assertEquals(client.isClosed, false);
  await system.pass(1_000);
  assertEquals(client.isClosed, true);
  const answers = parseAnswers(latin1(client.text));
  assertEquals(answers.map(({ status }) => status), [200]);
});

cleanTest(
  "server says for how long it keeps connections, in whole seconds",
  async () => {
    const cases = [[75_000, "timeout=75"], [1_999, "timeout=1"]] as const;
    for (const [keepAliveMs, said] of cases) {
      await using test = new TestServer(ok, { keepAliveMs });
      const client = await test.connect();
      await client.send(GET);
      const answer = await client.answer();
      assertEquals(answer.get("keep-alive"), said);
      assertEquals(answer.get("connection"), "keep-alive");
    }
  },
);

cleanTest(
  "server says nothing of how long it keeps connections, when that is for ever or no second",
  async () => {
    for (const keepAliveMs of [Infinity, 999]) {
      await using test = new TestServer(ok, { keepAliveMs });
      const client = await test.connect();
      await client.send(GET);
      const answer = await client.answer();
      assertEquals(answer.get("keep-alive"), undefined);
      assertEquals(answer.get("connection"), undefined);
    }
  },
);

Deno.test("server waits for a handler and a silent stream, longer than it keeps idle connections", async () => {
  const system = new MemorySystem();
  const { promise, resolve } = Promise.withResolvers<Response>();
  await using _server = serve(
    { reactor: new Reactor({ system }), onListen() {}, keepAliveMs: 1_000 },
    (request) => request.url.endsWith("/late") ? promise : ok(),
  );
  const [client, other] = [system.arrive(), system.arrive()];
  client.receive("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
  other.receive(GET);
  await system.pass(2_000);
  assertEquals([client.isClosed, other.isClosed], [false, true]);
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>>();
  resolve(new Response(readable));
  await eventually("the head", () => client.text.endsWith("\r\n\r\n"));
  await system.pass(2_000);
  assertEquals(client.isClosed, false);
  writable.close();
  await eventually("the end", () => client.text.endsWith("0\r\n\r\n"));
});

cleanTest(
  "server resets a client that takes nothing, and cancels what it was sent",
  async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using test = new TestServer(() => {
      const endless = new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
        cancel: () => resolve(),
      });
      return new Response(endless);
    }, { writeMs: SOON_MS });
    const client = await test.connect();
    await client.send(GET);
    await within(promise, "the stream to be cancelled");
    await assertRejects(() => client.restBytes(), Deno.errors.ConnectionReset);
  },
);

cleanTest(
  "server resets a client that takes nothing of one large answer, and reports it",
  async () => {
    using printed = new ConsoleWatch();
    await using test = new TestServer(
      () => new Response(new Uint8Array(LARGE_BYTES)),
      { writeMs: SOON_MS },
    );
    const client = await test.connect();
    await client.send(GET);
    await within(closeOf(test), "the connection to be closed");
    await assertRejects(() => client.restBytes(), Deno.errors.ConnectionReset);
    assertEquals(test.reactor.stats().closed.write, 1);
    assertMatch(
      String(printed.complained),
      /reset: it has not read its answer/,
    );
  },
);

cleanTest(
  "server answers 503 and aborts the signal, when a handler takes too long",
  async () => {
    const aborted = Promise.withResolvers<void>();
    const late = Promise.withResolvers<Response>();
    const cancelled = Promise.withResolvers<void>();
    let calls = 0;
    await using test = new TestServer((request) => {
      if (calls++ > 0) return Promise.resolve(ok());
      request.signal.addEventListener("abort", () => aborted.resolve());
      return late.promise;
    }, { handlerMs: SOON_MS });
    const client = await test.connect();
    await client.send(GET);
    assertEquals((await client.answer()).status, 503);
    await within(aborted.promise, "the signal");
    // The late answer is thrown away, and the connection goes on.
    late.resolve(
      new Response(new ReadableStream({ cancel: () => cancelled.resolve() })),
    );
    await within(cancelled.promise, "the late stream to be cancelled");
    await client.send(GET);
    assertEquals((await client.answer()).text, "ok");
    assertEquals(test.errors, []);
  },
);

cleanTest(
  "server does not time a handler that answers at once, or fails",
  async () => {
    await using test = new TestServer((request) => {
      if (request.url.endsWith("/fail")) return Promise.reject(new Error("no"));
      return ok();
    }, { handlerMs: SOON_MS });
    assertEquals(await (await test.fetch("/")).text(), "ok");
    const failed = await test.fetch("/fail");
    assertEquals([failed.status, await failed.text()], [500, "failed"]);
  },
);

for (
  const [name, value] of [
    ["headMs", 0],
    ["headMs", 2 ** 31],
    ["keepAliveMs", NaN],
    ["bodyBytesPerSecondMin", -1],
    ["requestsMax", 0],
    ["headerCountMax", 101],
    ["urlBytesMax", 0],
    ["handlerMs", 0],
    ["writeMs", -1],
    ["connectionsMax", 0],
    ["connectionsPerAddressMax", NaN],
  ] as const
) {
  Deno.test(`serve() throws RangeError, when ${name} is ${value}`, () => {
    assertThrows(
      () => serve({ port: 0, onListen() {}, [name]: value }, ok),
      RangeError,
      `Cannot use ${name} "${value}"`,
    );
  });
}

/** Resolves when the server's reactor has only its listener left. */
async function closeOf(test: TestServer): Promise<void> {
  while (test.reactor.stats().open > 0 || test.reactor.stats().accepted < 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
