/**
 * Measures a scenario: servers in turns, round by round, and figures from all
 * rounds.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import type { Bench } from "./bench.ts";
import { CpuMeter } from "./cpu.ts";
import type { RunningPeer } from "./peers.ts";
import {
  FIGURE_NAMES,
  type Figures,
  type Results,
  spreadOf,
} from "./results.ts";
import { inTurns } from "./rounds.ts";
import { BUSY, LIMIT, type Scenario } from "./scenarios.ts";
import { callsOfRequest, countCalls } from "./system_calls.ts";
import {
  besideIdle,
  besideLogins,
  idle,
  type Round,
  start,
  underLoad,
} from "./ways.ts";

/** Scenarios whose servers run for all rounds. */
const RUNNING = { load: underLoad, beside: besideIdle, logins: besideLogins };
/** Scenarios whose servers are started for each round. */
const ANEW = { idle, start };

/** A start is short, and varies much. */
const START_ROUNDS_MIN = 5;
/**
 * As long as all rounds together, within these bounds. By then caches and pools
 * are full, and compilers have seen most code. V8 compiles the code of a turn
 * last: with one connection after some twenty thousand messages, which cost a
 * sixth more than those behind. After more seconds, a connection with pipelines
 * would have asked so often that a server may end it.
 */
const WARM_UP_SECONDS = { min: 0.5, max: 2 };
/** Counts need less time than times do. */
const CALLS_SECONDS_MAX = 1;
/**
 * The calls that open many connections would be most of all, and vary: the
 * calls of a short run are subtracted from those of a long run.
 */
const CALLS_SECONDS_MANY = { less: 0.2, more: 1.2 };

/** Measures a scenario, and adds its results. */
export async function measure(
  bench: Bench,
  scenario: Scenario,
  results: Results,
): Promise<void> {
  const { kind } = scenario;
  const { progress, rounds: wanted } = bench.init;
  const rounds = Math.max(wanted, kind === "start" ? START_ROUNDS_MIN : 1);
  await using stack = new AsyncDisposableStack();
  const running = new Map<string, RunningPeer>();
  const samples = await inTurns(bench.contestants(scenario), {
    rounds,
    async warmUp(peer) {
      progress.step(`warming up ${peer.name}`);
      // The first start reads the files from a disk.
      if (kind === "start") return await start(bench, scenario, peer);
      const server = stack.use(await bench.start(peer, scenario));
      if (kind === "idle") return await server[Symbol.asyncDispose]();
      running.set(peer.name, server);
      await warmUp(bench, scenario, server);
    },
    async measure(peer, round) {
      progress.step(`round ${round + 1} of ${rounds}, ${peer.name}`);
      return kind === "idle" || kind === "start"
        ? await ANEW[kind](bench, scenario, peer)
        : await RUNNING[kind](bench, scenario, running.get(peer.name)!, round);
    },
    drop: (peer, error) => bench.drop(scenario, peer, error),
  });
  const limit = [...samples.keys()].find(({ name }) => name === LIMIT);
  for (const [peer, all] of samples) {
    const floor = limit === peer ? undefined : samples.get(limit!);
    const figures = figuresOf(all, floor);
    const calls = await callsOf(bench, scenario, running.get(peer.name));
    results.add(scenario.name, peer.name, { ...figures, ...calls });
  }
}

/**
 * Returns a server's figures by its rounds, at least one.
 *
 * @param floor The bare loop's figures of the same rounds. The rest is the
 * server's own part.
 */
export function figuresOf(
  rounds: readonly Round[],
  floor?: readonly Round[],
): Figures {
  const all = rounds.map((round, index) => ({
    ...round,
    ownUs: (round.cpuUs ?? NaN) - (floor?.[index]?.cpuUs ?? NaN),
  }));
  const spreads = FIGURE_NAMES.map((name) =>
    [name, spreadOf(all.map((round: Round) => round[name] ?? NaN))] as const
  );
  return Object.fromEntries(
    spreads.filter(([, spread]) => spread.every(Number.isFinite)),
  );
}

/**
 * Puts the scenario's load on a server, and waits until that is over. Only then
 * the server is limited to half of its core: compilers want all of it.
 */
async function warmUp(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer,
): Promise<void> {
  const { machine, rounds, seconds } = bench.init;
  const { pid } = server;
  const { min, max } = WARM_UP_SECONDS;
  const connections = Math.min(scenario.connections, BUSY);
  const load = { ...scenario, connections };
  const warmUpSeconds = Math.min(Math.max(rounds * seconds, min), max);
  await bench.load(server, load, warmUpSeconds);
  await new CpuMeter(pid).rest();
  if (scenario.isLimited) machine.quota?.add(pid);
}

/** A pass of its own: counting disturbs timing. */
async function callsOf(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer | undefined,
): Promise<Figures> {
  const { countsCalls, progress, seconds } = bench.init;
  const { kind, group, isByWrk, connections } = scenario;
  // Scaled scenarios make the same calls that are counted elsewhere.
  const isElsewhere = group === "scaling" || isByWrk || kind !== "load";
  if (!countsCalls || isElsewhere || server === undefined) return {};
  progress.step(`system calls of ${server.name}`);
  const count = (seconds: number) =>
    countCalls(server.pid, bench.commandOf(server, scenario, seconds));
  const { less, more } = CALLS_SECONDS_MANY;
  try {
    const calls = connections <= BUSY
      ? callsOfRequest(await count(Math.min(seconds, CALLS_SECONDS_MAX)))
      : callsOfRequest(await count(more), await count(less));
    return { systemCalls: spreadOf([calls]) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await stillWanted();
    bench.notes.push(
      `${scenario.name}: no system calls of ${server.name}: ${error.message}`,
    );
    return {};
  }
}
