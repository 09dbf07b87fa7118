import { assert, assertEquals } from "@std/assert";
import { serve } from "../../src/server/serve.ts";
import type { WorkersServer } from "../../src/server/worker/workers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { within } from "../util/waiting.ts";
import { Peer, type ServerFrame } from "../util/websocket_peer.ts";

/** Starts one Worker, which may die. */
function start(ended: () => void = () => {}): Promise<WorkersServer> {
  const module = new URL("../fixtures/dying_sockets.ts", import.meta.url);
  const onWorkerEnd = () => ended();
  return serve({ ...LOOPBACK, module, workers: 1, onWorkerEnd });
}

Deno.test("websocket closes with 1012 when its Worker dies", async () => {
  await using server = await start();
  using peer = await Peer.connect(server.addr);
  using other = await Peer.connect(server.addr);
  await other.sendTexts("hello");
  assertEquals(await other.text(), "got it");
  await peer.sendTexts("die");
  for (const client of [peer, other]) {
    assertEquals(await within(client.closing(), "a close frame"), [1012, ""]);
    assertEquals(await client.frame(), undefined);
  }
});

Deno.test("websocket says nothing behind unsent bytes when its Worker dies", async () => {
  const ended = Promise.withResolvers<void>();
  await using server = await start(ended.resolve);
  using slow = await Peer.connect(server.addr);
  using peer = await Peer.connect(server.addr);
  await slow.sendTexts("flood");
  // It reads one message, so the flood has begun, and all are not yet sent.
  await slow.frame();
  await peer.sendTexts("die");
  await within(ended.promise, "the end of the Worker");
  const rest: ServerFrame[] = [];
  try {
    for (let frame; (frame = await slow.frame());) rest.push(frame);
  } catch {
    // The connection ends in the middle of a message.
  }
  for (const { first, payload } of rest) {
    assertEquals([first, payload.length], [0x82, 1_000_000]);
    assert(payload.every((byte) => byte === 0));
  }
});
