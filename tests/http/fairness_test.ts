/** A pipeline of slow requests does not keep other clients and timers waiting. */

import { assert, assertEquals, assertLess } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import type { HttpServer } from "../../src/server/http_server.ts";
import { serve } from "../../src/server/serve.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";
import { parseAnswers } from "../util/http_answers.ts";
import { latin1 } from "../util/http_bytes.ts";
import { head } from "../util/requests.ts";

/** Longer than the time of a turn. */
const SLOW_MS = 50;
const COUNT = 40;

function get(path: string, ...fields: string[]): string {
  return head(`GET ${path} HTTP/1.1`, "Host: a", ...fields);
}

function pipeline(count: number = COUNT): string {
  return Array.from({ length: count }, (_, index) => get(`/${index}`)).join("");
}

/** A server on a system in memory, and the order in which things happen. */
class Server implements Disposable {
  readonly log: string[] = [];
  /** Called in each handler. */
  onRequest: () => void = () => {};
  /** How long each handler computes. */
  ms: number;
  readonly reactor: Reactor;
  readonly #system: MemorySystem;
  readonly server: HttpServer;

  /** @param answer Called after the time of each handler. */
  constructor(
    answer: Handler,
    { batches = false, ms = SLOW_MS, memoryBytesMax = Infinity } = {},
  ) {
    this.ms = ms;
    this.#system = new MemorySystem({ batches });
    this.reactor = new Reactor({ system: this.#system, memoryBytesMax });
    this.server = serve(
      { ...MEMORY_ADDRESS, reactor: this.reactor, onListen() {} },
      (request, info) => {
        const path = new URL(request.url).pathname;
        // Due before the end of the first turn.
        if (this.log.length === 0) {
          this.reactor.setTimer(0, () => this.log.push("timer"));
        }
        this.log.push(path);
        this.onRequest();
        this.#system.spend(this.ms);
        return answer(request, info);
      },
    );
  }

  /** Connects clients. */
  async connect(count: number) {
    const clients = Array.from({ length: count }, () => this.#system.arrive());
    await this.#system.settle();
    return clients;
  }

  settle(): Promise<void> {
    return this.#system.settle();
  }

  [Symbol.dispose](): void {
    this.reactor.close();
  }
}

function textsOf(output: string): string[] {
  return parseAnswers(latin1(output), []).map(({ text }) => text);
}

const HANDLERS: [name: string, handler: Handler][] = [
  ["answer at once", ({ url }) => new Response(url)],
  ["are async", async ({ url }) => {
    await undefined;
    return new Response(url);
  }],
  [
    "do now this and now that",
    ({ url }) =>
      /[02468]$/.test(url)
        ? new Response(url)
        : Promise.resolve(new Response(url)),
  ],
];

for (const [name, handler] of HANDLERS) {
  for (const batches of [false, true]) {
    Deno.test(
      `other clients and timers wait for two requests of a pipeline at the most, when handlers ${name}, ${
        batches ? "and several are read at once" : "one by one"
      }`,
      async () => {
        using test = new Server(handler, { batches });
        const clients = await test.connect(3);
        clients[0]!.receive(pipeline());
        clients[1]!.receive(get("/second"));
        clients[2]!.receive(get("/third"));
        await test.settle();
        assertEquals(test.log.length, COUNT + 3);
        const of = (what: string) => test.log.indexOf(what);
        assertLess(of("timer"), of("/3"), test.log.join(" "));
        // Each of the three acts once, in turn.
        assertLess(of("/second"), of("/3"));
        assertLess(of("/third"), of("/5"));
        assertEquals(
          textsOf(clients[0]!.text),
          Array.from({ length: COUNT }, (_, index) => `http://a/${index}`),
        );
      },
    );

    Deno.test(
      `a pipeline whose client has sent its end is answered whole, and closed, when slow handlers ${name}, ${
        batches ? "and several are read at once" : "one by one"
      }`,
      async () => {
        using test = new Server(handler, { batches });
        const [client, other] = await test.connect(2);
        client!.receive(pipeline());
        client!.receiveEnd();
        other!.receive(get("/other"));
        await test.settle();
        assertEquals(textsOf(client!.text).length, COUNT);
        assertLess(test.log.indexOf("/other"), test.log.indexOf("/3"));
        assert(client!.isClosed);
      },
    );
  }
}

Deno.test("slow pipelines that wait take no more memory than there is, and none of them is reset", async () => {
  for (const batches of [false, true]) {
    const CLIENTS = 64;
    const LENGTH = 200;
    const memoryBytesMax = 200_000;
    const handler = () => new Response("hi");
    using test = new Server(handler, { batches, memoryBytesMax });
    const clients = await test.connect(CLIENTS);
    const text = pipeline(LENGTH);
    // So much that not all of it may wait.
    assert(CLIENTS * text.length > memoryBytesMax);
    for (const client of clients) client.receive(text);
    let most = 0;
    test.onRequest = () => {
      most = Math.max(most, test.reactor.stats().memoryBytes);
    };
    await test.settle();
    assertEquals(test.log.length, CLIENTS * LENGTH + 1);
    for (const { text } of clients) {
      assertEquals(text.split("HTTP/1.1 200 ").length, LENGTH + 1);
    }
    assertLess(most, memoryBytesMax);
    assertEquals(test.reactor.stats().memoryBytes, 0);
  }
});

Deno.test("requests that wait come whole again, so their bodies need not be read", async () => {
  using test = new Server(() => new Response("hi"));
  const [client] = await test.connect(1);
  const LENGTH = 150;
  const fields = ["Host: a", "Content-Length: 200"];
  const posts = Array.from(
    { length: LENGTH },
    (_, index) => head(`POST /${index} HTTP/1.1`, ...fields) + "a".repeat(200),
  );
  client!.receive(posts.join(""));
  // The first one alone is slow.
  test.onRequest = () => test.ms = test.log.length > 1 ? 0 : SLOW_MS;
  await test.settle();
  // A body that is not whole when its request is answered ends the connection.
  assertEquals(textsOf(client!.text).length, LENGTH);
});

Deno.test("small requests that take little are answered in one turn", async () => {
  using test = new Server(() => new Response("hi"), { ms: 0.001 });
  const [client] = await test.connect(1);
  const before = test.reactor.stats().turns;
  client!.receive(pipeline());
  await test.settle();
  assertEquals(textsOf(client!.text).length, COUNT);
  assertLess(test.reactor.stats().turns - before, 4);
});
