/**
 * Measures what idle connections cost those that are busy.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { figuresOf, median, type Sample, spreadOf } from "./figures.ts";
import { residentBytes, sampleOf, warmUp } from "./measure_load.ts";
import type { Measured, Method } from "./method.ts";
import type { RunningPeer } from "./peers.ts";
import { inTurns } from "./rounds.ts";
import { BUSY, type Scenario } from "./scenarios.ts";

/** A round of a server: with idle connections, and without them. */
interface Pair {
  readonly beside: Sample;
  readonly alone: Sample;
}

/**
 * For scenarios of the kind `beside`. The figures are those beside idle
 * connections, but `perSecond` is the ratio to that without them, of the same
 * round.
 */
export const BESIDE: Method = {
  // Warming up, and two measurements a round.
  steps: (_, rounds) => 1 + 2 * rounds,
  measure: measureBeside,
};

async function measureBeside(
  bench: Bench,
  scenario: Scenario,
): Promise<Measured[]> {
  const { progress, rounds } = bench.init;
  const [beside, alone] = variantsOf(scenario);
  await using servers = await bench.startAll(scenario);
  const pairs = await inTurns(servers.running, {
    rounds,
    // Compilers are warmed up by the busy ones.
    warmUp: (server) => warmUp(bench, alone, server),
    async measure(server: RunningPeer, round): Promise<Pair> {
      const at = `round ${round + 1} of ${rounds}, ${server.name}`;
      const sample = (variant: Scenario, how: string) => {
        progress.step(`${scenario.title}: ${at}, ${how}`);
        return sampleOf(bench, variant, server);
      };
      if (round % 2 === 0) {
        const first = await sample(beside, "with");
        return { beside: first, alone: await sample(alone, "without") };
      }
      const first = await sample(alone, "without");
      return { alone: first, beside: await sample(beside, "with") };
    },
    drop: (server, error) => bench.drop(scenario, server, error),
  });
  return [...pairs].map(([server, rounds]) => ({
    peer: server.name,
    figures: {
      ...figuresOf(rounds.map(({ beside }) => beside)),
      perSecond: spreadOf(rounds.map(ratioOf)),
      residentBytes: spreadOf([residentBytes(server.server.pid)]),
    },
    note: noteOf(rounds),
  }));
}

/** Of all connections, so many are busy; the rest is opened and left alone. */
function variantsOf(scenario: Scenario): [beside: Scenario, alone: Scenario] {
  const busy = { ...scenario, connections: BUSY };
  const idle = `${scenario.connections - BUSY}`;
  const load = [...scenario.load, "--idle", idle];
  return [{ ...busy, load }, busy];
}

function rateOf({ requests, seconds }: Sample): number {
  return requests / seconds;
}

function ratioOf({ beside, alone }: Pair): number {
  return rateOf(beside) / rateOf(alone);
}

function noteOf(pairs: readonly Pair[]): string {
  const rate = (of: (pair: Pair) => Sample) =>
    Math.round(median(pairs.map((pair) => rateOf(of(pair)))));
  return `${rate(({ beside }) => beside)} requests a second, ` +
    `${rate(({ alone }) => alone)} without idle connections`;
}
