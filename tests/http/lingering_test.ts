/**
 * RFC 9112 section 9.6: a sent answer arrives, also when its client still
 * sends, and the connection behind it ends without a reset.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { NEXT } from "../util/exchange.ts";
import { TestServer } from "../util/http_server.ts";
import { randomBytes } from "../util/random.ts";
import { GET, head } from "../util/requests.ts";

const TEARDOWN = "RFC 9112 section 9.6";

/** More bytes than the system buffers: the server must read to get all. */
const LATE_BYTES = 16_777_216;
/** An answer that a client gets in several reads. */
const LARGE_BYTES = 8_388_608;

const HOST = "Host: a";
const CHUNKED = head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked");
const COUNTED = head("POST / HTTP/1.1", HOST, `Content-Length: ${LATE_BYTES}`);
const CLOSE = head("GET / HTTP/1.1", HOST, "Connection: close");

const reading: Handler = async (request) => {
  return new Response(await request.text());
};
const refusing: Handler = () => new Response("no", { status: 403 });
const failing: Handler = () => {
  throw new Error("no");
};
const last: Handler = () =>
  new Response("last", { headers: { connection: "close" } });
const streaming: Handler = () =>
  new Response(new Blob(["no"]).stream(), { status: 403 });

/** The last answer, the request, and the handler. */
const LAST: [status: number, name: string, sent: string, handler: Handler][] = [
  [400, "no request", "nonsense\r\n\r\n", reading],
  [400, "a bad size", `${CHUNKED}5\r\nhello\r\nx\r\n`, reading],
  [400, "a bad trailer", `${CHUNKED}0\r\nA\r\n\r\n`, reading],
  [413, "too long a length", COUNTED, reading],
  [413, "too large a chunk", `${CHUNKED}5\r\nhello\r\nfffffff\r\n`, reading],
  [
    431,
    "too long a trailer",
    `${CHUNKED}0\r\nA: ${"a".repeat(20_000)}`,
    reading,
  ],
  [403, "a body that is refused", COUNTED, refusing],
  [403, "a body that is refused by a stream", COUNTED, streaming],
  [403, "chunks that are refused", `${CHUNKED}fffff\r\n`, refusing],
  [500, "an unread body and an error", COUNTED, failing],
  [200, "a request that says close", CLOSE, reading],
  [200, "a request whose answer says close", GET, last],
  [200, "a request of HTTP/1.0", head("GET / HTTP/1.0"), reading],
];

for (const [status, name, sent, handler] of LAST) {
  cleanTest(
    `client reads the last ${status} whole, when much more follows ${name} (${TEARDOWN})`,
    async () => {
      const bodyBytesMax = status === 413 ? 1_000_000 : LATE_BYTES;
      await using test = new TestServer(handler, { bodyBytesMax });
      const client = await test.connect();
      await client.send(sent);
      // All bytes get through, so the server sent no reset meanwhile.
      await client.send(randomBytes(LATE_BYTES, 1));
      const answers = await client.rest();
      assertEquals(answers.map((answer) => answer.status), [status]);
    },
  );
}

const LARGE: [name: string, handler: Handler][] = [
  ["bytes", () => new Response(new Uint8Array(LARGE_BYTES))],
  ["text", () => new Response("x".repeat(LARGE_BYTES))],
  ["a stream", () => new Response(new Blob([new Uint8Array(LARGE_BYTES)]))],
  ["chunks", () => {
    const { body } = new Response(new Blob([new Uint8Array(LARGE_BYTES)]));
    return new Response(body!.pipeThrough(new TransformStream()));
  }],
];

for (const [name, handler] of LARGE) {
  for (const request of [CLOSE, head("GET / HTTP/1.0")]) {
    const version = request.slice(6, 14);
    cleanTest(
      `client of ${version} reads all and then the end, when a last answer is large and of ${name} (${TEARDOWN})`,
      async () => {
        await using test = new TestServer(handler);
        const client = await test.connect();
        await client.send(request + NEXT + NEXT);
        const answers = await client.rest();
        assertEquals(answers.map(({ body }) => body.byteLength), [LARGE_BYTES]);
      },
    );
  }

  cleanTest(
    `client that ended its half reads all and then the end, when the answer is large and of ${name} (${TEARDOWN})`,
    async () => {
      await using test = new TestServer(handler);
      const client = await test.connect();
      await client.send(GET + GET);
      await client.end();
      const answers = await client.rest();
      assertEquals(answers.map(({ body }) => body.byteLength), [
        LARGE_BYTES,
        LARGE_BYTES,
      ]);
    },
  );
}

cleanTest(
  `client that ended its half is answered, when the handler is done later (${TEARDOWN})`,
  async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    await using test = new TestServer((request) =>
      request.method === "HEAD" ? new Response() : promise
    );
    const client = await test.connect();
    await client.send(GET);
    await client.end();
    await test.exercise(2);
    resolve(new Response("late"));
    const answers = await client.rest();
    assertEquals(answers.map(({ text }) => text), ["late"]);
  },
);

cleanTest(
  `client that ended its half is answered in order, when it has sent a pipeline (${TEARDOWN})`,
  async () => {
    await using test = new TestServer(async (request) => {
      return new Response(await request.text());
    });
    const client = await test.connect();
    const bodies = Array.from({ length: 50 }, (_, index) => `${index}`);
    const post = (body: string) =>
      head("POST / HTTP/1.1", HOST, `Content-Length: ${body.length}`) + body;
    await client.send(bodies.map(post).join(""));
    await client.end();
    const answers = await client.rest();
    assertEquals(answers.map(({ text }) => text), bodies);
  },
);
