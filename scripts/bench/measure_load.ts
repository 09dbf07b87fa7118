/**
 * Measures servers under load, in turns: alone, beside idle connections, and
 * beside logins.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import type { Bench } from "./bench.ts";
import { CpuMeter, usWithin } from "./cpu.ts";
import { type LoadSeen, ownLoad } from "./load.ts";
import { LIMIT } from "./names.ts";
import { LOGIN } from "./payloads.ts";
import type { RunningPeer } from "./peers.ts";
import {
  type Figures,
  type Results,
  type Spread,
  spreadOf,
} from "./results.ts";
import { BUSY, type Scenario } from "./scenarios.ts";
import { callsOfRequest, countCalls } from "./system_calls.ts";

const MS_PER_SECOND = 1_000;
const BYTES_PER_KIB = 1_024;

/** Compilers have seen the most by then, and caches and pools are full. */
const WARM_UP_SECONDS = { min: 0.5, max: 2 };
/** Counts are no times, and need no long one. */
const CALLS_SECONDS_MAX = 1;
/**
 * The calls that open many connections would be most, and differ from time to
 * time: those of a short run are taken away from those of a long one.
 */
const CALLS_SECONDS_MANY = { less: 0.2, more: 1.2 };
/** So long that each of many connections is answered, and more than once. */
const SECONDS_A_CONNECTION = 1e-4;
/** Logins begin before what is measured beside them, and end after it. */
const LOGIN_SECONDS_MORE = 1;

/** One round of one server. */
export interface Sample extends Pick<LoadSeen, "requests" | "seconds"> {
  /** How long answers took. */
  readonly latency: LoadSeen["latency"];
  /** Processor time of the server meanwhile. */
  readonly cpuUs: number;
  /** The part of its rate that it keeps beside idle connections. */
  readonly rateKept?: number;
  /** The worst answer beside logins: elsewhere p99.9 says more. */
  readonly worstUs?: number | undefined;
}

/** Measures a scenario, and adds what came of it. */
export async function measureLoad(
  bench: Bench,
  scenario: Scenario,
  results: Results,
): Promise<void> {
  const ways = { load: sampleOf, beside: besideIdle, logins: besideLogins };
  const way = ways[scenario.kind as keyof typeof ways];
  await bench.inTurns(scenario, {
    warmUp: (server) => warmUp(bench, scenario, server),
    measure: (server, round) => way(bench, scenario, server, round),
    async finish(samples) {
      const limit = [...samples.keys()].find(({ name }) => name === LIMIT);
      const floor = limit && samples.get(limit);
      for (const [server, rounds] of samples) {
        results.add(scenario.name, server.name, {
          ...figuresOf(rounds, server === limit ? undefined : floor),
          residentBytes: spreadOf([residentBytes(server.server.pid)]),
          ...await callsOf(bench, scenario, server),
        });
      }
    },
  });
}

/**
 * Returns a server's figures by its rounds, at least one.
 *
 * @param floor The bare loop's samples of the same rounds: what remains without
 * them is the server's own part.
 */
export function figuresOf(
  samples: readonly Sample[],
  floor?: readonly Sample[],
): Figures {
  const of = (figure: (sample: Sample, round: number) => number | undefined) =>
    spreadOf(samples.map((sample, round) => figure(sample, round) ?? NaN));
  const cpuOf = ({ cpuUs, requests }: Sample) => cpuUs / requests;
  const figures: Record<keyof Figures, Spread> | Figures = {
    cpuUs: of(cpuOf),
    ownUs: of((sample, round) => floor && cpuOf(sample) - cpuOf(floor[round]!)),
    perSecond: of(({ requests, seconds }) => requests / seconds),
    rateKept: of(({ rateKept }) => rateKept),
    p50Us: of(({ latency }) => latency.p50Us),
    p99Us: of(({ latency }) => latency.p99Us),
    p999Us: of(({ latency }) => latency.p999Us),
    maxUs: of(({ worstUs }) => worstUs),
  };
  return Object.fromEntries(
    Object.entries(figures).filter(([, spread]) =>
      spread.every(Number.isFinite)
    ),
  );
}

/**
 * Puts the scenario's load on a server, and waits until that is over. The
 * server gets half of its core after that: compilers want all of it.
 */
async function warmUp(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer,
): Promise<void> {
  const { min, max } = WARM_UP_SECONDS;
  const seconds = Math.min(Math.max(bench.init.seconds, min), max);
  const connections = Math.min(scenario.connections, BUSY);
  await bench.load(
    bench.commandOf(server, { ...scenario, connections }, seconds),
  );
  await new CpuMeter(server.server.pid).rest();
  bench.limit(server, scenario);
}

/** Measures a server once. */
async function sampleOf(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer,
): Promise<Sample> {
  const meter = new CpuMeter(server.server.pid);
  const { connections, isLimited } = scenario;
  const least = connections * SECONDS_A_CONNECTION;
  const seconds = Math.max(bench.init.seconds, least);
  // Where a moment is what is measured, nothing else may want the core.
  const watch = meter.watch({ isPeaceful: !isLimited });
  let seen, looks;
  try {
    seen = await bench.load(bench.commandOf(server, scenario, seconds));
  } finally {
    looks = watch.stop();
  }
  const beganMs = seen.endedMs - seen.seconds * MS_PER_SECOND;
  const cpuUs = isLimited
    ? usWithin(looks, beganMs, seen.endedMs)
    : usWithin(looks, -Infinity, Infinity);
  await meter.rest();
  return { ...seen, cpuUs };
}

/**
 * Measures with idle connections and without them. All figures are those beside
 * them, and the rate that is kept is a ratio of both.
 */
async function besideIdle(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer,
  round: number,
): Promise<Sample> {
  const alone = { ...scenario, connections: BUSY };
  const idle = `${scenario.connections - BUSY}`;
  const beside = { ...alone, load: [...scenario.load, "--idle", idle] };
  const samples = new Map<Scenario, Sample>();
  for (const way of round % 2 === 0 ? [beside, alone] : [alone, beside]) {
    bench.step(round, server, way === beside ? ", beside idle ones" : "");
    samples.set(way, await sampleOf(bench, way, server));
  }
  const rateOf = ({ requests, seconds }: Sample) => requests / seconds;
  const sample = samples.get(beside)!;
  return {
    ...sample,
    rateKept: rateOf(sample) / rateOf(samples.get(alone)!),
  };
}

/** Measures while 64 clients log in, whose passwords the server hashes. */
async function besideLogins(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer,
): Promise<Sample> {
  const seconds = bench.init.seconds + LOGIN_SECONDS_MORE;
  const { body, answer } = LOGIN;
  const words = ["--method", "POST", "--path", "/login", "--body", body];
  const load = ["http", ...words, "--expect", answer];
  const logins = bench.load(ownLoad(server.server.port, BUSY, load, seconds));
  const [sample] = await Promise.all([
    sampleOf(bench, scenario, server),
    logins,
  ]);
  // Most of the processor time is that of the logins.
  return { ...sample, cpuUs: NaN, worstUs: sample.latency.maxUs };
}

/** Returns the memory that a process has, the kernel's not counted. */
export function residentBytes(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
    if (kibibytes !== undefined) return Number(kibibytes) * BYTES_PER_KIB;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  throw new Failure(`memory of process ${pid} is unknown: it has ended`);
}

/** A pass of its own: what counts disturbs what is timed. */
async function callsOf(
  bench: Bench,
  scenario: Scenario,
  running: RunningPeer,
): Promise<Figures> {
  const { countsCalls, machine, progress } = bench.init;
  const { kind, group, isByWrk, connections } = scenario;
  // Scaled scenarios make the same calls that are counted elsewhere.
  const isElsewhere = group === "scaling" || isByWrk || kind !== "load";
  if (!countsCalls || isElsewhere) return {};
  const { name, server } = running;
  progress.step(`system calls of ${name}`);
  const count = (seconds: number) => {
    const load = bench.commandOf(running, scenario, seconds);
    return countCalls(server.pid, [...machine.onLoadCore, ...load]);
  };
  try {
    const calls = connections <= BUSY
      ? callsOfRequest(
        await count(Math.min(bench.init.seconds, CALLS_SECONDS_MAX)),
      )
      : callsOfRequest(
        await count(CALLS_SECONDS_MANY.more),
        await count(CALLS_SECONDS_MANY.less),
      );
    return { systemCalls: spreadOf([calls]) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await stillWanted();
    bench.notes.push(
      `${scenario.name}: no system calls of ${name}: ${error.message}`,
    );
    return {};
  }
}
