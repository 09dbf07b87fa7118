/**
 * Measures servers under load, in turns: what disturbs the machine for a while
 * disturbs all of them alike.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { cpuBetween, type CpuTime, cpuTimeOf } from "../process_cpu.ts";
import type { Sample } from "./figures.ts";
import type { LoadGenerator } from "./load_generators.ts";
import type { RunningPeer } from "./peers.ts";
import type { LoadScenario } from "./scenarios.ts";

/** How a scenario is measured. */
export interface RoundsOptions {
  /** What makes the load. */
  readonly load: LoadGenerator;
  /** How often. */
  readonly rounds: number;
  /** How long each time, and for warming up before. */
  readonly seconds: number;
  /** Told of what happens. */
  readonly progress: (line: string) => void;
}

/** Returns each server's samples, by its name. */
export async function measureRounds(
  peers: readonly RunningPeer[],
  scenario: LoadScenario,
  { load, rounds, seconds, progress }: RoundsOptions,
): Promise<Map<string, Sample[]>> {
  for (const { name, server } of peers) {
    progress(`${scenario.title}: warming up ${name}`);
    await load(server.port, scenario, seconds);
  }
  const samples = new Map(peers.map(({ name }) => [name, [] as Sample[]]));
  for (let round = 1; round <= rounds; round++) {
    for (const peer of peers) {
      progress(`${scenario.title}: round ${round} of ${rounds}, ${peer.name}`);
      const before = cpuOf(peer);
      const seen = await load(peer.server.port, scenario, seconds);
      const cpu = cpuBetween(before, cpuOf(peer));
      samples.get(peer.name)!.push({ ...seen, cpu });
    }
  }
  return samples;
}

function cpuOf({ name, server }: RunningPeer): CpuTime {
  const cpu = cpuTimeOf(server.pid);
  if (cpu !== undefined) return cpu;
  throw new Failure(
    `Cannot measure ${name}: it has ended, or there is no /proc here`,
  );
}
