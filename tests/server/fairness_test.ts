/** On real sockets: slow requests of one client do not keep others waiting. */

import { assertEquals, assertLess } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { TestServer } from "../util/http_server.ts";
import { head } from "../util/requests.ts";
import { Peer, serveWebSockets } from "../util/websocket_peer.ts";

/** Longer than a turn acts on one read. */
const SLOW_MS = 6;
/** More than there are turns until the other client has asked. */
const COUNT = 100;

function compute(): void {
  const endMs = performance.now() + SLOW_MS;
  while (performance.now() < endMs);
}

function get(path: string): string {
  return head(`GET ${path} HTTP/1.1`, "Host: a");
}

const ANSWERS: [name: string, answer: () => ReturnType<Handler>][] = [
  ["answer at once", () => new Response("hi")],
  ["are async", async () => {
    await undefined;
    return new Response("hi");
  }],
];

for (const [name, answer] of ANSWERS) {
  cleanTest(
    `another client and a timer of Deno's are served inside of a pipeline, when its handlers compute for long and ${name}`,
    async () => {
      const log: string[] = [];
      await using test = new TestServer((request) => {
        if (log.length === 0) setTimeout(() => log.push("timer"), 0);
        log.push(new URL(request.url).pathname);
        compute();
        return answer();
      });
      const client = await test.connect();
      const other = await test.connect();
      const paths = Array.from({ length: COUNT }, (_, index) => `/${index}`);
      await client.send(paths.map(get).join(""));
      await other.send(get("/other"));
      await other.answer();
      await client.answers(COUNT);
      const last = log.indexOf(paths.at(-1)!);
      assertLess(log.indexOf("/other"), last);
      assertLess(log.indexOf("timer"), last);
      const others = ["/other", "timer"];
      assertEquals(log.filter((one) => !others.includes(one)), paths);
    },
  );

  Deno.test(`another WebSocket and a timer of Deno's are served inside of many messages, when handlers compute for long and ${name}`, async () => {
    const log: string[] = [];
    await using server = serveWebSockets({
      message(socket, message) {
        if (log.length === 0) setTimeout(() => log.push("timer"), 0);
        log.push(`${message}`);
        compute();
        socket.send("done");
        return answer();
      },
    });
    using peer = await Peer.connect(server.addr);
    using other = await Peer.connect(server.addr);
    const texts = Array.from({ length: COUNT }, (_, index) => `${index}`);
    await peer.sendTexts(...texts);
    await other.sendTexts("other");
    await other.text();
    for (let index = 0; index < COUNT; index++) await peer.text();
    const last = log.indexOf(texts.at(-1)!);
    assertLess(log.indexOf("other"), last);
    assertLess(log.indexOf("timer"), last);
  });
}
