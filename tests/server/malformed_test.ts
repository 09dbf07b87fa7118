import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import type { Handler } from "../../src/http/service.ts";
import type { Answer } from "../util/http_answers.ts";
import { concat, latin1 } from "../util/http_bytes.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { encodeRequest, requestModels } from "../util/http_messages.ts";
import { TestServer } from "../util/http_server.ts";
import { randomBytes } from "../util/random.ts";
import { head, HOST } from "../util/requests.ts";

/** More bytes than the system buffers: the server must read to get all. */
const LATE_BYTES = 16_777_216;
/** The same requests in every run. */
const SEED = 20_261_120;
const RUNS = 200;

const CHUNKED = "Transfer-Encoding: chunked";

/** One request for each status; `tests/http` has all. */
const SAMPLES: [status: number, name: string, bytes: string][] = [
  [400, "no HTTP", "hello\r\n\r\n"],
  [400, "a bad chunk", `${head("POST / HTTP/1.1", HOST, CHUNKED)}zz\r\n`],
  [
    413,
    "a body over the limit",
    head("POST / HTTP/1.1", HOST, "Content-Length: 1000000001"),
  ],
  [414, "a long target", head(`GET /${"a".repeat(10_000)} HTTP/1.1`, HOST)],
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
  [501, "a coding", head("POST / HTTP/1.1", HOST, "Transfer-Encoding: gzip")],
  [505, "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
];

const echo: Handler = async (request) => new Response(await request.text());

function assertRefused(answers: Answer[], status: number): void {
  assertEquals(answers.map((answer) => answer.status), [status]);
  assertEquals(answers[0]?.get("connection"), "close");
}

for (const [status, name, bytes] of SAMPLES) {
  cleanTest(
    `client still reads the ${status}, when it sends much more after ${name}`,
    async () => {
      await using test = new TestServer(echo, { bodyBytesMax: 1_000_000_000 });
      const client = await test.connect();
      await client.send(bytes);
      // All bytes get through, so the server sent no reset.
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

/** Bytes that may begin like a request. */
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
    // Only bodies that ended early may cause an error of the handler.
    for (const error of test.errors) {
      assert(error instanceof Deno.errors.UnexpectedEof, String(error));
    }
    await test.exercise(1);
  },
);
