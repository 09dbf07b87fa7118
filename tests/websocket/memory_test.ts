/** WebSockets on a system in memory, whose clock and sockets a test moves. */

import { assertEquals } from "@std/assert";
import { Reactor } from "../../src/reactor/reactor.ts";
import { serve } from "../../src/server/serve.ts";
import { MemorySystem } from "../../src/system/memory.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { FIN, TEXT } from "../../src/websocket/frames.ts";
import type { WebSocketHandlers } from "../../src/websocket/handlers.ts";
import type { ServerWebSocket } from "../../src/websocket/socket.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";

const PORT = 1;
const HANDSHAKE = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const PING_BYTES = 2;

/** Serves WebSockets in memory, and opens one. */
async function openOne(handlers: WebSocketHandlers, room = Infinity) {
  const system = new MemorySystem();
  const reactor = new Reactor({ system });
  const address = { hostname: "127.0.0.1", port: PORT };
  serve({ ...address, reactor, onListen() {}, websocket: handlers });
  const peer = system.arrive();
  peer.room = room;
  peer.receive(HANDSHAKE);
  await system.settle();
  return { system, peer, [Symbol.dispose]: () => reactor.close() };
}

Deno.test("websocket pings anew behind a pause: the peer's answer was not read meanwhile", async () => {
  const closed: number[] = [];
  let socket: ServerWebSocket | undefined;
  using one = await openOne({
    webSocketIdleMs: 400,
    open: (opened) => void (socket = opened),
    close: (_socket, code) => void closed.push(code),
  });
  const { system, peer } = one;
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
  using one = await openOne({
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
  }, 1_000);
  const { system, peer } = one;
  peer.receive(maskedFrame(FIN | TEXT, "unread"));
  peer.receiveReset(errnoNumber("ECONNRESET"));
  await system.settle();
  assertEquals(log, ["queued", "drain", "unread", "1006"]);
});

Deno.test("websocket gives a peer closeMs for its close frame, also beyond the idle time", async () => {
  const closed: [number, boolean][] = [];
  let socket: ServerWebSocket | undefined;
  using one = await openOne({
    webSocketIdleMs: 100,
    closeMs: 1_000,
    open: (opened) => void (socket = opened),
    close: (_socket, code, _reason, wasClean) =>
      void closed.push([code, wasClean]),
  });
  socket!.close();
  await one.system.pass(500);
  one.peer.receive(maskedClose(1000, ""));
  await one.system.settle();
  assertEquals(closed, [[1000, true]]);
});
