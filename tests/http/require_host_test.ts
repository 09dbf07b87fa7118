/** Requests that `requireHost: false` accepts or refuses. */

import { assertEquals } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import { TestServer } from "../util/http_server.ts";
import {
  refused,
  type Row,
  served,
  servedLast,
  wireTests,
} from "../util/wire.ts";
import { head, HOST } from "../util/requests.ts";

const GET = "GET /b HTTP/1.1";

const HOSTLESS: Row[] = [
  ["RFC 9112 section 3.2", "no Host", head(GET), served({ headers: {} })],
  [
    "RFC 9110 section 4.2.1",
    "an empty Host",
    head(GET, "Host:"),
    served({ headers: { host: "" } }),
  ],
  [
    "RFC 9112 section 3.2",
    "no Host and an absolute target",
    head("GET http://c/d HTTP/1.1"),
    served({ url: "http://c/d" }),
  ],
  [
    "RFC 9112 section 3.2",
    "no Host in HTTP/1.2",
    head("GET http://c/ HTTP/1.2"),
    served({ url: "http://c/" }),
  ],
  [
    "RFC 9112 section 3.2.3",
    "CONNECT without Host",
    head("CONNECT b:80 HTTP/1.1"),
    servedLast({ method: "CONNECT", url: "http://b:80" }),
  ],
  [
    "RFC 9110 section 9.3.6",
    "CONNECT with a body",
    `${head("CONNECT b:80 HTTP/1.1", "Content-Length: 5")}hello`,
    servedLast({ method: "CONNECT", url: "http://b:80", body: "hello" }),
  ],
];

const LINES: Row[] = [
  ["all lines ending in a bare LF", `${GET}\nHost: a\nX: y\n\n`],
  ["empty lines that are bare LFs", `\n\n${GET}\nHost: a\nX: y\n\n`],
  ["a request line ending in a bare LF", `${GET}\nHost: a\r\nX: y\r\n\r\n`],
  ["a field ending in a bare LF", `${GET}\r\nHost: a\nX: y\r\n\r\n`],
  ["the last field ending in a bare LF", `${GET}\r\nHost: a\r\nX: y\n\r\n`],
  ["an empty line that is a bare LF", `${GET}\r\nHost: a\r\nX: y\r\n\n`],
].map(([name, bytes]): Row => [
  "RFC 9112 section 2.2",
  name!,
  bytes!,
  served({ url: "http://a/b", headers: { host: "a", x: "y" } }),
]);

const FRAMED: Row[] = [
  [
    "RFC 9112 section 2.2",
    "a body after bare LFs",
    "POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello",
    served({ body: "hello" }),
  ],
  [
    "RFC 9112 section 7.1",
    "chunks after bare LFs",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n" +
    "5\r\nhello\r\n0\r\n\r\n",
    served({ body: "hello" }),
  ],
  [
    "RFC 9112 section 7.1",
    "chunks whose lines end in bare LFs",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n" +
    "5\nhello\n0\n\n",
    refused(400),
  ],
];

const STILL: Row[] = ([
  ["two Hosts", head(GET, HOST, HOST)],
  ["a malformed Host", head(GET, "Host: b/c")],
  ["a Host with a user", head(GET, "Host: b@c")],
  ["a bare CR for a line end", `${GET}\rHost: a\r\n\r\n`],
  ["a bare CR in a value", head(GET, HOST, "X: y\rz")],
  ["a folded field", `${GET}\nHost: a\nX: y\n z\n\n`],
  ["a space before a colon", `${GET}\nHost : a\n\n`],
  ["a NUL in a value", `${GET}\nX: \0\n\n`],
  [
    "a length and chunks",
    head(GET, "Content-Length: 0", "Transfer-Encoding: chunked"),
  ],
  ["two lengths", head(GET, "Content-Length: 0", "Content-Length: 0")],
  ["a fragment", head("GET /#b HTTP/1.1")],
  ["a GET of the whole server", head("GET * HTTP/1.1")],
  ["a naked path", head("GET path HTTP/1.1")],
  ["a naked authority", head("GET deno.land:1234 HTTP/1.1")],
  ["CONNECT with a path", head("CONNECT /path HTTP/1.1")],
] as const).map(([name, bytes]) => [
  "RFC 9112 section 2.2",
  `${name} all the same`,
  bytes,
  refused(400),
]);

/** Requests with 431 in RFC 6585, but not in Deno. */
const TOO_LARGE: Row[] = [
  [
    "RFC 9110 section 5.4",
    "a value that is too long",
    head(GET, `X: ${"y".repeat(100_000)}`),
    refused(400),
  ],
  [
    "RFC 9110 section 5.4",
    "a hundred and one fields",
    head(GET, ...new Array<string>(101).fill("X: y")),
    refused(400),
  ],
];

wireTests(
  [...HOSTLESS, ...LINES, ...FRAMED, ...STILL, ...TOO_LARGE],
  { requireHost: false },
);

cleanTest(
  "handler reads fields after a while, when they came without Host and in bare LFs",
  async () => {
    await using test = new TestServer(async ({ headers }) => {
      await undefined;
      return new Response(headers.get("x"));
    }, { requireHost: false });
    const client = await test.connect();
    await client.send("GET / HTTP/1.1\nX: 1\n\nGET / HTTP/1.1\nX: 2\n\n");
    const answers = await client.answers(2);
    assertEquals(answers.map(({ text }) => text), ["1", "2"]);
  },
);
