/** Telling HTTP messages apart for a trace. */

import { assert, assertEquals } from "@std/assert";
import { MessageWatch } from "../../src/trace/message_watch.ts";
import { latin1 } from "../util/http_bytes.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";

function received(watch: MessageWatch, text: string): string {
  const bytes = latin1(text);
  return watch.received(bytes, 0, bytes.byteLength);
}

function sent(watch: MessageWatch, text: string): string {
  const bytes = latin1(text);
  return watch.sent(bytes, 0, bytes.byteLength);
}

const FIELDS = "Host: a\r\n\r\n";

const SHOWN: [what: string, bytes: string, says: string][] = [
  ["a request", `GET /a HTTP/1.1\r\n${FIELDS}`, "GET /a"],
  ["no query", `GET /a?key=s HTTP/1.1\r\n${FIELDS}`, "GET /a?…"],
  ["no user", `GET http://u:p@h/b?c HTTP/1.1\r\n${FIELDS}`, "GET /b?…"],
  ["no authority", `GET http://u:p@h HTTP/1.0\r\n${FIELDS}`, "GET /"],
  ["no query alone", `GET http://u:p@h?q HTTP/1.1\r\n${FIELDS}`, "GET ?…"],
  ["an asterisk", `OPTIONS * HTTP/1.1\r\n${FIELDS}`, "OPTIONS *"],
  [
    "no control characters",
    `GET /\x1b[2J\x9b\xe9 HTTP/1.1\r\n${FIELDS}`,
    "GET /\\x1b[2J\\x9b\\xe9",
  ],
  [
    "no long target",
    `GET /${"a".repeat(4000)} HTTP/1.1\r\n${FIELDS}`,
    `GET /${"a".repeat(47)}…`,
  ],
  [
    "an empty line before",
    `\r\nGET /a HTTP/1.1\r\n${FIELDS}`,
    "GET /a",
  ],
  ["an answer", "HTTP/1.1 404 Not Found\r\n\r\n", "404 Not Found"],
  ["no reason", "HTTP/1.1 200\r\n\r\n", "200"],
  ["nothing else", "hello\r\nGET / HTTP/1.1\r\n\r\n", ""],
  ["no TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", ""],
  ["no other version", `GET / HTTP/2.0\r\n${FIELDS}`, ""],
  ["no unfinished line", "GET /a HTTP/1.1", ""],
];

for (const [what, bytes, says] of SHOWN) {
  Deno.test(`MessageWatch shows ${what}`, () => {
    assertEquals(received(new MessageWatch(), bytes), says);
  });
}

/** Requests whose bodies look like requests, of which there are five. */
const PIPELINE = [
  `GET /1 HTTP/1.1\r\n${FIELDS}`,
  "POST /2 HTTP/1.1\r\nContent-Length: 19\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
  "POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" +
  "13;a=b\r\nGET /x HTTP/1.1\r\n\r\n\r\n0\r\nTrailer: GET\r\n\r\n",
  `HEAD /4 HTTP/1.1\r\n${FIELDS}`,
  "PUT /5 HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
].join("");

/** Their answers, the fourth of which has a length and no body. */
const ANSWERS = [
  "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
].join("");

Deno.test("MessageWatch counts messages and not what is in them, however they are cut", () => {
  const whole = new MessageWatch();
  assertEquals(received(whole, PIPELINE), "GET /1, 4 more");
  assertEquals(sent(whole, ANSWERS), "200 OK, 5 more");
  assertEquals([whole.requests, whole.answers], [5, 5]);
  for (let cut = 1; cut < PIPELINE.length; cut++) {
    const watch = new MessageWatch();
    received(watch, PIPELINE.slice(0, cut));
    received(watch, PIPELINE.slice(cut));
    sent(watch, ANSWERS.slice(0, cut));
    sent(watch, ANSWERS.slice(cut));
    assertEquals([watch.requests, watch.answers], [5, 5], `cut at ${cut}`);
  }
});

Deno.test("MessageWatch says nothing, once a connection is something else", () => {
  for (
    const [request, answer] of [
      [
        "GET / HTTP/1.1\r\nUpgrade: a\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
      ],
      ["CONNECT a:1 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"],
      ["GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"],
    ] as const
  ) {
    const watch = new MessageWatch();
    assert(received(watch, request) !== "");
    assert(sent(watch, answer) !== "");
    assertEquals(sent(watch, "HTTP/1.1 200 OK\r\n\r\n"), "");
  }
});

Deno.test("MessageWatch keeps no more of a line than it will look at", () => {
  const watch = new MessageWatch();
  const piece = "a".repeat(65_536);
  for (let count = 0; count < 4; count++) received(watch, piece);
  assertEquals(received(watch, `\nGET / HTTP/1.1\r\n${FIELDS}`), "");
});

/** A WebSocket's frames as a client masks them, and as a server does not. */
const FRAMES = [
  [maskedFrame(0x81, "hi"), "text of 2 B"],
  [
    maskedFrame(0x42, "x".repeat(200)),
    "binary of 200 B compressed, more follows",
  ],
  [maskedFrame(0x80, "x".repeat(70_000)), "continuation of 70000 B"],
  [maskedFrame(0x89, ""), "ping"],
  [maskedClose(4001, "why"), "close 4001"],
  [Uint8Array.of(0x88, 0), "close"],
  [Uint8Array.of(0x88, 2, 3, 0xe9), "close 1001"],
] as const;

const UPGRADE = "Upgrade: websocket\r\n\r\n";

Deno.test("MessageWatch shows the frames of a WebSocket, wherever they are cut", () => {
  const all = new Uint8Array(FRAMES.flatMap(([frame]) => [...frame]));
  const names = FRAMES.map(([, name]) => name);
  for (const step of [1, 3, 1_000, all.length]) {
    const watch = new MessageWatch();
    received(watch, `GET / HTTP/1.1\r\n${UPGRADE}`);
    sent(watch, `HTTP/1.1 101 Switching\r\n${UPGRADE}`);
    const shown: string[] = [];
    for (let at = 0; at < all.length; at += step) {
      const part = all.subarray(at, at + step);
      const text = watch.received(part, 0, part.length);
      if (text !== "") shown.push(text);
    }
    if (step === 1) assertEquals(shown, names);
    else assert(shown.join().includes("text of 2 B"), shown.join());
    assertEquals(watch.sent(Uint8Array.of(0x8a, 0), 0, 2), "pong");
  }
});

Deno.test("MessageWatch follows requests behind a refused WebSocket", () => {
  const watch = new MessageWatch();
  received(watch, `GET / HTTP/1.1\r\n${UPGRADE}`);
  sent(watch, `HTTP/1.1 426 No\r\nContent-Length: 0\r\n${UPGRADE}`);
  assertEquals(received(watch, "GET /b HTTP/1.1\r\n\r\n"), "GET /b");
});
