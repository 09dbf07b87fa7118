/**
 * Scenario: the echo server, and peers of all kinds. Bytes out equal bytes in.
 *
 * @module
 */

import { READ_BUFFER_BYTES } from "../../src/bytes/read_buffer.ts";
import { HIGH_WATER_BYTES } from "../../src/reactor/connection_options.ts";
import { expectTagged, taggedBytes } from "./bytes.ts";
import { Peer, planOf } from "./peer.ts";
import { servePeers } from "./serving.ts";
import type { Simulation } from "./simulation.ts";

const PORT = 7;
const STREAM_BYTES_MAX = 400_000;

/** Runs the scenario in one world. */
export async function echoScenario(simulation: Simulation): Promise<void> {
  const { reactor, library } = simulation;
  // Reading stops at the mark; one read may have exceeded it.
  simulation.audit.bufferedBytesMax = HIGH_WATER_BYTES + READ_BUFFER_BYTES;
  const server = library.echo({ port: PORT, reactor });
  const peers = echoPeers(simulation);
  await servePeers(simulation, { server, peers, port: PORT }, (ending) => {
    if (ending !== "patient") return;
    for (const peer of peers) expectEchoed(simulation, peer);
  });
  await simulation.finish();
}

function echoPeers({ world }: Simulation): Peer[] {
  const count = world.chance(0.1) ? world.whole(20, 80) : world.whole(1, 6);
  const bytesMax = count > 6 ? 2_000 : STREAM_BYTES_MAX;
  return Array.from({ length: count }, (_, index) => {
    const bytes = taggedBytes(index, 0, world.sizeOrMost(bytesMax) - 1);
    const peer: Peer = new Peer(world, {
      name: `peer ${index}`,
      plan: planOf(world, bytes),
      ears: {
        heard: (heard) => {
          const start = peer.received - heard.byteLength;
          if (peer.received > peer.sent) {
            world.fail(`${peer.name}: more came back than was sent`);
          }
          expectTagged(world, heard, { stream: index, start, name: peer.name });
        },
      },
    });
    return peer;
  });
}

/** Checks the end: nothing happens any more, so missing bytes never come. */
function expectEchoed({ world, system }: Simulation, peer: Peer): void {
  const { name, plan, stream, sent, received } = peer;
  world.expect(!peer.isWronged, () => `${name} was reset for nothing`);
  if (!peer.isOwed) {
    // Accepted or refused, but not left in the backlog.
    const isMissed = stream === undefined && peer.end === undefined &&
      system.sources.size < world.faults.socketsMax;
    return world.expect(!isMissed, () => `${name} was never accepted`);
  }
  if (peer.isStuck) return;
  world.expect(peer.isSilent, () => `${name}: only ${sent} bytes were read`);
  world.expect(
    received === sent,
    () => `${name}: ${received} of ${sent} bytes came back`,
  );
  const hasEnded = plan.end === "half" && sent === plan.bytes.byteLength;
  const expected = hasEnded ? "end" : undefined;
  world.expect(
    peer.end === expected,
    () => `${name} heard ${peer.end} and not ${expected}`,
  );
}
