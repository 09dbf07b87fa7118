/**
 * RFC 9112 section 6.3: the end of a request's body, for all methods.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import {
  exchangeTests,
  NEXT,
  type Row,
  splitTests,
  telling,
} from "../util/exchange.ts";
import { TestServer } from "../util/http_server.ts";
import { Peer } from "../util/http_transport.ts";
import { head } from "../util/requests.ts";

const LENGTH = "RFC 9112 section 6.3";
const CONTENT = "RFC 9110 section 9.3.1";

const HELLO = "hello";
const CHUNKS = "5\r\nhello\r\n0\r\n\r\n";

/** A request with a body of known length. */
function counted(method: string, body: string, ...fields: string[]): string {
  const length = `Content-Length: ${body.length}`;
  return head(`${method} /l HTTP/1.1`, "Host: a", length, ...fields) + body;
}

/** A request with a body in chunks. */
function chunked(method: string, chunks: string): string {
  const coding = "Transfer-Encoding: chunked";
  return head(`${method} /l HTTP/1.1`, "Host: a", coding) + chunks;
}

function row(
  rule: string,
  demand: string,
  sent: string,
  ...saw: string[]
): Row {
  return {
    rule,
    demand,
    sent,
    statuses: saw.map(() => 200),
    goesOn: true,
    saw,
  };
}

/** Methods with a body for the handler, as with `Deno.serve`. */
const WITH_BODY = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"];
/** Methods without a body for fetch: a received body is thrown away. */
const WITHOUT_BODY = ["GET", "HEAD"];

const ROWS: Row[] = [
  ...WITH_BODY.flatMap((method) => [
    row(
      LENGTH,
      `gives a ${method} its body, when that has a length`,
      counted(method, HELLO),
      `${method} /l hello`,
    ),
    row(
      LENGTH,
      `gives a ${method} its body, when that is chunked`,
      chunked(method, CHUNKS),
      `${method} /l hello`,
    ),
  ]),
  ...WITHOUT_BODY.flatMap((method) => [
    row(
      CONTENT,
      `throws the body of a ${method} away, when it has a length`,
      counted(method, HELLO),
      `${method} /l `,
    ),
    row(
      CONTENT,
      `throws the body of a ${method} away, when it is chunked`,
      chunked(method, CHUNKS),
      `${method} /l `,
    ),
    row(
      CONTENT,
      `takes no request out of the body of a ${method}, when one is in it`,
      counted(method, head("GET /inner HTTP/1.1", "Host: a")),
      `${method} /l `,
    ),
  ]),
  row(
    LENGTH,
    "reads no body, when nothing says that there is one",
    head("POST /l HTTP/1.1", "Host: a"),
    "POST /l ",
  ),
  row(
    LENGTH,
    "reads no body, when its length is zero",
    counted("POST", ""),
    "POST /l ",
  ),
  row(
    LENGTH,
    "begins the next request behind the body, when more bytes come",
    `${counted("POST", HELLO)}X`,
    "POST /l hello",
  ),
  row(
    LENGTH,
    "takes no request out of a body, when one is in it",
    counted("POST", NEXT),
    `POST /l ${NEXT}`,
  ),
  row(
    "RFC 9112 section 10.1",
    "takes no request out of a body, when it is of type message/http",
    counted("POST", NEXT, "Content-Type: message/http"),
    `POST /l ${NEXT}`,
  ),
  row(
    "RFC 9112 section 2.2",
    "skips an empty line, when an old client ends its body with one",
    `${counted("POST", HELLO)}\r\n`,
    "POST /l hello",
  ),
  {
    rule: LENGTH,
    demand: "refuses what follows, when a length is too short",
    sent: `${counted("POST", HELLO)}more\r\n\r\n`,
    statuses: [200, 400],
    goesOn: false,
    saw: ["POST /l hello"],
  },
];

/** The byte behind the body belongs to the method of the request behind it. */
function isShifted({ sent }: Row): boolean {
  return sent.endsWith("X");
}

exchangeTests(ROWS.filter((row) => !isShifted(row)));
splitTests(ROWS.filter((row) => !isShifted(row)));

cleanTest(
  "server takes a byte too many for the next method's first, when a body is longer than its length",
  async () => {
    for (const row of ROWS.filter(isShifted)) {
      const saw: string[] = [];
      await using test = new TestServer(telling(saw));
      const client = await test.connect();
      await client.send(row.sent + NEXT);
      await client.answers(2);
      assertEquals(saw, [...row.saw!, "XGET /next "]);
    }
  },
);

for (const method of WITHOUT_BODY) {
  cleanTest(
    `request of ${method} has a null body, when bytes came with it`,
    async () => {
      const saw: unknown[] = [];
      await using test = new TestServer(async (request) => {
        saw.push(request.body, request.bodyUsed, await request.text());
        return new Response();
      });
      const client = await test.connect();
      await client.send(counted(method, HELLO) + NEXT);
      assertEquals((await client.answer(method)).status, 200);
      assertEquals((await client.answer()).status, 200);
      assertEquals(saw.slice(0, 3), [null, false, ""]);
    },
  );

  Deno.test(`connection keeps nothing of it, when much comes with a ${method} that is being handled`, async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    const peer = new Peer(({ url }) =>
      url.endsWith("/l") ? promise : new Response("next")
    );
    // More bytes than wait for a handler that does not read, and for the next.
    const sent = counted(method, "x".repeat(200_000));
    for (let at = 0; at < sent.length; at += 20_000) {
      peer.send(sent.slice(at, at + 20_000));
    }
    await peer.settle();
    assertEquals([peer.unread, peer.transport.isPaused], [0, false]);
    resolve(new Response("first"));
    const answers = await peer.send(NEXT).answers(method);
    assertEquals(answers.map(({ status }) => status), [200, 200]);
  });
}

const EARLY_ENDS: [name: string, sent: string][] = [
  ["before its length", counted("POST", HELLO).slice(0, -1)],
  ["before its first byte", counted("POST", HELLO).slice(0, -5)],
  ["inside a chunk", chunked("POST", "5\r\nhel")],
  ["between chunks", chunked("POST", "5\r\nhello\r\n")],
  ["inside a size", chunked("POST", "5")],
  ["before the line behind the last chunk", chunked("POST", "0\r\n")],
  ["inside a trailer", chunked("POST", "0\r\nA: b")],
];

for (const [name, sent] of EARLY_ENDS) {
  cleanTest(
    `server takes no part of a body for all, when the client ends it ${name} (RFC 9112 section 8)`,
    async () => {
      const saw: string[] = [];
      await using test = new TestServer(telling(saw));
      const client = await test.connect();
      await client.send(sent);
      await client.end();
      const answers = await client.rest();
      assertEquals(answers.map(({ status }) => status), [500]);
      assertEquals(answers[0]?.get("connection"), "close");
      assertEquals(saw, []);
      assertEquals(test.errors.length, 1);
    },
  );

  cleanTest(
    `client that ended its body ${name} is answered, when the handler does not read it`,
    async () => {
      await using test = new TestServer(() => new Response("early"));
      const client = await test.connect();
      await client.send(sent);
      await client.end();
      const answers = await client.rest();
      assertEquals(answers.map(({ text }) => text), ["early"]);
    },
  );
}
