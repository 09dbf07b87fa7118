/** Long compressed messages, which take several turns. */

import { assert, assertEquals } from "@std/assert";
import { Reactor } from "../../src/reactor/reactor.ts";
import { BINARY, FIN, RSV1, TEXT } from "../../src/websocket/frames.ts";
import type { HttpServer } from "../../src/server/http_server.ts";
import type { ServerWebSocket } from "../../src/websocket/socket.ts";
import type { SocketRecord } from "../../src/websocket/state.ts";
import type { Work } from "../../src/stream/shared.ts";
import { deflateOnce } from "../util/deflate_peer.ts";
import { randomBytes } from "../util/random.ts";
import { within } from "../util/waiting.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";
import { MemoryServer } from "../util/websocket_memory.ts";
import { Peer, serveWebSockets } from "../util/websocket_peer.ts";

const FIELDS = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
const LENGTH = 8 << 20;
/** It fills an array that grows from 16 KiB: ten calls, eight of them at once. */
const LONG = maskedFrame(
  FIN | RSV1 | TEXT,
  deflateOnce(new Uint8Array(LENGTH).fill(0x61)),
);
const SHORT = maskedFrame(FIN | TEXT, "short");

/** Sends as one write: a read has all of it, or the first bytes. */
async function sendTogether(peer: Peer, ...parts: Uint8Array<ArrayBuffer>[]) {
  await peer.send(new Uint8Array(await new Blob(parts).arrayBuffer()));
}

Deno.test("websocket decompresses a long message in turns of its own, and in order", async () => {
  await using reactor = new Reactor();
  const heard: [text: string, turn: number][] = [];
  await using server = serveWebSockets({
    compression: true,
    message(socket, message) {
      heard.push([String(message), reactor.stats().turns]);
      // What comes next is not handed over inside.
      socket.pause();
      socket.resume();
      if (heard.length === 6) socket.send("heard");
    },
  }, { reactor });
  using peer = await Peer.connect(server.addr, { fields: FIELDS });
  const parts = [SHORT, LONG, SHORT, LONG, LONG, SHORT];
  await sendTogether(peer, ...parts);
  assertEquals(await peer.text(), "heard");
  for (const [index, part] of parts.entries()) {
    const [text, turn] = heard[index]!;
    assertEquals(text.length, part === LONG ? LENGTH : 5);
    const before = index === 0 ? 0 : heard[index - 1]![1];
    assert(part === SHORT || turn >= before + 2, `${index}: ${turn} ${before}`);
  }
  assertEquals(reactor.stats().memoryBytes, 0);
});

Deno.test("websocket counts the memory of a long message, until it is given up", async () => {
  let socket: SocketRecord | undefined;
  using server = new MemoryServer({
    compression: true,
    open: (opened) => void (socket = opened as SocketRecord),
  });
  const peer = await server.open({ fields: FIELDS });
  const { transport } = socket!;
  const steps: Work[] = [];
  Object.assign(transport, { later: (work: Work) => steps.push(work) });
  // A turn works on it for two milliseconds, which are not enough for this one.
  const noise = deflateOnce(randomBytes(4 << 20, 1));
  peer.receive(maskedFrame(FIN | RSV1 | BINARY, noise));
  await server.system.settle();
  const before = transport.heldBytes;
  steps[0]!.onReady();
  assert(transport.heldBytes >= before && before > noise.length);
  socket!.close();
  assertEquals([transport.heldBytes, socket!.extras], [0, undefined]);
});

type End = (socket: ServerWebSocket, server: HttpServer) => void;

const ENDS: [what: string, end: End][] = [
  ["the program closes it", (socket) => socket.close(4000, "enough")],
  ["the program resets it", (socket) => socket.terminate()],
  ["its server shuts down", (_, server) => void server.shutdown()],
];

for (const [what, end] of ENDS) {
  Deno.test(`websocket gives a long message up, when ${what}`, async () => {
    await using reactor = new Reactor();
    const closed = Promise.withResolvers<void>();
    const heard: number[] = [];
    await using server = serveWebSockets({
      compression: true,
      message(socket, { length }) {
        heard.push(length);
        // Behind this turn the long message has begun, when it came with this.
        queueMicrotask(() => end(socket, server));
      },
      close: () => closed.resolve(),
    }, { reactor });
    using peer = await Peer.connect(server.addr, { fields: FIELDS });
    await sendTogether(peer, SHORT, LONG);
    await peer.send(maskedClose(1000, "")).catch(() => {});
    await within(closed.promise, "the end");
    assertEquals(heard, [5]);
    assertEquals(reactor.stats().memoryBytes, 0);
  });
}

Deno.test("websocket keeps one long message in memory in part, when many come at once", async () => {
  await using reactor = new Reactor();
  const PEERS = 16;
  let most = 0;
  let heard = 0;
  const done = Promise.withResolvers<void>();
  await using server = serveWebSockets({
    compression: true,
    message(_, { length }) {
      most = Math.max(most, reactor.stats().memoryBytes);
      assertEquals(length, LENGTH);
      if (++heard === PEERS) done.resolve();
    },
  }, { reactor });
  const peers = await Promise.all(
    Array.from(
      { length: PEERS },
      () => Peer.connect(server.addr, { fields: FIELDS }),
    ),
  );
  await Promise.all(peers.map((peer) => peer.send(LONG)));
  await within(done.promise, "all messages");
  assert(most < LENGTH, `${most} bytes`);
  for (const peer of peers) peer[Symbol.dispose]();
});
