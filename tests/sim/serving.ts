/**
 * What the scenarios of servers have in common: peers come, and the server ends
 * when all is quiet, or before.
 *
 * @module
 */

import type { Peer } from "./peer.ts";
import type { Simulation } from "./simulation.ts";

/** When an impatient run ends, at the latest. */
const EARLY_MS = 60;

/** How a run ends: when all is quiet, or early. */
export type Ending = "patient" | "shutdown" | "close";

/** A server, of whatever kind. */
export interface Ended {
  readonly finished: Promise<void>;
  shutdown(): unknown;
}

/**
 * Has peers come to a server, and ends it.
 *
 * @param expect Checks what has happened, before the server is shut down.
 */
export async function servePeers(
  simulation: Simulation,
  { server, peers, port }: {
    server: Ended;
    peers: readonly Peer[];
    port: number;
  },
  expect: (ending: Ending) => void,
): Promise<void> {
  const { world, reactor, system } = simulation;
  let isFinished = false;
  server.finished.then(() => isFinished = true);
  for (const peer of peers) peer.start(system, port);
  const ending = world.pick<Ending>(
    ["patient", "patient", "shutdown", "close"],
  );
  world.log("scenario", `${peers.length} peers, ${ending}`);
  if (ending !== "patient") {
    world.inDeno(world.delayMs(EARLY_MS), () => {
      world.log("scenario", ending);
      if (ending === "shutdown") server.shutdown();
      else reactor.close();
    });
  }
  await simulation.settle();
  expect(ending);
  server.shutdown();
  await simulation.settle();
  // Those that never would have ended by themselves.
  for (const peer of peers) peer.reset();
  await simulation.settle();
  world.expect(isFinished, () => "the server has not finished");
}
