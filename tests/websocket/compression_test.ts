/** permessage-deflate over sockets: RFC 7692. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Reactor } from "../../src/reactor/reactor.ts";
import type { CompressionOptions } from "../../src/websocket/extension.ts";
import {
  BINARY,
  CONTINUATION,
  FIN,
  PING,
  RSV1,
  TEXT,
} from "../../src/websocket/frames.ts";
import type { ServerWebSocket } from "../../src/websocket/socket.ts";
import { deflateOnce, DeflatePeer, inflateOnce } from "../util/deflate_peer.ts";
import { randomBytes } from "../util/random.ts";
import { maskedFrame } from "../util/websocket_frames.ts";
import { Peer, serveWebSockets } from "../util/websocket_peer.ts";

const OFFER = "permessage-deflate; client_max_window_bits";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Serves an echo that compresses. */
function serveEcho(compression: CompressionOptions | boolean) {
  return serveWebSockets({
    compression,
    message: (socket, message) => void socket.send(message),
  });
}

/** Connects with an offer. */
function offer(addr: Deno.NetAddr, extensions = OFFER): Promise<Peer> {
  const fields = `Sec-WebSocket-Extensions: ${extensions}\r\n`;
  return Peer.connect(addr, { fields });
}

/** A compressed text in one frame. */
function compressed(text: string): Uint8Array<ArrayBuffer> {
  const payload = deflateOnce(encoder.encode(text));
  return maskedFrame(FIN | RSV1 | TEXT, payload);
}

Deno.test("websocket says what it agrees on, when a client offers compression", async () => {
  const sockets: ServerWebSocket[] = [];
  const open = (socket: ServerWebSocket) => void sockets.push(socket);
  await using server = serveWebSockets({ open, compression: true });
  await using plain = serveWebSockets({ open });
  using offers = await offer(server.addr);
  using without = await Peer.connect(server.addr);
  using declined = await offer(plain.addr);
  const header = "permessage-deflate; server_no_context_takeover; " +
    "client_no_context_takeover";
  assertStringIncludes(offers.answer, `Sec-WebSocket-Extensions: ${header}\r`);
  assert(!without.answer.includes("Extensions"), without.answer);
  assert(!declined.answer.includes("Extensions"), declined.answer);
  for (const peer of [offers, without, declined]) {
    await peer.send(maskedFrame(FIN | PING, ""));
    await peer.frame();
  }
  const agreed = sockets.map(({ extensions }) => extensions);
  assertEquals(agreed, [header, "", ""]);
});

Deno.test("websocket refuses a handshake, when its extensions are no list", async () => {
  await using server = serveEcho(false);
  const conn = await Deno.connect({ port: server.addr.port });
  await conn.write(encoder.encode(
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" +
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      "Sec-WebSocket-Extensions: permessage-deflate;\r\n\r\n",
  ));
  const room = new Uint8Array(1000);
  const count = await conn.read(room);
  conn.close();
  const answer = decoder.decode(room.subarray(0, count!));
  assert(answer.startsWith("HTTP/1.1 400 "), answer);
});

Deno.test("websocket reads compressed messages, when they come in any pieces", async () => {
  await using server = serveEcho(true);
  using peer = await offer(server.addr);
  const text = "some text of a message, \u{1f600}, ".repeat(20);
  const payload = deflateOnce(encoder.encode(text));
  const stream = [
    maskedFrame(RSV1 | TEXT, payload.subarray(0, 10)),
    maskedFrame(FIN | PING, ""),
    maskedFrame(CONTINUATION, payload.subarray(10, 11)),
    maskedFrame(CONTINUATION, ""),
    maskedFrame(FIN | CONTINUATION, payload.subarray(11)),
    compressed("second"),
    maskedFrame(FIN | RSV1 | BINARY, deflateOnce(randomBytes(300, 1))),
    maskedFrame(FIN | TEXT, "plain"),
    maskedFrame(FIN | RSV1 | TEXT, Uint8Array.of(0)),
  ];
  for (const frame of stream) {
    for (const byte of frame) await peer.send(Uint8Array.of(byte));
  }
  assertEquals((await peer.frame())?.first, FIN | 10);
  assertEquals(await peer.text(), text);
  assertEquals(await peer.text(), "second");
  const bytes = { first: FIN | BINARY, payload: randomBytes(300, 1) };
  assertEquals(await peer.frame(), bytes);
  assertEquals(await peer.text(), "plain");
  assertEquals(await peer.text(), "");
});

Deno.test("websocket compresses what is long enough, and as the program asks", async () => {
  await using server = serveWebSockets({
    compression: { thresholdBytes: 100 },
    message(socket, message) {
      socket.send(message);
      socket.send(message, { compress: true });
      socket.send(message, { compress: false });
    },
  });
  using peer = await offer(server.addr);
  const short = "a".repeat(99), long = "a".repeat(100);
  const noise = randomBytes(5000, 2);
  await peer.sendTexts(short, long);
  await peer.send(maskedFrame(FIN | BINARY, noise));
  const read = async (first: number, wanted: Uint8Array) => {
    const frame = await peer.frame();
    assertEquals(frame?.first, FIN | first);
    const isSmall = (first & RSV1) !== 0;
    const { payload } = frame!;
    assertEquals(isSmall ? inflateOnce(payload) : payload, wanted);
    assert(!isSmall || payload.length < wanted.length);
  };
  for (const first of [TEXT, TEXT | RSV1, TEXT]) {
    await read(first, encoder.encode(short));
  }
  for (const first of [TEXT | RSV1, TEXT | RSV1, TEXT]) {
    await read(first, encoder.encode(long));
  }
  // Noise gets no smaller.
  for (let count = 0; count < 3; count++) await read(BINARY, noise);
});

Deno.test("websocket takes contexts over, and counts what it keeps for that", async () => {
  await using reactor = new Reactor();
  const closed = Promise.withResolvers<string>();
  await using server = serveWebSockets({
    compression: {
      serverContextTakeover: true,
      clientContextTakeover: true,
      thresholdBytes: 0,
    },
    message: (socket, message) => void socket.send(message),
    close: ({ extensions }) => closed.resolve(extensions),
  }, { reactor });
  using peer = await offer(server.addr);
  assertStringIncludes(peer.answer, "server_max_window_bits=12");
  assertStringIncludes(peer.answer, "client_max_window_bits=12");
  const zlib = new DeflatePeer(12, 12);
  let first = 0, last = 0;
  for (let number = 0; number < 100; number++) {
    const text = JSON.stringify({ number, name: "the name of this message" });
    const payload = await zlib.compress(encoder.encode(text));
    await peer.send(maskedFrame(FIN | RSV1 | TEXT, payload));
    const answer = await peer.frame();
    assertEquals(answer?.first, FIN | RSV1 | TEXT);
    last = answer!.payload.length;
    first ||= last;
    const read = await zlib.decompress(answer!.payload);
    assertEquals(decoder.decode(read), text);
  }
  zlib.close();
  assert(last < first / 2, `${first} bytes became ${last}`);
  const { memoryBytes } = reactor.stats();
  assert(memoryBytes > 8192 && memoryBytes < 10_000, `${memoryBytes} bytes`);
  peer.end();
  assertStringIncludes(peer.answer, await closed.promise);
  assertEquals(reactor.stats().memoryBytes, 0);
});

Deno.test("websocket closes with 1007, when a message was not compressed well", async () => {
  await using server = serveEcho(true);
  const messages = [
    maskedFrame(FIN | RSV1 | TEXT, Uint8Array.of(0xff, 0xff)),
    maskedFrame(
      FIN | RSV1 | BINARY,
      deflateOnce(randomBytes(99, 3)).slice(0, 50),
    ),
    maskedFrame(FIN | RSV1 | TEXT, deflateOnce(Uint8Array.of(0x80))),
  ];
  for (const message of messages) {
    using peer = await offer(server.addr);
    await peer.send(message);
    const reason = "Not compressed as agreed, or not UTF-8";
    assertEquals(await peer.closing(), [1007, reason]);
  }
});

Deno.test("websocket closes with 1009, when a message is a bomb", async () => {
  await using reactor = new Reactor();
  await using server = serveWebSockets(
    { compression: true, messageBytesMax: 100_000 },
    { reactor },
  );
  using peer = await offer(server.addr);
  const bomb = deflateOnce(new Uint8Array(64 << 20));
  assert(bomb.length < 100_000);
  await peer.send(maskedFrame(FIN | RSV1 | BINARY, bomb));
  assertEquals(await peer.closing(), [1009, "Message too long"]);
});
