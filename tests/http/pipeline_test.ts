/**
 * RFC 9112 section 9.3.2: many requests before the first answer.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { exchangeTests, NEXT, type Row } from "../util/exchange.ts";
import { TestServer } from "../util/http_server.ts";
import { head } from "../util/requests.ts";

const PIPELINE = "RFC 9112 section 9.3.2";
const LENGTH = "RFC 9112 section 6.3";

const HOST = "Host: a";
const CHUNKED = "Transfer-Encoding: chunked";
const GOOD = head("GET /good HTTP/1.1", HOST);

/** Requests that are refused between valid ones. */
const BAD: [status: number, what: string, sent: string][] = [
  [400, "no request line", "nonsense\r\n\r\n"],
  [400, "no Host", head("GET / HTTP/1.1")],
  [
    400,
    "two framings",
    `${head("POST / HTTP/1.1", HOST, CHUNKED, "Content-Length: 5")}0\r\n\r\n`,
  ],
  [400, "a bad chunk", `${head("POST / HTTP/1.1", HOST, CHUNKED)}x\r\n`],
  [
    400,
    "a bad trailer",
    `${head("POST / HTTP/1.1", HOST, CHUNKED)}0\r\nA\r\n\r\n`,
  ],
  [
    413,
    "a huge length",
    head("POST / HTTP/1.1", HOST, `Content-Length: ${2 ** 40}`),
  ],
  [
    413,
    "a huge chunk",
    `${head("POST / HTTP/1.1", HOST, CHUNKED)}fffffffff\r\n`,
  ],
  [417, "an expectation", head("GET / HTTP/1.1", HOST, "Expect: wonders")],
  [
    431,
    "a huge field",
    head("GET / HTTP/1.1", HOST, `A: ${"a".repeat(70_000)}`),
  ],
  [501, "a coding", head("POST / HTTP/1.1", HOST, "Transfer-Encoding: gzip")],
];

exchangeTests(BAD.map(([status, what, sent]): Row => ({
  rule: LENGTH,
  demand: `answers what came before, refuses with ${status} and acts on ` +
    `nothing behind, when there is ${what} in a pipeline`,
  sent: GOOD + sent,
  statuses: [200, status],
  goesOn: false,
  saw: ["GET /good "],
})));

exchangeTests([{
  rule: PIPELINE,
  demand: "answers all in order, when bodies of every kind are in a pipeline",
  sent: GOOD +
    `${head("POST /a HTTP/1.1", HOST, "Content-Length: 5")}hello` +
    `${head("PUT /b HTTP/1.1", HOST, CHUNKED)}3\r\nyou\r\n0\r\nA: b\r\n\r\n` +
    `${head("GET /c HTTP/1.1", HOST, "Content-Length: 1")}x` +
    head("HEAD /d HTTP/1.1", HOST) +
    `${head("POST /e HTTP/1.1", HOST, CHUNKED)}0\r\n\r\n` +
    GOOD,
  statuses: [200, 200, 200, 200, 200, 200, 200],
  goesOn: true,
  saw: [
    "GET /good ",
    "POST /a hello",
    "PUT /b you",
    "GET /c ",
    "HEAD /d ",
    "POST /e ",
    "GET /good ",
  ],
}, {
  rule: "RFC 9112 section 9.6",
  demand: "acts on nothing behind, when a request in a pipeline says close",
  sent: GOOD + head("GET /last HTTP/1.1", HOST, "Connection: close") + GOOD,
  statuses: [200, 200],
  goesOn: false,
  saw: ["GET /good ", "GET /last "],
}]);

const COUNT = 20;

function numbered(count: number): string {
  return Array.from(
    { length: count },
    (_, index) => head(`GET /${index} HTTP/1.1`, HOST),
  ).join("");
}

const HANDLERS: [name: string, handler: Handler][] = [
  ["return at once", (request) => new Response(request.url)],
  ["are async", async (request) => {
    await undefined;
    return new Response(request.url);
  }],
  [
    "answer with streams",
    (request) => new Response(new Blob([request.url]).stream()),
  ],
  ["do now this and now that", (request) => {
    const number = Number(new URL(request.url).pathname.slice(1));
    const body = number % 3 === 0
      ? new Blob([request.url]).stream()
      : request.url;
    const response = new Response(body);
    return number % 2 === 0 ? response : Promise.resolve(response);
  }],
];

for (const [name, handler] of HANDLERS) {
  cleanTest(
    `answers are in order, when handlers ${name} (${PIPELINE})`,
    async () => {
      await using test = new TestServer(handler);
      const client = await test.connect();
      await client.send(numbered(COUNT));
      const answers = await client.answers(COUNT);
      assertEquals(
        answers.map(({ text }) => text),
        Array.from({ length: COUNT }, (_, index) => `http://a/${index}`),
      );
    },
  );
}

cleanTest(
  `answers are in order, when the first handler is the last to be done (${PIPELINE})`,
  async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using test = new TestServer(async (request) => {
      if (request.url.endsWith("/0")) await promise;
      return new Response(request.url);
    });
    const client = await test.connect();
    await client.send(numbered(3));
    await test.exercise(1);
    resolve();
    const answers = await client.answers(3);
    assertEquals(answers.map(({ text }) => text), [
      "http://a/0",
      "http://a/1",
      "http://a/2",
    ]);
  },
);

cleanTest(
  `server acts on nothing behind, when the handler's answer in a pipeline says close (${PIPELINE})`,
  async () => {
    const saw: string[] = [];
    await using test = new TestServer((request) => {
      saw.push(request.url);
      const headers = saw.length === 2 ? { connection: "close" } : {};
      return new Response("ok", { headers });
    });
    const client = await test.connect();
    await client.send(numbered(4) + NEXT);
    assertEquals((await client.rest()).length, 2);
    assertEquals(saw, ["http://a/0", "http://a/1"]);
  },
);
