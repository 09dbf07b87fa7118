/**
 * Measures servers under load, in turns.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { readProc } from "../process_cpu.ts";
import type { Bench } from "./bench.ts";
import { cpuWithin } from "./cpu_watch.ts";
import { type Figures, figuresOf, type Sample, spreadOf } from "./figures.ts";
import { stillWanted } from "./interruption.ts";
import { type LoadCommand, ownLoad } from "./load_generators.ts";
import type { Measured, Method } from "./method.ts";
import type { RunningPeer } from "./peers.ts";
import { inTurns } from "./rounds.ts";
import { BUSY, type Scenario } from "./scenarios.ts";
import { callsOfRequest } from "./system_calls.ts";

const MS_PER_SECOND = 1_000;
const BYTES_PER_KB = 1_024;

/** Compilers have seen the most by then, and all: caches and pools are full. */
const WARM_UP_SECONDS = { min: 0.5, max: 2 };
/** Counts need no long time, as they are no times. */
const CALLS_SECONDS_MAX = 1;
/**
 * The calls that open many connections would be most, and differ from time to
 * time: they are taken away by a run that is short, from one that is long.
 */
const CALLS_SECONDS_MANY = { less: 0.2, more: 1.2 };
/** So long that each of many connections is answered, and more than once. */
const SECONDS_A_CONNECTION = 1e-4;

/** For scenarios of the kind `load`. */
export const LOAD: Method = {
  // Warming up, the rounds, and counting system calls.
  steps: (scenario, rounds) => 1 + rounds + (countsCalls(scenario) ? 1 : 0),
  measure: measureLoad,
};

async function measureLoad(
  bench: Bench,
  scenario: Scenario,
): Promise<Measured[]> {
  const { progress, rounds } = bench.init;
  await using servers = await bench.startAll(scenario);
  const samples = await inTurns(servers.running, {
    rounds,
    warmUp: (server) => warmUp(bench, scenario, server),
    measure(server, round) {
      progress.step(
        `${scenario.title}: round ${round + 1} of ${rounds}, ${server.name}`,
      );
      return sampleOf(bench, scenario, server);
    },
    drop: (server, error) => bench.drop(scenario, server, error),
  });
  const measured: Measured[] = [];
  for (const [server, rounds] of samples) {
    const resident = spreadOf([residentBytes(server.server.pid)]);
    const figures = { ...figuresOf(rounds), residentBytes: resident };
    const calls = countsCalls(scenario)
      ? await callsOf(bench, scenario, server)
      : {};
    measured.push({ peer: server.name, figures: { ...figures, ...calls } });
  }
  return measured;
}

/**
 * Puts the scenario's load on a server, and waits until that is over. Only then
 * it is left half of its core: compilers want theirs.
 */
export async function warmUp(
  bench: Bench,
  scenario: Scenario,
  running: RunningPeer,
): Promise<void> {
  const { name, server } = running;
  const { loadOf, progress, reader } = bench.init;
  progress.step(`${scenario.title}: warming up ${name}`);
  const { min, max } = WARM_UP_SECONDS;
  const seconds = Math.min(Math.max(bench.init.seconds, min), max);
  const connections = Math.min(scenario.connections, BUSY);
  await bench.load(
    loadOf(scenario)(server.port, { ...scenario, connections }, seconds),
  );
  await reader.rest(server.pid);
  bench.limit(running, scenario);
}

/** Measures a server once. */
export async function sampleOf(
  bench: Bench,
  scenario: Scenario,
  { server: { pid, port } }: RunningPeer,
  command: LoadCommand = bench.init.loadOf(scenario),
): Promise<Sample> {
  const { reader } = bench.init;
  const seconds = secondsOf(bench, scenario);
  // Where a moment is what is measured, nothing else may want the core.
  const isPeaceful = !scenario.isLimited;
  const watch = reader.watch(pid, isPeaceful);
  const seen = await bench.load(command(port, scenario, seconds))
    .finally(() => watch.stop().catch(() => {}));
  const looks = await watch.stop();
  const beganMs = isPeaceful
    ? -Infinity
    : seen.endedMs - seen.seconds * MS_PER_SECOND;
  const endedMs = isPeaceful ? Infinity : seen.endedMs;
  await reader.rest(pid);
  return { ...seen, cpu: cpuWithin(looks, beganMs, endedMs) };
}

/** What is scaled makes the same calls that are counted elsewhere. */
function countsCalls({ group }: Scenario): boolean {
  return group !== "scaling";
}

function secondsOf(bench: Bench, { connections }: Scenario): number {
  return Math.max(bench.init.seconds, connections * SECONDS_A_CONNECTION);
}

/** Returns the memory that a process has, kernel's not counted. */
export function residentBytes(pid: number): number {
  const status = readProc(`${pid}/status`) ?? "";
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  if (kilobytes !== undefined) return Number(kilobytes) * BYTES_PER_KB;
  throw new Failure(
    `memory of process ${pid} is unknown: it has ended, or there is no /proc`,
  );
}

/** A pass of its own: what counts disturbs what is timed. */
async function callsOf(
  bench: Bench,
  scenario: Scenario,
  { name, server: { pid, port } }: RunningPeer,
): Promise<Figures> {
  const { countCalls, machine, progress } = bench.init;
  progress.step(`${scenario.title}: system calls of ${name}`);
  if (countCalls === undefined) return {};
  const count = async (seconds: number) => {
    await stillWanted();
    const load = ownLoad(port, scenario, seconds);
    return await countCalls(pid, [...machine.onLoadCore, ...load]);
  };
  try {
    const seconds = Math.min(bench.init.seconds, CALLS_SECONDS_MAX);
    if (scenario.connections <= BUSY) {
      return { systemCalls: spreadOf([callsOfRequest(await count(seconds))]) };
    }
    const less = await count(CALLS_SECONDS_MANY.less);
    const more = await count(CALLS_SECONDS_MANY.more);
    return { systemCalls: spreadOf([callsOfRequest(more, less)]) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await stillWanted();
    bench.notes.push(
      `${scenario.name}: no system calls of ${name}: ${error.message}`,
    );
    return {};
  }
}
