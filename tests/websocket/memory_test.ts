/** WebSockets on a system in memory, whose clock and sockets a test moves. */

import { assertEquals } from "@std/assert";
import { errnoNumber } from "../../src/native/errors.ts";
import { FIN, PONG, TEXT } from "../../src/websocket/frames.ts";
import type { ServerWebSocket } from "../../src/websocket/socket.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";
import { MemoryServer } from "../util/websocket_memory.ts";

const PING_BYTES = 2;

Deno.test("websocket pings a silent peer, and ends when no pong comes", async () => {
  const log: unknown[] = [];
  using server = new MemoryServer({
    webSocketIdleMs: 400,
    error: (_socket, { message }) => void log.push(message),
    close: (_socket, code) => void log.push(code),
  });
  const { system } = server;
  const peer = await server.open();
  const { written } = peer;
  await system.pass(250);
  assertEquals(peer.written, written + PING_BYTES);
  peer.receive(maskedFrame(FIN | PONG, ""));
  await system.pass(250);
  assertEquals([peer.written, log], [written + 2 * PING_BYTES, []]);
  await system.pass(250);
  assertEquals(log, ["The peer has given no sign of life", 1006]);
});

Deno.test("websocket pings anew behind a pause: the peer's answer was not read meanwhile", async () => {
  const closed: number[] = [];
  let socket: ServerWebSocket | undefined;
  using server = new MemoryServer({
    webSocketIdleMs: 400,
    open: (opened) => void (socket = opened),
    close: (_socket, code) => void closed.push(code),
  });
  const { system } = server;
  const peer = await server.open();
  const { written } = peer;
  await system.pass(250);
  assertEquals(peer.written, written + PING_BYTES);
  socket!.pause();
  await system.pass(500);
  socket!.resume();
  await system.pass(120);
  assertEquals([peer.written, closed], [written + 2 * PING_BYTES, []]);
  await system.pass(300);
  assertEquals(closed, [1006]);
});

Deno.test("websocket calls drain when the connection breaks, so a program that waits for it reads on", async () => {
  const log: string[] = [];
  using server = new MemoryServer({
    open(socket) {
      log.push(socket.send(new Uint8Array(100_000)));
      socket.pause();
    },
    message: (_socket, message) => void log.push(`${message}`),
    drain(socket) {
      log.push("drain");
      socket.resume();
    },
    close: (_socket, code) => void log.push(`${code}`),
  });
  const { system } = server;
  const peer = await server.open({ room: 1_000 });
  peer.receive(maskedFrame(FIN | TEXT, "unread"));
  peer.receiveReset(errnoNumber("ECONNRESET"));
  await system.settle();
  assertEquals(log, ["queued", "drain", "unread", "1006"]);
});

Deno.test("websocket tells the system once that its last words would stand inside of a message, and once that not", async () => {
  let socket: ServerWebSocket | undefined;
  using server = new MemoryServer({
    open: (opened) => void (socket = opened),
  });
  const { system } = server;
  const peer = await server.open({ room: 1_000 });
  const words: number[] = [];
  Object.assign(peer, { setLastWords: (word: number) => words.push(word) });
  for (let count = 0; count < 3; count++) {
    socket!.send(new Uint8Array(2_000));
    await system.settle();
  }
  assertEquals(words, [0]);
  peer.makeRoom(10_000);
  await system.settle();
  // A close frame with 1012.
  assertEquals(words, [0, 0x880203f4]);
});

Deno.test("websocket refuses a text by its bytes in UTF-8", async () => {
  let socket: ServerWebSocket | undefined;
  using server = new MemoryServer({
    backpressureBytesMax: 200_000,
    open: (opened) => void (socket = opened),
  });
  await server.open({ room: 1_000 });
  socket!.send(new Uint8Array(101_000));
  assertEquals(socket!.bufferedBytes > 100_000, true);
  const texts = ["é".repeat(60_000), "a".repeat(60_000), "é".repeat(10_000)];
  const results = texts.map((text) => socket!.send(text));
  assertEquals(results, ["refused", "queued", "queued"]);
});

Deno.test("websocket gives a peer closeMs for its close frame, also beyond the idle time", async () => {
  const closed: [number, boolean][] = [];
  let socket: ServerWebSocket | undefined;
  using server = new MemoryServer({
    webSocketIdleMs: 100,
    closeMs: 1_000,
    open: (opened) => void (socket = opened),
    close: (_socket, code, _reason, wasClean) =>
      void closed.push([code, wasClean]),
  });
  const { system } = server;
  const peer = await server.open();
  socket!.close();
  await system.pass(500);
  peer.receive(maskedClose(1000, ""));
  await system.settle();
  assertEquals(closed, [[1000, true]]);
});
