/**
 * Which fields of a response are sent, and how.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertThrows,
} from "@std/assert";
import { useSymbols } from "../../src/http/response.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { NEXT } from "../util/exchange.ts";
import { parseAnswers } from "../util/http_answers.ts";
import { concat, toLatin1 } from "../util/http_bytes.ts";
import type { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { eventually, within } from "../util/waiting.ts";
import { GET, head } from "../util/requests.ts";

const HOST = "Host: a";
const HEAD = head("HEAD / HTTP/1.1", HOST);

const OURS = ["date", "content-length", "transfer-encoding"];

/** Returns the lines of an answer's head, names as sent, without ours. */
async function linesOf(response: () => Response): Promise<string[]> {
  await using test = new TestServer(response);
  const client = await test.connect();
  await client.send(head("GET / HTTP/1.1", HOST, "Connection: close"));
  const bytes = toLatin1(await client.restBytes());
  assertEquals(test.errors, []);
  return bytes.slice(0, bytes.indexOf("\r\n\r\n")).split("\r\n").slice(1)
    .filter((line) =>
      !OURS.includes(line.split(":")[0]!.toLowerCase()) &&
      line !== "connection: close"
    );
}

function headers(...fields: [string, string][]): Headers {
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, value);
  return headers;
}

function streamOf(...texts: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(texts).pipeThrough(new TextEncoderStream());
}

/** Fields that `Deno.serve` sends in the same way, line by line. */
const LINES: [what: string, make: () => Response, lines: string[]][] = [
  [
    "an object",
    () => new Response(null, { headers: { "X-B": "1", etag: '"2"', "A": "" } }),
    ["X-B: 1", 'etag: "2"', "A: "],
  ],
  [
    "pairs",
    () =>
      new Response(null, {
        headers: [["Z-A", "1"], ["B", "2"], ["z-a", "3"], ["B", "4"]],
      }),
    ["Z-A: 1", "B: 2", "Z-A: 3", "B: 4"],
  ],
  [
    "Headers, which are sorted",
    () =>
      new Response(null, {
        headers: headers(["Z-Z", "1"], ["A-A", "2"], ["z-z", "3"]),
      }),
    ["a-a: 2", "z-z: 1, 3"],
  ],
  [
    "cookies",
    () =>
      new Response(null, {
        headers: headers(
          ["Set-Cookie", "a=1; Path=/"],
          ["X", "1"],
          ["set-cookie", "b=2, 3"],
        ),
      }),
    ["set-cookie: a=1; Path=/", "set-cookie: b=2, 3", "x: 1"],
  ],
  [
    "cookies appended later",
    () => {
      const response = new Response(null);
      response.headers.append("Set-Cookie", "a=1");
      response.headers.append("Set-Cookie", "b=2");
      return response;
    },
    ["Set-Cookie: a=1", "Set-Cookie: b=2"],
  ],
  [
    "a type beside others",
    () => new Response("x", { headers: { "X-A": "1" } }),
    ["X-A: 1", "Content-Type: text/plain;charset=UTF-8"],
  ],
  [
    "a type alone",
    () => new Response("x", { headers: { "Content-Type": "text/html" } }),
    ["content-type: text/html"],
  ],
  [
    "bytes above ASCII",
    () => new Response(null, { headers: { "x-a": "\xe9\xff\tb" } }),
    ["x-a: \xe9\xff\tb"],
  ],
  [
    "a name of the server",
    () => new Response(null, { headers: { Server: "me" } }),
    ["Server: me"],
  ],
  ["nothing", () => new Response(null), []],
];

for (const [what, make, lines] of LINES) {
  cleanTest(
    `answer has fields as the handler gave them, when they are ${what}`,
    async () => {
      assertEquals(await linesOf(make), lines);
    },
  );
}

/** Fields of the connection, which the server decides. */
const KEPT_BACK: [name: string, value: string][] = [
  ["Transfer-Encoding", "chunked"],
  ["Transfer-Encoding", "gzip"],
  ["Keep-Alive", "timeout=5"],
  ["Upgrade", "h2c"],
  ["Connection", "keep-alive"],
  ["Connection", "X-A"],
];

for (const [name, value] of KEPT_BACK) {
  for (const body of ["text", "stream"]) {
    cleanTest(
      `answer has no field of its handler's, when that is ${name}: ${value} with a body of ${body}`,
      async () => {
        await using test = new TestServer(() =>
          new Response(body === "stream" ? streamOf(body) : body, {
            headers: { [name]: value },
          })
        );
        const client = await test.connect();
        await client.send(GET + GET);
        for (const answer of await client.answers(2)) {
          assertEquals(answer.text, body);
          const lower = name.toLowerCase();
          const own = lower === "transfer-encoding" && body === "stream"
            ? "chunked"
            : undefined;
          assertEquals(answer.get(lower), own);
        }
      },
    );
  }
}

cleanTest(
  "answer offers protocols, when its status asks for an upgrade (RFC 9110 section 15.5.22)",
  async () => {
    const lines = await linesOf(() =>
      new Response(null, {
        status: 426,
        headers: { Upgrade: "websocket", Connection: "upgrade" },
      })
    );
    assertEquals(lines, ["Upgrade: websocket", "connection: Upgrade"]);
  },
);

for (const value of ["close", "CLOSE", "foo, Close", ",close,"]) {
  for (const body of [null, "text", "stream"]) {
    cleanTest(
      `connection closes behind the answer, when its handler says "${value}" with a body of ${body}`,
      async () => {
        await using test = new TestServer(() =>
          new Response(
            body === "stream" ? new Blob(["stream"]).stream() : body,
            { headers: { Connection: value } },
          )
        );
        const client = await test.connect();
        await client.send(GET + NEXT);
        const [answer, ...others] = await client.rest();
        assertEquals(answer?.text, body ?? "");
        assertEquals(answer?.get("connection"), "close");
        assertEquals(others, []);
      },
    );
  }
}

cleanTest(
  "connection closes, when the handler says close in the second of two fields",
  async () => {
    await using test = new TestServer(() =>
      new Response("x", {
        headers: [["Connection", "foo"], ["Connection", "close"]],
      })
    );
    const client = await test.connect();
    await client.send(GET + NEXT);
    const answers = await client.rest();
    assertEquals(answers.map((answer) => answer.get("connection")), ["close"]);
  },
);

cleanTest("answer has the handler's date, when there is one", async () => {
  const DATE = "Thu, 01 Jan 1970 00:16:40 GMT";
  await using test = new TestServer(() =>
    new Response("x", { headers: { Date: DATE } })
  );
  const client = await test.connect();
  await client.send(GET);
  assertEquals((await client.answer()).all("date"), [DATE]);
});

/** The length that the response has for "hello", and the sent length. */
const LENGTHS: [said: [string, string][]][] = [
  [[["Content-Length", "5"]]],
  [[["Content-Length", "2"]]],
  [[["Content-Length", "9"]]],
  [[["Content-Length", "0"]]],
  [[["Content-Length", "05"]]],
  [[["Content-Length", "five"]]],
  [[["Content-Length", ""]]],
  [[["Content-Length", "-5"]]],
  [[["Content-Length", "5, 5"]]],
  [[["Content-Length", "4"], ["Content-Length", "6"]]],
  [[["Content-Length", "9"], ["Transfer-Encoding", "chunked"]]],
];

for (const [said] of LENGTHS) {
  const shown = said.map((field) => field.join(": ")).join(" and ");
  cleanTest(
    `answer has its true length, when its handler says ${shown} of text`,
    async () => {
      await using test = new TestServer(() =>
        new Response("hello", { headers: said })
      );
      const client = await test.connect();
      await client.send(GET + HEAD + GET);
      for (const method of ["GET", "HEAD", "GET"]) {
        const answer = await client.answer(method);
        assertEquals(answer.get("content-length"), "5");
        assertEquals(answer.text, method === "HEAD" ? "" : "hello");
      }
    },
  );
}

const STREAM_LENGTHS: [said: [string, string][], framed: string][] = [
  [[["Content-Length", "5"]], "content-length: 5"],
  [[["content-length", "05"]], "content-length: 5"],
  [[["Content-Length", "5"], ["Content-Length", "5"]], "content-length: 5"],
  [[["Content-Length", "5"], ["Content-Length", "6"]], "chunked"],
  [[["Content-Length", "5, 5"]], "chunked"],
  [[["Content-Length", "five"]], "chunked"],
  [[["Content-Length", ""]], "chunked"],
  [[["Content-Length", "-5"]], "chunked"],
  [[["Content-Length", "99999999999999999999"]], "chunked"],
  [
    [["Content-Length", "5"], ["Transfer-Encoding", "gzip"]],
    "content-length: 5",
  ],
];

for (const [said, framed] of STREAM_LENGTHS) {
  const shown = said.map((field) => field.join(": ")).join(" and ");
  cleanTest(
    `answer is framed by ${framed}, when its handler says ${shown} of a stream`,
    async () => {
      await using test = new TestServer(() =>
        new Response(streamOf("he", "llo"), { headers: said })
      );
      const client = await test.connect();
      await client.send(GET + HEAD + GET);
      for (const method of ["GET", "HEAD", "GET"]) {
        const answer = await client.answer(method);
        const length = answer.get("content-length");
        const coding = answer.get("transfer-encoding");
        assertEquals(coding ?? `content-length: ${length}`, framed);
        assertEquals(answer.text, method === "HEAD" ? "" : "hello");
      }
    },
  );
}

/** Reads to the end, which may be a reset. */
async function whatCame(client: RawClient): Promise<string> {
  const chunks: Uint8Array[] = [];
  try {
    for (;;) {
      const bytes = await client.read();
      if (bytes === undefined) break;
      chunks.push(bytes);
    }
  } catch (error) {
    assertInstanceOf(error, Deno.errors.ConnectionReset);
  }
  return toLatin1(concat(chunks));
}

/** Catches and returns the errors that the server reports. */
async function reported(run: () => Promise<void>): Promise<unknown[]> {
  const { error } = console;
  const reports: unknown[] = [];
  // deno-lint-ignore no-console -- where a server prints errors
  console.error = (report: unknown) => void reports.push(report);
  try {
    await run();
  } finally {
    // deno-lint-ignore no-console -- as above
    console.error = error;
  }
  return reports;
}

const BROKEN: [what: string, said: string, chunks: string[]][] = [
  ["fewer bytes", "9", ["he", "llo"]],
  ["a byte less", "6", ["hello"]],
];

for (const [what, said, chunks] of BROKEN) {
  cleanTest(
    `connection ends and the error is reported, when a stream has ${what} than its content-length of ${said}`,
    async () => {
      const errors: unknown[] = [];
      const reports = await reported(async () => {
        await using test = new TestServer(() =>
          new Response(streamOf(...chunks), {
            headers: { "content-length": said },
          })
        );
        const client = await test.connect();
        await client.send(GET + NEXT);
        const came = await whatCame(client);
        const end = came.indexOf("\r\n\r\n");
        const body = end < 0 ? "" : came.slice(end + 4);
        // The announced length at the most, and nothing of a second answer.
        assert(chunks.join("").slice(0, Number(said)).startsWith(body), body);
        errors.push(...test.errors);
      });
      errors.push(...reports);
      assertEquals(errors.length, 1);
      assertInstanceOf(errors[0], TypeError);
    },
  );
}

const TOO_LONG: [what: string, said: string, chunks: string[]][] = [
  ["more bytes in one chunk", "3", ["hello, you"]],
  ["more bytes in a second chunk", "3", ["he", "llo"]],
  ["more bytes behind the last", "5", ["hello", "GET"]],
  ["any bytes for none", "0", ["hello"]],
];

for (const [what, said, chunks] of TOO_LONG) {
  cleanTest(
    `connection is kept and the error is reported, when a stream has ${what} than its content-length of ${said}`,
    async () => {
      await using test = new TestServer(() =>
        new Response(streamOf(...chunks), {
          headers: { "content-length": said },
        })
      );
      const client = await test.connect();
      await client.send(GET + NEXT);
      const texts = (await client.answers(2)).map(({ text }) => text);
      const promised = chunks.join("").slice(0, Number(said));
      assertEquals(texts, [promised, promised]);
      await eventually("two errors", () => test.errors.length === 2);
      for (const error of test.errors) assertInstanceOf(error, TypeError);
    },
  );
}

cleanTest(
  "onError answers, when a stream ends before the first byte of its content-length",
  async () => {
    await using test = new TestServer(() =>
      new Response(streamOf(), { headers: { "content-length": "9" } })
    );
    const client = await test.connect();
    await client.send(GET);
    assertEquals((await client.answer()).status, 500);
    assertInstanceOf(test.errors[0], TypeError);
  },
);

cleanTest(
  "stream is not sent, when it has a length and the request is a HEAD",
  async () => {
    const cancelled = Promise.withResolvers<void>();
    await using test = new TestServer(() =>
      new Response(
        new ReadableStream({ cancel: () => cancelled.resolve() }),
        { headers: { "content-length": "1234" } },
      )
    );
    const client = await test.connect();
    await client.send(HEAD + HEAD);
    for (let count = 0; count < 2; count++) {
      assertEquals((await client.answer("HEAD")).get("content-length"), "1234");
    }
    await within(cancelled.promise, "the stream to be cancelled");
  },
);

/** Characters that would end a line, or are no byte. */
const SPLITTING = [
  "a\r\nX-Evil: 1",
  "a\nX-Evil: 1",
  "a\rX-Evil: 1",
  "a\r\n\r\nHTTP/1.1 200 OK",
  "a\0b",
  "a\u010d\u010aX-Evil: 1",
  "a\u{1f44b}",
];

for (const value of SPLITTING) {
  Deno.test(`Headers and Response refuse ${JSON.stringify(value)}, when a handler makes them`, () => {
    const makes: (() => unknown)[] = [
      () => new Headers({ a: value }),
      () => new Headers([["a", value]]),
      () => new Headers().append("a", value),
      () => new Response("x").headers.set("a", value),
      () => new Response("x", { headers: { a: value } }),
      () => new Response("x", { headers: { "content-type": value } }),
      () => Response.json(1, { headers: { "content-type": value } }),
      () => new Response("x", { statusText: value }),
      () => Response.json(1, { statusText: value }),
      () => new Response("x", { headers: { [value]: "a" } }),
    ];
    for (const make of makes) assertThrows(make, TypeError);
  });
}

/** A Blob of any type, which Deno does not check. */
function blobOf(type: string): Blob {
  const blob = new Blob(["x"]);
  Object.defineProperty(blob, "type", { value: type });
  return blob;
}

/** A response with any properties, by the public interface. */
class Evil extends Response {
  readonly #evil: { text?: string; fields?: [string, string][] };

  constructor(evil: { text?: string; fields?: [string, string][] }) {
    super("x");
    this.#evil = evil;
  }

  override get statusText(): string {
    return this.#evil.text ?? super.statusText;
  }

  override get headers(): Headers {
    const { fields } = this.#evil;
    return fields === undefined ? super.headers : fields as unknown as Headers;
  }
}

const CONTROLS = [...SPLITTING, "a\x01b", "a\x7fb", `${"a".repeat(300)}\r\nb`];

const WAYS_IN: [name: string, make: (value: string) => Response][] = [
  ["the type of a Blob", (value) => new Response(blobOf(value))],
  ["the type of a Blob beside fields", (value) => {
    return new Response(blobOf(value), { headers: { a: "b" } });
  }],
];

const PUBLIC_WAYS_IN: typeof WAYS_IN = [
  ["the phrase", (text) => new Evil({ text })],
  ["a value", (value) => new Evil({ fields: [["x-a", value]] })],
  ["a name", (name) => new Evil({ fields: [[name, "a"]] })],
];

/** Sends a response that must be refused, and a good one. */
async function assertRefused(make: () => Response): Promise<void> {
  const responses = [make, () => new Response("good")];
  await using test = new TestServer(() => responses.shift()!());
  const client = await test.connect();
  await client.send(head("GET / HTTP/1.1", HOST));
  await client.send(head("GET / HTTP/1.1", HOST, "Connection: close"));
  const bytes = await client.restBytes();
  assertEquals(toLatin1(bytes).includes("Evil"), false);
  const answers = parseAnswers(bytes);
  assertEquals(answers.map(({ text }) => text), ["failed", "good"]);
  assertInstanceOf(test.errors[0], TypeError);
}

for (const [name, make] of WAYS_IN) {
  for (const value of CONTROLS) {
    cleanTest(
      `answer goes to onError, when ${name} is ${
        JSON.stringify(value.slice(-30))
      } (RFC 9110 section 5.5)`,
      async () => {
        await assertRefused(() => make(value));
      },
    );
  }
}

for (const [name, make] of [...WAYS_IN, ...PUBLIC_WAYS_IN]) {
  for (const value of CONTROLS) {
    cleanTest(
      `answer goes to onError, when ${name} is ${
        JSON.stringify(value.slice(-30))
      } by the public interface (RFC 9110 section 5.5)`,
      async () => {
        useSymbols(false);
        try {
          await assertRefused(() => make(value));
        } finally {
          useSymbols(true);
        }
      },
    );
  }
}

for (const value of ["a\x01b", "a\x7fb"]) {
  cleanTest(
    `answer goes to onError, when Headers let ${
      JSON.stringify(value)
    } by (RFC 9110 section 5.5)`,
    async () => {
      await assertRefused(() => new Response("x", { headers: { a: value } }));
      await assertRefused(() =>
        new Response("x", { headers: { "content-type": value } })
      );
      const stream = new Blob(["x"]).stream();
      await assertRefused(() =>
        new Response(stream, { headers: { a: value } })
      );
    },
  );
}

cleanTest(
  "stream is cancelled, when the head of its answer cannot be sent",
  async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    await assertRefused(() =>
      new Response(new ReadableStream({ cancel: resolve }), {
        headers: { a: "\x01" },
      })
    );
    assertInstanceOf(await within(promise, "the cancel"), TypeError);
  },
);
