import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import type { Handler } from "../src/http/service.ts";
import type { Answer } from "./util/http_answers.ts";
import { concat, latin1 } from "./util/http_bytes.ts";
import { cleanTest } from "./util/clean_tests.ts";
import { encodeRequest, requestModels } from "./util/http_messages.ts";
import { TestServer } from "./util/http_server.ts";
import { randomBytes } from "./util/random.ts";

/** More than the system buffers, so that it must be read to get through. */
const LATE_BYTES = 16_777_216;
/** The same requests in every run. */
const SEED = 20_261_120;
const RUNS = 200;

function head(...lines: string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

const HOST = "Host: a";
const CHUNKED = "Transfer-Encoding: chunked";

const MALFORMED: [status: number, name: string, bytes: string][] = [
  [400, "no HTTP", "hello\r\n\r\n"],
  [400, "TLS", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 hello"],
  [400, "NULs", "\0\0\0\0"],
  [400, "no version", head("GET /")],
  [400, "a lower-case version", head("GET / http/1.1", HOST)],
  [400, "two spaces", head("GET  / HTTP/1.1", HOST)],
  [400, "a space in the target", head("GET /a b HTTP/1.1", HOST)],
  [400, "no Host", head("GET / HTTP/1.1")],
  [400, "two Hosts", head("GET / HTTP/1.1", HOST, HOST)],
  [400, "a path for Host", head("GET / HTTP/1.1", "Host: a/b")],
  [400, "bare LFs", "GET / HTTP/1.1\nHost: a\n\n"],
  [400, "a bare CR", head("GET / HTTP/1.1", HOST, "X: a\rb")],
  [400, "a folded field", head("GET / HTTP/1.1", HOST, "X: a", "\tb")],
  [400, "a field without a colon", head("GET / HTTP/1.1", HOST, "X")],
  [400, "a space before a colon", head("GET / HTTP/1.1", HOST, "X : a")],
  [400, "a NUL in a field", head("GET / HTTP/1.1", HOST, "X: \0")],
  [
    400,
    "a length and chunks",
    head("POST / HTTP/1.1", HOST, CHUNKED, "Content-Length: 1"),
  ],
  [
    400,
    "two lengths",
    head("POST / HTTP/1.1", HOST, "Content-Length: 1", "Content-Length: 1"),
  ],
  [
    400,
    "a list of lengths",
    head("POST / HTTP/1.1", HOST, "Content-Length: 1, 1"),
  ],
  [
    400,
    "a length with a sign",
    head("POST / HTTP/1.1", HOST, "Content-Length: +1"),
  ],
  [
    400,
    "chunks twice",
    head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked, chunked"),
  ],
  [400, "chunks in HTTP/1.0", head("POST / HTTP/1.0", HOST, CHUNKED)],
  [400, "a bad chunk", `${head("POST / HTTP/1.1", HOST, CHUNKED)}zz\r\n`],
  [
    400,
    "a chunk too long",
    `${head("POST / HTTP/1.1", HOST, CHUNKED)}1\r\nab\r\n`,
  ],
  [
    413,
    "a length beyond numbers",
    head("POST / HTTP/1.1", HOST, `Content-Length: ${2 ** 60}`),
  ],
  [
    413,
    "a body over the limit",
    head("POST / HTTP/1.1", HOST, "Content-Length: 1000000001"),
  ],
  [
    417,
    "an expectation",
    head("GET / HTTP/1.1", HOST, "Expect: the-unexpected"),
  ],
  [
    431,
    "a long head",
    head("GET / HTTP/1.1", HOST, `X: ${"a".repeat(40_000)}`),
  ],
  [431, "an endless field", `GET / HTTP/1.1\r\nX: ${"a".repeat(100_000)}`],
  [414, "an endless target", `GET /${"a".repeat(100_000)}`],
  [431, "endless empty lines", "\r\n".repeat(20_000)],
  [
    431,
    "many fields",
    head(
      "GET / HTTP/1.1",
      HOST,
      ..."X: a\r\n".repeat(101).trim().split("\r\n"),
    ),
  ],
  [501, "CONNECT", head("CONNECT a:80 HTTP/1.1", "Host: a:80")],
  [501, "a coding", head("POST / HTTP/1.1", HOST, "Transfer-Encoding: gzip")],
  [505, "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  [505, "HTTP/3.7", head("GET / HTTP/3.7", HOST)],
];

const echo: Handler = async (request) => new Response(await request.text());

function assertRefused(answers: Answer[], status: number): void {
  assertEquals(answers.map((answer) => answer.status), [status]);
  assertEquals(answers[0]?.get("connection"), "close");
}

for (const [status, name, bytes] of MALFORMED) {
  cleanTest(
    `server answers ${status} and closes, when it gets ${name}`,
    async () => {
      await using test = new TestServer(echo, { bodyBytesMax: 1_000_000_000 });
      const client = await test.connect();
      await client.send(bytes);
      assertRefused(await client.rest(), status);
      await test.exercise(1);
    },
  );
}

/** One of each status; what an endless one gets depends on what follows. */
const SAMPLES = MALFORMED.filter(([status, name], index) =>
  !name.startsWith("endless") && MALFORMED[index - 1]?.[0] !== status
);

for (const [status, name, bytes] of SAMPLES) {
  cleanTest(
    `client still reads the ${status}, when it sends much more after ${name}`,
    async () => {
      await using test = new TestServer(echo, { bodyBytesMax: 1_000_000_000 });
      const client = await test.connect();
      await client.send(bytes);
      // All of it gets through, so nothing was reset.
      await client.send(randomBytes(LATE_BYTES, 1));
      assertRefused(await client.rest(), status);
    },
  );
}

cleanTest(
  "client still reads the answer, when the handler refuses a huge body",
  async () => {
    await using test = new TestServer(() =>
      new Response("no", { status: 403 })
    );
    const client = await test.connect();
    await client.send(
      head("POST / HTTP/1.1", HOST, `Content-Length: ${LATE_BYTES}`),
    );
    await client.send(randomBytes(LATE_BYTES, 2));
    assertEquals((await client.rest()).map(({ status }) => status), [403]);
  },
);

cleanTest(
  "client is answered before, when a later request is malformed",
  async () => {
    await using test = new TestServer(echo);
    const client = await test.connect();
    await client.send(head("GET / HTTP/1.1", HOST).repeat(3) + "\0");
    const statuses = (await client.rest()).map(({ status }) => status);
    assertEquals(statuses, [200, 200, 200, 400]);
  },
);

cleanTest(
  "server closes without a word, when a head is not whole at the end",
  async () => {
    await using test = new TestServer(echo);
    for (const bytes of ["", "GET", "GET / HTTP/1.1\r\nHost: a\r\n"]) {
      const client = await test.connect();
      await client.send(bytes);
      await client.end();
      assertEquals(await client.rest(), []);
    }
  },
);

/** Bytes that may begin well. */
function garbage(): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => bytes.slice());
  const text = fc.string({ unit: "binary-ascii", maxLength: 200 }).map(latin1);
  const words = fc.array(
    fc.constantFrom(
      "GET ",
      "POST ",
      "/ ",
      "HTTP/1.1",
      "\r\n",
      "\r",
      "\n",
      "\r\n\r\n",
      ": ",
      "Host",
      "a",
      "Content-Length",
      "Transfer-Encoding",
      "chunked",
      "5",
      "0",
      "\0",
      "\xff",
      ",",
      ";",
    ),
    { maxLength: 30 },
  ).map((words) => latin1(words.join("")));
  const broken = fc.tuple(requestModels(), fc.nat(), fc.nat({ max: 255 }))
    .map(([request, position, byte]) => {
      const bytes = encodeRequest(request);
      bytes[position % bytes.byteLength] = byte;
      return bytes;
    });
  return fc.array(fc.oneof(noise, text, words, broken), {
    minLength: 1,
    maxLength: 3,
  }).map(concat);
}

cleanTest(
  "server answers in HTTP and closes, when it gets garbage",
  async () => {
    await using test = new TestServer(async (request) => {
      const { method, url, headers } = request;
      return Response.json([method, url, [...headers], await request.text()]);
    });
    let refused = 0;
    const property = fc.asyncProperty(garbage(), async (bytes) => {
      using client = await test.connect();
      await client.send(bytes);
      await client.end();
      const answers = (await client.rest("GET")).filter(({ status }) =>
        status >= 200
      );
      const last = answers.at(-1);
      for (const answer of answers) {
        const isRefusal = answer.status !== 200;
        if (isRefusal) refused++;
        assert(
          [200, 400, 413, 417, 431, 500, 501, 505].includes(answer.status),
        );
        if (isRefusal && answer.status !== 500) {
          assertEquals(answer, last);
          assertEquals(answer.get("connection"), "close");
        }
      }
    });
    await fc.assert(property, { seed: SEED, numRuns: RUNS });
    assertLess(RUNS / 4, refused);
    // Only bodies that ended early may have reached the handler's error.
    for (const error of test.errors) {
      assert(error instanceof Deno.errors.UnexpectedEof, String(error));
    }
    await test.exercise(1);
  },
);
