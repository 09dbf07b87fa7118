/**
 * The common part of the server scenarios: peers connect, and the server ends
 * when all is quiet, or earlier.
 *
 * @module
 */

import type { Peer } from "./peer.ts";
import type { Simulation } from "./simulation.ts";

/** The latest end of a run that ends early. */
const EARLY_MS = 60;

/** How a run ends: when all is quiet, or early. */
export type Ending = "patient" | "shutdown" | "close";

/** A server of any kind. */
export interface Ended {
  readonly finished: Promise<void>;
  shutdown(): unknown;
}

/**
 * Lets peers connect to a server, and ends the server.
 *
 * @param expect Checks the run before the server shuts down.
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
  // Peers that would never end by themselves.
  for (const peer of peers) peer.reset();
  await simulation.settle();
  world.expect(isFinished, () => "the server has not finished");
}
