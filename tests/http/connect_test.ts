/** CONNECT: its target, its answer, and the bytes behind the answer. */

import { assertEquals } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import { toLatin1 } from "../util/http_bytes.ts";
import { TestServer } from "../util/http_server.ts";
import { refused, type Row, servedLast, wireTests } from "../util/wire.ts";
import { head, HOST } from "../util/requests.ts";

const CONNECT = head("CONNECT b:80 HTTP/1.1", "Host: b:80");

const TAKEN: Row[] = [
  "b:80",
  "B.Example:443",
  "127.0.0.1:1",
  "[::1]:65535",
  "b:00080",
].map((target) => [
  "RFC 9112 section 3.2.3",
  `CONNECT to ${target}`,
  head(`CONNECT ${target} HTTP/1.1`, HOST),
  servedLast({ method: "CONNECT", url: `http://${target}`, body: "" }),
]);

const OTHER: Row[] = [
  [
    "RFC 9110 section 9.3.6",
    "CONNECT, and that the connection be kept",
    head("CONNECT b:80 HTTP/1.1", HOST, "Connection: keep-alive"),
    servedLast({ method: "CONNECT" }),
  ],
  [
    "RFC 9110 section 9.3.6",
    "CONNECT in HTTP/1.0",
    head("CONNECT b:80 HTTP/1.0", "Connection: keep-alive"),
    servedLast({ method: "CONNECT", url: "http://b:80" }),
  ],
  [
    "RFC 9110 section 9.3.6",
    "CONNECT with a length of none",
    head("CONNECT b:80 HTTP/1.1", HOST, "Content-Length: 0"),
    servedLast({ method: "CONNECT", body: "" }),
  ],
  [
    "RFC 9110 section 9.3.6",
    "CONNECT, then bytes for the tunnel",
    `${CONNECT}\x16\x03\x01 hello`,
    servedLast({ method: "CONNECT" }),
  ],
];

const REFUSED: Row[] = ([
  ["no port", "b"],
  ["an empty port", "b:"],
  ["port zero", "b:0"],
  ["a port beyond ports", "b:65536"],
  ["a port that is no number", "b:http"],
  ["a port with a sign", "b:+80"],
  ["no host", ":80"],
  ["a user", "c@b:80"],
  ["a slash at the end", "b:80/"],
  ["a query", "b:80?c"],
  ["a fragment", "b:80#c"],
  ["a list", "b:80,c:80"],
  ["an address without brackets", "::1:80"],
  ["an address that does not end", "[::1:80"],
  ["a path", "/b"],
  ["an asterisk", "*"],
  ["a URL", "http://b:80/"],
  ["a URL without a path", "http://b:80"],
] as const).map(([name, target]) => [
  "RFC 9112 section 3.2.3",
  `CONNECT with ${name}`,
  head(`CONNECT ${target} HTTP/1.1`, HOST),
  refused(400),
]);

const BODIES: Row[] = [
  [
    "RFC 9110 section 9.3.6",
    "CONNECT with a length",
    `${head("CONNECT b:80 HTTP/1.1", HOST, "Content-Length: 5")}hello`,
    refused(400),
  ],
  [
    "RFC 9110 section 9.3.6",
    "CONNECT with chunks",
    `${
      head("CONNECT b:80 HTTP/1.1", HOST, "Transfer-Encoding: chunked")
    }0\r\n\r\n`,
    refused(400),
  ],
  [
    "RFC 9112 section 3.2",
    "CONNECT without Host",
    head("CONNECT b:80 HTTP/1.1"),
    refused(400),
  ],
];

/** A 200 would promise a tunnel, which only a proxy has. */
const STRICT: Row[] = TAKEN.map(([, name, bytes]) => [
  "RFC 9110 section 9.3.6",
  name,
  bytes,
  refused(501),
]);

wireTests([...STRICT, ...REFUSED, ...BODIES]);
wireTests([...TAKEN, ...OTHER], { requireHost: false });

const X = { x: "y" };
const LENGTH = { "content-length": "9" };

/** Answers of which only the head is sent. */
const SUCCESSES: [name: string, answer: () => Response][] = [
  ["text", () => new Response("no tunnel")],
  ["nothing", () => new Response()],
  ["bytes and a field", () => new Response(new Uint8Array(9), { headers: X })],
  ["a stream", () => new Response(new Blob(["no tunnel"]).stream())],
  ["its own length", () => new Response(null, { headers: LENGTH })],
  ["201", () => new Response("no tunnel", { status: 201 })],
];

for (const [name, answer] of SUCCESSES) {
  cleanTest(
    `server sends a head and closes, when a CONNECT is answered with ${name}`,
    async () => {
      await using test = new TestServer(answer, { requireHost: false });
      const client = await test.connect();
      await client.send(`${CONNECT}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
      const sent = toLatin1(await client.restBytes());
      const [first = "", ...rest] = sent.split("\r\n\r\n");
      assertEquals(rest, [""]);
      assertEquals(/^content-length:|^transfer-encoding:/im.exec(first), null);
      assertEquals(/^connection: close$/im.test(first), true);
    },
  );
}

cleanTest(
  "server sends the whole answer and closes, when it refuses a CONNECT",
  async () => {
    await using test = new TestServer(
      () => new Response("no tunnel", { status: 405 }),
      { requireHost: false },
    );
    const client = await test.connect();
    await client.send(CONNECT + CONNECT);
    const answers = await client.rest();
    assertEquals(answers.map(({ status, text }) => [status, text]), [
      [405, "no tunnel"],
    ]);
    assertEquals(answers[0]?.get("content-length"), "9");
    assertEquals(answers[0]?.get("connection"), "close");
  },
);
