/**
 * Handlers that run inside a call of the program: a write that fails ends a
 * connection that is paused, and calls its handlers.
 */

import { assertEquals } from "@std/assert";
import { errnoNumber } from "../../src/native/errors.ts";
import type { MemoryStream } from "../../src/system/memory_sockets.ts";
import { FIN, RSV1, TEXT } from "../../src/websocket/frames.ts";
import type { WebSocketHandlers } from "../../src/websocket/handlers.ts";
import type { ServerWebSocket } from "../../src/websocket/socket.ts";
import type { SocketRecord } from "../../src/websocket/state.ts";
import { inflateOnce } from "../util/deflate_peer.ts";
import { concat } from "../util/http_bytes.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";
import { MemoryServer } from "../util/websocket_memory.ts";

/** More than the write buffer takes: it goes to the system at once. */
const LONG = "x".repeat(3_000);
/** Fill the write buffer but for a few bytes. */
const FILLING = [20_000, 20_000, 20_000, 5_514];
const BREACH = Uint8Array.of(FIN | TEXT, 0);
/** What ends a WebSocket, and the bytes of the close frame that answers it. */
const ENDS = [
  ["a close frame", maskedClose(1000, ""), 4],
  ["a breach", BREACH, 4 + "Frame not masked".length],
] as const;

/** Sockets in memory, and what their handlers heard. */
class Scene extends MemoryServer {
  readonly sockets: ServerWebSocket[] = [];
  readonly log: unknown[] = [];

  constructor(handlers: WebSocketHandlers = {}) {
    super({
      open: (socket) => void this.sockets.push(socket),
      message: (socket) => socket.pause(),
      error: (_socket, { message }) => void this.log.push(message),
      close: (_socket, code) => void this.log.push(code),
      ...handlers,
    });
  }

  /** Opens one that pauses, and has more to read then. */
  async openPaused(
    more: Uint8Array<ArrayBuffer>,
  ): Promise<[ServerWebSocket, MemoryStream]> {
    const peer = await this.open();
    peer.receive(concat([maskedFrame(FIN | TEXT, "pause"), more]));
    await this.system.settle();
    return [this.sockets.at(-1)!, peer];
  }

  /** Lets each write to `peer` fail. */
  break(peer: MemoryStream): void {
    const code = -errnoNumber("EPIPE");
    this.system.policy = {
      write: (stream) => stream === peer ? code : undefined,
    };
  }
}

Deno.test("websocket closes once, when its connection breaks while a breach is answered", async () => {
  using scene = new Scene();
  const [socket, peer] = await scene.openPaused(BREACH);
  scene.break(peer);
  for (const length of FILLING) socket.send(new Uint8Array(length));
  socket.resume();
  await scene.system.settle();
  assertEquals(scene.log, ["Frame not masked (1002)", 1002]);
});

Deno.test("websocket refuses a message, when what was published before cannot be sent", async () => {
  using scene = new Scene();
  const [socket, peer] = await scene.openPaused(new Uint8Array(0));
  for (const send of ["send", "ping"] as const) {
    socket.subscribe("news");
    scene.break(peer);
    scene.server.publish("news", LONG);
    assertEquals(socket[send]("x"), "refused");
  }
  assertEquals(scene.log, ["The connection has failed", 1006]);
});

for (const [what, end, size] of ENDS) {
  Deno.test(`websocket answers ${what} by one close frame, when a handler closes it meanwhile`, async () => {
    const closed: number[] = [];
    using scene = new Scene({
      close(socket) {
        closed.push(scene.sockets.indexOf(socket));
        for (const other of scene.sockets) other.close(4000);
      },
    });
    const [other, otherPeer] = await scene.openPaused(new Uint8Array(0));
    const [socket, peer] = await scene.openPaused(end);
    scene.break(otherPeer);
    for (const length of FILLING) other.send(new Uint8Array(length));
    const { written } = peer;
    socket.resume();
    await scene.system.settle();
    assertEquals(closed, [0, 1]);
    assertEquals(peer.written - written, size);
  });
}

Deno.test("websocket sends its own message, when a handler compresses another one meanwhile", async () => {
  const [own, others] = ["own ", "others' "].map((word) => word.repeat(500));
  using scene = new Scene({
    compression: true,
    close: () => void scene.sockets[2]!.send(others!),
  });
  const [broken, brokenPeer] = await scene.openPaused(new Uint8Array(0));
  const fields = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  const peers: MemoryStream[] = [];
  for (let count = 0; count < 2; count++) {
    const peer = await scene.open({ fields });
    peer.take();
    peers.push(peer);
  }
  scene.break(brokenPeer);
  for (const length of FILLING) broken.send(new Uint8Array(length));
  scene.sockets[1]!.send(own!);
  await scene.system.settle();
  const got = peers.map((peer) => {
    const [first, length, ...payload] = peer.take();
    assertEquals([first, length], [FIN | RSV1 | TEXT, payload.length]);
    return new TextDecoder().decode(inflateOnce(Uint8Array.from(payload)));
  });
  assertEquals(got, [own, others]);
});

Deno.test("websocket keeps nothing of a read in which it was terminated", async () => {
  using scene = new Scene({ message: (socket) => socket.terminate() });
  const peer = await scene.open();
  const half = maskedFrame(FIN | TEXT, LONG).subarray(0, 1_000);
  peer.receive(concat([maskedFrame(FIN | TEXT, "end"), half]));
  await scene.system.settle();
  const [socket] = scene.sockets as SocketRecord[];
  assertEquals([socket!.readyState, socket!.extras], [3, undefined]);
});

Deno.test("websocket that takes over contexts keeps nothing of a message in parts that is whole", async () => {
  using scene = new Scene({
    compression: { clientContextTakeover: true },
    message() {},
  });
  const fields = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  const peer = await scene.open({ fields });
  const frame = maskedFrame(FIN | TEXT, LONG);
  for (const part of [frame.subarray(0, 9), frame.subarray(9)]) {
    peer.receive(part.slice());
    await scene.system.settle();
  }
  const [socket] = scene.sockets as SocketRecord[];
  assertEquals(socket!.extras, undefined);
});
