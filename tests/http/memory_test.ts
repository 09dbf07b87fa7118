/**
 * The held bytes of HTTP: counted by their memory, and bounded.
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
} from "@std/assert";
import { HttpError } from "../../src/http/errors.ts";
import { BodyIntake, type IntakeOwner } from "../../src/http/h1/body_intake.ts";
import { HeadFlag } from "../../src/http/h1/head.ts";
import { latin1 } from "../util/http_bytes.ts";
import { type FakeTransport, Peer } from "../util/http_transport.ts";
import { GET, postHead } from "../util/requests.ts";

const CHUNKED =
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
/** More bytes than a connection keeps unread. */
const MUCH = 300_000;
const PIECE = 10_000;
/** The bytes that a connection keeps, and those of one more read, in blocks. */
const KEPT_BYTES_MAX = 200_000;

/** A connection that only holds a body. */
const IDLE_OWNER: IntakeOwner = {
  ...new Peer(() => new Response()).connection,
  isPaused: false,
  isKeptAlive: true,
  pause() {},
  unpause() {},
  countHeld() {},
  bodyEnded() {},
  failBody() {},
  closeAnswered() {},
};

/** Bytes in chunks, each with `before` in its size line. */
function chunks(count: number, size: number, extension = ""): string {
  const line = `${size.toString(16)}${extension}\r\n`;
  return `${line}${"a".repeat(size)}\r\n`.repeat(count);
}

/** The bytes of a body: a piece, its repetitions, and whether in chunks. */
const PIECES: [name: string, piece: string, count: number, counted: boolean][] =
  [
    ["chunks of one byte", chunks(1_000, 1), 300, false],
    [
      "chunks of one byte with zeros",
      chunks(1_000, 1).replaceAll("1\r", "0001\r"),
      300,
      false,
    ],
    ["chunks of 40 bytes", chunks(100, 40), 100, false],
    ["a chunk of three bytes a read", chunks(1, 3), 100_000, false],
    ["one byte a read", "a", 300_000, true],
    ["400 bytes a read", "a".repeat(400), 1_000, true],
    ["20,000 bytes a read", "a".repeat(20_000), 50, true],
    ["64 KiB a read", "a".repeat(65_536), 20, true],
  ];

for (const [name, piece, count, isCounted] of PIECES) {
  Deno.test(`body takes memory for its bytes, when it comes in ${name}`, async () => {
    const bytes = latin1(piece);
    const head = {
      flags: isCounted ? HeadFlag.HAS_LENGTH : HeadFlag.CHUNKED,
      contentLength: count * bytes.byteLength,
      hasNoBody: false,
    };
    const intake = new BodyIntake(IDLE_OWNER, head, Infinity);
    const { body } = intake;
    const collected = body.collect();
    for (let fed = 1; fed < count; fed++) {
      intake.feed(bytes, 0, bytes.byteLength);
    }
    assertLess(body.memoryBytes, 1.25 * body.received + 2 * 65_536);
    assert(body.memoryBytes >= body.received);
    intake.feed(bytes, 0, bytes.byteLength);
    if (!isCounted) intake.feed(latin1("0\r\n\r\n"), 0, 5);
    assertEquals((await collected).byteLength, body.received);
    assertEquals(body.memoryBytes, 0);
  });
}

/** A request with more bytes than are kept, in parts. */
const ENDLESS: [name: string, first: string, part: string][] = [
  ["a counted body", postHead(MUCH), "a".repeat(PIECE)],
  ["a counted body by small reads", postHead(MUCH), "a".repeat(50)],
  ["one-byte chunks", CHUNKED, chunks(PIECE / 6, 1)],
  ["one-byte chunks by small reads", CHUNKED, chunks(5, 1)],
  ["pipelined requests", GET, GET.repeat(200)],
  ["pipelined requests by small reads", GET, GET],
];

for (const [name, first, part] of ENDLESS) {
  Deno.test(`connection stops reading and counts the held bytes, when the handler does not take ${name}`, () => {
    const peer = new Peer(() => new Promise(() => {}));
    peer.send(first);
    let sent = 0;
    while (!peer.transport.isPaused) {
      peer.send(part);
      sent += part.length;
      assertLess(sent, 10 * KEPT_BYTES_MAX);
    }
    assertLess(32_768, peer.transport.heldBytes);
    assertLess(peer.transport.heldBytes, KEPT_BYTES_MAX);
    peer.reset();
  });
}

/** Ways to free the held bytes. */
const RELEASES: [name: string, sent: string, release: (test: Held) => void][] =
  [
    ["a body is read", postHead(MUCH), ({ go }) => go("read")],
    ["a body's stream is read", postHead(MUCH), ({ go }) => go("stream")],
    ["a body and a clone are read", postHead(MUCH), ({ go }) => go("clone")],
    ["a request is answered", postHead(MUCH), ({ go }) => go("answer")],
    ["a body is cancelled", postHead(MUCH), ({ go }) => go("cancel")],
    ["a body is malformed", CHUNKED + chunks(1_000, 1), ({ peer, go }) => {
      peer.send("x");
      go("read");
    }],
    ["requests are answered", GET + GET.repeat(100), ({ go }) => go("answer")],
    ["a handler fails", postHead(MUCH), ({ go }) => go("throw")],
  ];

interface Held {
  peer: Peer;
  go: (how: string) => void;
}

async function act(request: Request, how: string): Promise<Response> {
  if (how === "read") await request.bytes();
  if (how === "stream") { for await (const _ of request.body!); }
  if (how === "clone") {
    await Promise.all([request.clone().text(), request.text()]);
  }
  if (how === "cancel") await request.body!.cancel();
  if (how === "throw") throw new Error("failed");
  return new Response();
}

for (const [name, sent, release] of RELEASES) {
  Deno.test(`connection keeps nothing any more, when ${name}`, async () => {
    const { promise, resolve: go } = Promise.withResolvers<string>();
    const peer = new Peer(async (request) => act(request, await promise));
    peer.send(sent);
    if (sent.startsWith(postHead(MUCH))) {
      for (let at = 0; at < MUCH; at += PIECE) peer.send("a".repeat(PIECE));
    }
    await peer.settle();
    assertLess(100, peer.transport.heldBytes);
    release({ peer, go });
    await peer.settle();
    assertEquals(peer.transport.heldBytes, 0);
  });
}

Deno.test("connection says what a clone keeps, when only the other is read", async () => {
  const go = Promise.withResolvers<void>();
  const peer = new Peer(async (request) => {
    const clone = request.clone();
    const text = await request.text();
    await go.promise;
    return new Response(`${text.length + (await clone.text()).length}`);
  });
  peer.send(postHead(MUCH));
  for (let at = 0; at < MUCH; at += PIECE) {
    await peer.send("a".repeat(PIECE)).settle();
  }
  assertLess(MUCH - 1, peer.transport.heldBytes);
  go.resolve();
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), [`${2 * MUCH}`]);
  assertEquals(peer.transport.heldBytes, 0);
});

/** Whole requests that are answered at once, or after their body is read. */
const PLAIN: [name: string, text: string][] = [
  ["GET", GET],
  ["a pipeline", GET.repeat(20)],
  ["a POST", `${postHead(5)}hello`],
  ["a chunked POST", `${CHUNKED}5\r\nhello\r\n0\r\n\r\n`],
  ["an unread POST", `${postHead(5).replace("POST", "PUT")}hello`],
];

for (const [name, text] of PLAIN) {
  Deno.test(`connection never says what it keeps, when ${name} comes whole`, async () => {
    const peer = new Peer((request) => {
      if (request.method !== "POST") return new Response();
      return request.text().then((body) => new Response(body));
    });
    let sets = 0;
    Object.defineProperty(peer.transport, "heldBytes", {
      get: () => 0,
      set: () => void sets++,
    });
    await peer.send(text).settle();
    assertLess(1, (await peer.send(text).answers()).length);
    assertEquals(sets, 0);
  });
}

Deno.test("connection says what it keeps with each byte that comes, so that a slow client is known to move", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()));
  peer.send(postHead(100));
  let heldBytes = 0;
  let sets = 0;
  Object.defineProperty(peer.transport, "heldBytes", {
    get: () => heldBytes,
    set(bytes: number) {
      heldBytes = bytes;
      sets++;
    },
  });
  for (let sent = 1; sent < 100; sent++) {
    peer.send("a");
    assert(sets >= sent);
  }
  assertLess(0, heldBytes);
  await peer.send("a").settle();
  assertEquals(heldBytes, 0);
});

/** Makes a transport overfull while it holds more than `bytesMax`. */
function overfullBeyond(transport: FakeTransport, bytesMax: number): void {
  Object.defineProperty(transport, "isOverfull", {
    get: () => transport.heldBytes > bytesMax,
  });
}

Deno.test("client gets 503, when its body is collected and takes too much memory", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()));
  overfullBeyond(peer.transport, 100_000);
  await peer.send(postHead(MUCH)).settle();
  for (let at = 0; at < MUCH; at += PIECE) peer.send("a".repeat(PIECE));
  const [answer, ...others] = await peer.answers();
  assertEquals([answer?.status, others], [503, []]);
  assertEquals(answer?.get("connection"), "close");
  assertEquals(peer.transport.closing, "closeLingering");
  assertEquals(peer.transport.heldBytes, 0);
  assertInstanceOf(peer.reports[0], HttpError);
  assertEquals(peer.reports.length, 1);
});

Deno.test("handler's reading rejects with 503, when a clone takes too much memory", async () => {
  const peer = new Peer(async (request) => {
    const clone = request.clone();
    const error = await assertRejects(() => request.text(), HttpError);
    await assertRejects(() => clone.text(), HttpError);
    return new Response(`${error.status}`, { status: 507 });
  });
  overfullBeyond(peer.transport, 100_000);
  await peer.send(postHead(MUCH)).settle();
  for (let at = 0; at < MUCH; at += PIECE) {
    await peer.send("a".repeat(PIECE)).settle();
  }
  const answers = await peer.answers();
  assertEquals(answers.map(({ status, text }) => [status, text]), [
    [507, "503"],
  ]);
});

Deno.test("connection closes without a second answer, when a body is collected behind the answer and takes too much memory", async () => {
  const reading = Promise.withResolvers<unknown>();
  const peer = new Peer((request) => {
    request.text().catch(reading.resolve);
    return new Response("early");
  });
  overfullBeyond(peer.transport, 100_000);
  await peer.send(postHead(MUCH)).settle();
  for (let at = 0; at < MUCH; at += PIECE) peer.send("a".repeat(PIECE));
  assertInstanceOf(await reading.promise, HttpError);
  assertEquals((await peer.answers()).map(({ text }) => text), ["early"]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("body waits and is read later, when all connections take too much memory and the handler does not read it", async () => {
  const go = Promise.withResolvers<void>();
  const peer = new Peer(async (request) => {
    await go.promise;
    return new Response(`${(await request.bytes()).byteLength}`);
  });
  await peer.send(postHead(MUCH)).settle();
  peer.transport.isOverfull = true;
  for (let at = 0; at < MUCH; at += PIECE) peer.send("a".repeat(PIECE));
  await peer.settle();
  assertEquals(peer.transport.isPaused, true);
  peer.transport.isOverfull = false;
  go.resolve();
  assertEquals((await peer.answers()).map(({ text }) => text), [`${MUCH}`]);
});

Deno.test("request waits until there is room, when all connections take too much memory", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.transport.isOverfull = true;
  peer.send(GET);
  peer.send(GET);
  assertEquals(await peer.answers(), []);
  assertEquals(peer.transport.awaitsRoom, true);
  assertEquals(peer.transport.isPaused, true);
  assertEquals(peer.connection.isIdle, false);
  assertLess(0, peer.transport.heldBytes);
  // The client is not late.
  peer.connection.timeout("idle");
  assertEquals(peer.transport.closing, undefined);
  peer.transport.isOverfull = false;
  peer.connection.drain();
  assertEquals((await peer.answers()).length, 2);
  assertEquals(peer.transport.heldBytes, 0);
});

Deno.test("request is answered, when only its own connection takes too much memory", async () => {
  const peer = new Peer(() => new Response("ok"));
  overfullBeyond(peer.transport, 1);
  peer.send(GET.slice(0, 10), GET.slice(10), GET + GET.slice(0, 5));
  peer.send(GET.slice(5));
  assertEquals((await peer.answers()).length, 3);
  assertEquals(peer.transport.heldBytes, 0);
});

Deno.test("connection closes when it is idle for too long, also when all connections take too much memory", () => {
  const peer = new Peer(() => new Response("ok"));
  peer.transport.isOverfull = true;
  peer.connection.timeout("idle");
  assertEquals(peer.transport.closing, "close");
});
