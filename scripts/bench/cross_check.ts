/**
 * Measures the same under other load generators, so that nobody has to take
 * the word of the project's own.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { median } from "./figures.ts";
import { stillWanted } from "./interruption.ts";
import {
  autocannon,
  type LoadCommand,
  ownLoad,
  wrk,
} from "./load_generators.ts";
import { hasProgram } from "./machine.ts";
import { sampleOf } from "./measure_load.ts";
import { BASELINE, type RunningPeer, SUBJECT } from "./peers.ts";
import type { CrossCheck } from "./results.ts";
import { inTurns } from "./rounds.ts";
import type { Scenario } from "./scenarios.ts";

/** Those that are compared: a third would say nothing more. */
const PEERS: readonly string[] = [SUBJECT, BASELINE];

const LOADS: readonly (readonly [load: string, command: LoadCommand])[] = [
  ["own", ownLoad],
  ["wrk", wrk],
  ["autocannon", autocannon],
];

/** One load on one server. */
interface Pairing {
  readonly load: string;
  readonly command: LoadCommand;
  readonly server: RunningPeer;
}

/** Measures a scenario that each of the generators can do. */
export async function crossCheck(
  bench: Bench,
  scenario: Scenario,
): Promise<CrossCheck[]> {
  const { progress, rounds } = bench.init;
  const step = (at: string, { load, server }: Pairing) =>
    progress.step(`cross-check: ${at}, ${load} on ${server.name}`);
  await using servers = await bench.startAll({ ...scenario, peers: PEERS });
  const samples = await inTurns(pairings(bench, servers.running), {
    rounds,
    async warmUp(pairing) {
      step("warming up", pairing);
      const { server, command } = pairing;
      await sampleOf(bench, scenario, server, command);
      bench.limit(server, scenario);
    },
    measure(pairing, round) {
      step(`round ${round + 1} of ${rounds}`, pairing);
      return sampleOf(bench, scenario, pairing.server, pairing.command);
    },
    async drop({ load, server }, error) {
      await stillWanted();
      // Another's generator may be what failed: no verdict on the server.
      bench.notes.push(
        `cross-check: no ${load} on ${server.name}: ${error.message}`,
      );
    },
  });
  return [...samples].map(([{ load, server }, rounds]) => ({
    load,
    scenario: scenario.name,
    peer: server.name,
    cpuUs: median(rounds.map(({ cpu, requests }) => cpu.totalUs / requests)),
  }));
}

/** How many steps it takes. */
export function crossCheckSteps(rounds: number): number {
  return LOADS.length * PEERS.length * (1 + rounds);
}

function pairings(bench: Bench, servers: readonly RunningPeer[]): Pairing[] {
  const loads = LOADS.filter(([load]) => load !== "wrk" || hasProgram("wrk"));
  if (loads.length < LOADS.length) {
    bench.notes.push("cross-check: wrk is not installed");
  }
  return loads.flatMap(([load, command]) =>
    servers.map((server) => ({ load, command, server }))
  );
}
