/**
 * The framing of answers: RFC 9112 section 6.3.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { useSymbols } from "../../src/http/response.ts";
import type { Answer } from "../util/http_answers.ts";
import { toLatin1 } from "../util/http_bytes.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { NEXT } from "../util/exchange.ts";
import { TestServer } from "../util/http_server.ts";
import { GET, head } from "../util/requests.ts";

const STATUS_LINE = "RFC 9112 section 4";
const LENGTH = "RFC 9110 section 8.6";
const CODING = "RFC 9112 section 6.1";
const HEAD_METHOD = "RFC 9110 section 9.3.2";
const DATE = "RFC 9110 section 6.6.1";

const HOST = "Host: a";
const HEAD = head("HEAD / HTTP/1.1", HOST);
const GET_1_0 = head("GET / HTTP/1.0");
const GET_1_0_KEPT = head("GET / HTTP/1.0", "Connection: keep-alive");
const HEAD_1_0_KEPT = head("HEAD / HTTP/1.0", "Connection: keep-alive");

function streamOf(...texts: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(texts).pipeThrough(new TextEncoderStream());
}

/** The framing of an answer: a length, chunks, the close, or none. */
type Framed = number | "chunked" | "close" | "nothing";

interface Framing {
  rule: string;
  /** The answer. */
  what: string;
  sent: string;
  answer: () => Response;
  framed: Framed;
  /** The body that the client reads. */
  body: string;
  /** Whether the connection is kept. */
  goesOn: boolean;
}

function framing(
  rule: string,
  what: string,
  [sent, answer]: [sent: string, answer: () => Response],
  [framed, body, goesOn = true]: [Framed, string, goesOn?: boolean],
): Framing {
  return { rule, what, sent, answer, framed, body, goesOn };
}

const text = () => new Response("hello");
const empty = () => new Response(null);
const stream = () => new Response(streamOf("hel", "lo"));
const blob = () => new Response(new Blob(["hello"]));
const status = (status: number, length?: string) => () =>
  new Response(null, {
    status,
    headers: length === undefined ? {} : { "content-length": length },
  });

const FRAMINGS: Framing[] = [
  framing(LENGTH, "text", [GET, text], [5, "hello"]),
  framing(LENGTH, "no body", [GET, empty], [0, ""]),
  framing(LENGTH, "a Blob", [GET, blob], [5, "hello"]),
  framing(CODING, "a stream", [GET, stream], ["chunked", "hello"]),
  framing(
    CODING,
    "an empty stream",
    [GET, () => new Response(streamOf())],
    ["chunked", ""],
  ),
  framing(HEAD_METHOD, "text for a HEAD", [HEAD, text], [5, ""]),
  framing(HEAD_METHOD, "no body for a HEAD", [HEAD, empty], ["nothing", ""]),
  framing(HEAD_METHOD, "a Blob for a HEAD", [HEAD, blob], [5, ""]),
  framing(HEAD_METHOD, "a stream for a HEAD", [HEAD, stream], ["chunked", ""]),
  framing(
    HEAD_METHOD,
    "the length of a body for a HEAD",
    [HEAD, status(200, "1234")],
    [1234, ""],
  ),
  framing(CODING, "text for HTTP/1.0", [GET_1_0, text], [5, "hello", false]),
  framing(
    CODING,
    "text for an HTTP/1.0 that stays",
    [GET_1_0_KEPT, text],
    [5, "hello"],
  ),
  framing(
    CODING,
    "a stream for HTTP/1.0",
    [GET_1_0, stream],
    ["close", "hello", false],
  ),
  framing(
    CODING,
    "a stream for an HTTP/1.0 that would stay",
    [GET_1_0_KEPT, stream],
    ["close", "hello", false],
  ),
  framing(
    CODING,
    "a Blob for an HTTP/1.0 that stays",
    [GET_1_0_KEPT, blob],
    [5, "hello"],
  ),
  framing(
    CODING,
    "text for a HEAD of an HTTP/1.0 that stays",
    [HEAD_1_0_KEPT, text],
    [5, ""],
  ),
  ...[GET, HEAD, GET_1_0_KEPT].flatMap((sent) => [
    framing(LENGTH, "204", [sent, status(204)], ["nothing", ""]),
    framing(
      LENGTH,
      "204 with a length of its handler's",
      [sent, status(204, "5")],
      ["nothing", ""],
    ),
    framing(LENGTH, "304", [sent, status(304)], ["nothing", ""]),
    framing(
      LENGTH,
      "304 with a length of its handler's",
      [sent, status(304, "5")],
      ["nothing", ""],
    ),
    framing("RFC 9110 section 15.3.6", "205", [sent, status(205)], [0, ""]),
    framing(
      "RFC 9110 section 15.3.6",
      "205 with a length of its handler's",
      [sent, status(205, "5")],
      [0, ""],
    ),
  ]),
];

function framedOf(answer: Answer, method: string): Framed {
  const length = answer.get("content-length");
  const coding = answer.get("transfer-encoding");
  assert(length === undefined || coding === undefined);
  if (length !== undefined) return Number(length);
  if (coding === "chunked") return "chunked";
  const { status } = answer;
  const hasNone = method === "HEAD" || status === 204 || status === 304;
  return hasNone ? "nothing" : "close";
}

for (const { rule, what, sent, answer, framed, body, goesOn } of FRAMINGS) {
  const request = sent.slice(0, sent.indexOf("\r\n"));
  cleanTest(
    `answer is framed as ${framed}, when it is ${what} to ${request} (${rule})`,
    async () => {
      await using test = new TestServer((request) =>
        request.url.endsWith("/next") ? new Response("next") : answer()
      );
      const client = await test.connect();
      const method = sent.slice(0, sent.indexOf(" "));
      await client.send(sent + NEXT);
      const answers = goesOn
        ? [await client.answer(method), await client.answer()]
        : await client.rest(method);
      assertEquals(framedOf(answers[0]!, method), framed);
      assertEquals(answers.map(({ text }) => text), [
        body,
        ...goesOn ? ["next"] : [],
      ]);
      assertEquals(test.errors, []);
    },
  );
}

/** A response with a status that allows no body. */
class Odd extends Response {
  readonly #status: number;

  constructor(status: number) {
    super("hello");
    this.#status = status;
  }

  override get status(): number {
    return this.#status;
  }
}

for (const status of [204, 205, 304]) {
  for (const sent of [GET, GET_1_0_KEPT]) {
    const version = sent.slice(6, 14);
    cleanTest(
      `answer of ${status} has no body for ${version}, when the handler has given it one`,
      async () => {
        useSymbols(false);
        try {
          await using test = new TestServer((request) =>
            request.url.endsWith("/next")
              ? new Response("next")
              : new Odd(status)
          );
          const client = await test.connect();
          await client.send(sent + NEXT);
          const first = await client.answer();
          assertEquals([first.status, first.text], [status, ""]);
          assertEquals((await client.answer()).text, "next");
        } finally {
          useSymbols(true);
        }
      },
    );
  }
}

const BODIES: [name: string, answer: () => Response][] = [
  ["text", text],
  ["bytes", () => new Response(new Uint8Array(5))],
  ["no body", empty],
  ["a stream", stream],
  ["a Blob", blob],
  ["JSON", () => Response.json({ a: 1 })],
  [
    "fields",
    () => new Response("x", { headers: { etag: '"1"', "X-Case": "2" } }),
  ],
  ["404", () => new Response("none", { status: 404 })],
  ["a redirection", () => Response.redirect("http://a/b")],
  ["304", () => new Response(null, { status: 304, headers: { etag: '"1"' } })],
];

for (const [name, answer] of BODIES) {
  cleanTest(
    `answer to a HEAD has the fields of a GET, when it is ${name} (${HEAD_METHOD})`,
    async () => {
      await using test = new TestServer(answer);
      const client = await test.connect();
      await client.send(GET + HEAD);
      const [got, headed] = [
        await client.answer(),
        await client.answer("HEAD"),
      ];
      // Section 8.6: without a body for HEAD, the length for GET is unknown.
      const unknown = answer().body === null ? "content-length" : "";
      const fields = (answer: Answer) =>
        answer.fields.filter(([name]) => name !== "date" && name !== unknown);
      assertEquals(fields(headed), fields(got));
      assertEquals([headed.status, headed.text], [got.status, ""]);
    },
  );
}

const REFUSED_HEADS: [status: number, sent: string][] = [
  [400, head("HEAD / HTTP/1.1")],
  [400, `\r\n${head("HEAD / HTTP/1.1", HOST, HOST)}`],
  [417, head("HEAD / HTTP/1.1", HOST, "Expect: wonders")],
  [413, head("HEAD / HTTP/1.1", HOST, `Content-Length: ${2 ** 40}`)],
  [431, `HEAD / HTTP/1.1\r\nA: ${"a".repeat(100_000)}`],
  [501, head("HEAD / HTTP/1.1", HOST, "Transfer-Encoding: gzip")],
  [505, head("HEAD / HTTP/2.0", HOST)],
];

for (const [status, sent] of REFUSED_HEADS) {
  cleanTest(
    `refusal with ${status} has no body, when it is of ${
      JSON.stringify(sent.slice(0, 50))
    } (${HEAD_METHOD})`,
    async () => {
      await using test = new TestServer(text);
      const client = await test.connect();
      await client.send(sent);
      const answers = await client.rest("HEAD");
      assertEquals(answers.map(({ status }) => status), [status]);
      assert(Number(answers[0]?.get("content-length")) > 0);
    },
  );
}

const DATED: [name: string, sent: string, handler: Handler][] = [
  ["200", GET, text],
  ["200 to a HEAD", HEAD, text],
  ["200 to HTTP/1.0", GET_1_0, text],
  ["200 of a stream", GET, stream],
  ["204", GET, status(204)],
  ["304", GET, status(304)],
  ["404", GET, () => new Response(null, { status: 404 })],
  ["500 of an error", GET, () => {
    throw new Error("no");
  }],
  ["400", "nonsense\r\n\r\n", text],
  ["413", head("POST / HTTP/1.1", HOST, `Content-Length: ${2 ** 40}`), text],
  ["431", `GET / HTTP/1.1\r\nA: ${"a".repeat(100_000)}`, text],
];

for (const [name, sent, handler] of DATED) {
  cleanTest(
    `answer of ${name} has the date, when it is sent (${DATE})`,
    async () => {
      await using test = new TestServer(handler);
      const client = await test.connect();
      const second = 1_000;
      const before = Math.floor(Date.now() / second) * second;
      await client.send(sent);
      const date = (await client.answer(sent.slice(0, sent.indexOf(" "))))
        .get("date") ?? "";
      // The form of RFC 9110 section 5.6.7 is that of JavaScript.
      assertEquals(new Date(date).toUTCString(), date);
      assert(Date.parse(date) >= before && Date.parse(date) <= Date.now());
    },
  );
}

cleanTest(
  `status line has HTTP/1.1, when the client is HTTP/1.0 (RFC 9110 section 2.5)`,
  async () => {
    await using test = new TestServer(text);
    const client = await test.connect();
    await client.send(GET_1_0);
    const bytes = toLatin1(await client.restBytes());
    assert(bytes.startsWith("HTTP/1.1 200 OK\r\n"), bytes);
  },
);

for (const status of [299, 418, 499, 599]) {
  const phrase = status === 418 ? "I'm a teapot" : "";
  cleanTest(
    `status line keeps its second space, when ${status} has the phrase "${phrase}" (${STATUS_LINE})`,
    async () => {
      await using test = new TestServer(() => new Response("x", { status }));
      const client = await test.connect();
      await client.send(head("GET / HTTP/1.1", HOST, "Connection: close"));
      const bytes = toLatin1(await client.restBytes());
      const line = bytes.slice(0, bytes.indexOf("\r\n"));
      assertEquals(line, `HTTP/1.1 ${status} ${phrase}`);
    },
  );
}
