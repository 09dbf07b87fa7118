/**
 * The ways to measure one server once: under load, beside idle connections,
 * beside logins, with connections that wait, and from its start.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import { startServer } from "../server_process.ts";
import type { Bench } from "./bench.ts";
import { CpuMeter, usWithin } from "./cpu.ts";
import { startLoad } from "./load.ts";
import { HELLO, LOGIN } from "./payloads.ts";
import { connected, type Peer, type RunningPeer } from "./peers.ts";
import type { FigureName } from "./results.ts";
import { BUSY, type Scenario, scenarioOf } from "./scenarios.ts";

/** The figures of one server in one round. */
export type Round = Partial<Record<FigureName, number>>;

const MS_PER_SECOND = 1_000;
const BYTES_PER_KIB = 1_024;

/** So long that each of many connections is answered, and more than once. */
const SECONDS_A_CONNECTION = 1e-4;
/** Logins begin before the measured load, and end after it. */
const LOGIN_SECONDS_MORE = 1;
const LOGIN_LOAD = [
  ...["http", "--method", "POST", "--path", "/login"],
  ...["--body", LOGIN.body, "--expect", LOGIN.answer],
];

/** How long memory may change after the last connection: collectors run. */
const SETTLE_SECONDS_MAX = 1;
/** A first look takes less, where a round is short. */
const FILL_SECONDS_MAX = 2;
const FILL_A_SECOND = 3;
/** Connections that come and go, until what opens them is compiled. */
const FILL_CONNECTIONS = 512;
const FILL_TIMES = 8;

const ANSWER_MS_MAX = 2_000;
const ANSWER_BYTES_MAX = 4_096;
const REQUEST = new TextEncoder().encode(
  "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
);

/** Measures a server under the scenario's load. */
export async function underLoad(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer,
): Promise<Round> {
  const { pid } = server;
  const { connections, isLimited } = scenario;
  const least = connections * SECONDS_A_CONNECTION;
  const meter = new CpuMeter(pid);
  // Where moments are measured, nothing else may want the core.
  const watch = meter.watch({ isPeaceful: !isLimited });
  let seen, looks;
  try {
    const seconds = Math.max(bench.init.seconds, least);
    seen = await bench.load(server, scenario, seconds);
  } finally {
    looks = watch.stop();
  }
  const { requests, seconds, endedMs } = seen;
  const { maxUs, ...latency } = seen.latency;
  const usedUs = isLimited
    ? usWithin(looks, endedMs - seconds * MS_PER_SECOND, endedMs)
    : usWithin(looks, -Infinity, Infinity);
  await meter.rest();
  return {
    cpuUs: usedUs / requests,
    perSecond: requests / seconds,
    residentBytes: residentBytes(pid),
    ...latency,
    // Elsewhere p99.9 says more.
    ...scenario.kind === "logins" ? { maxUs: maxUs! } : {},
  };
}

/**
 * Measures with idle connections and without them. All figures are those beside
 * them, and the rate that is kept is a ratio of both.
 */
export async function besideIdle(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer,
  round: number,
): Promise<Round> {
  const alone = { ...scenario, connections: BUSY };
  const idle = `${scenario.connections - BUSY}`;
  const beside = { ...alone, load: [...scenario.load, "--idle", idle] };
  const rounds = new Map<Scenario, Round>();
  for (const way of round % 2 === 0 ? [beside, alone] : [alone, beside]) {
    rounds.set(way, await underLoad(bench, way, server));
  }
  const figures = rounds.get(beside)!;
  const rateKept = figures.perSecond! / rounds.get(alone)!.perSecond!;
  return { ...figures, rateKept };
}

/** Measures while 64 clients log in: the server hashes their passwords. */
export async function besideLogins(
  bench: Bench,
  scenario: Scenario,
  server: RunningPeer,
): Promise<Round> {
  const seconds = bench.init.seconds + LOGIN_SECONDS_MORE;
  const logins = { ...scenario, connections: BUSY, load: LOGIN_LOAD };
  const [{ cpuUs: _, ...figures }] = await Promise.all([
    underLoad(bench, scenario, server),
    bench.load(server, logins, seconds),
  ]);
  return figures;
}

/** Weighs connections that wait for their next request. */
export async function idle(
  bench: Bench,
  scenario: Scenario,
  peer: Peer,
): Promise<Round> {
  const { seconds } = bench.init;
  const settle = () => {
    const settleSeconds = Math.min(seconds, SETTLE_SECONDS_MAX);
    return new Promise((resolve) =>
      setTimeout(resolve, settleSeconds * MS_PER_SECOND)
    );
  };
  // A new process: memory that was used once is often kept.
  await using running = await bench.start(peer, scenario);
  const { pid } = running;
  const hold = async (connections: number, look = () => Promise.resolve(0)) => {
    const held = { ...scenario, connections };
    await using load = await startLoad(bench.commandOf(running, held));
    // The generator prints a line when each connection has had an answer.
    await load.printed;
    const seen = await look();
    await load.end();
    return seen;
  };
  const settled = async () => {
    await settle();
    return residentBytes(pid);
  };
  // Fills caches and pools that any use would fill: no connection owns them.
  const fillSeconds = Math.min(seconds * FILL_A_SECOND, FILL_SECONDS_MAX);
  const fill = scenarioOf(scenario.service === "hello" ? "get" : "ws-64");
  await bench.load(running, fill, fillSeconds);
  for (let time = 0; time < FILL_TIMES; time++) await hold(FILL_CONNECTIONS);
  const before = await settled();
  const resident = await hold(scenario.connections, settled);
  return {
    bytesEach: (resident - before) / scenario.connections,
    residentBytes: resident,
  };
}

/** Times a server from its start to the first answer. */
export async function start(
  { init: { machine } }: Bench,
  { service }: Scenario,
  peer: Peer,
): Promise<Round> {
  await stillWanted();
  const startedMs = performance.now();
  await using server = await startServer(
    [...machine.onServerCore, ...peer.command(service)],
  );
  // A plain socket: the first `fetch` of a process would be timed as well.
  using connection = await connected(server.port);
  const timer = setTimeout(() => connection.close(), ANSWER_MS_MAX);
  const answer = new Uint8Array(ANSWER_BYTES_MAX);
  try {
    await connection.write(REQUEST);
    for (let text = ""; !text.endsWith(HELLO);) {
      const count = await connection.read(answer);
      if (count === null) throw new Error(`it answered "${text}" and closed`);
      text += new TextDecoder().decode(answer.subarray(0, count));
    }
  } catch (error) {
    throw new Failure(`no first answer: ${(error as Error).message}`);
  } finally {
    clearTimeout(timer);
  }
  return { startMs: performance.now() - startedMs };
}

/** Returns the memory that a process has, the kernel's not counted. */
function residentBytes(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status)!;
    return Number(kibibytes) * BYTES_PER_KIB;
  } catch {
    throw new Failure(`memory of process ${pid} is unknown: it has ended`);
  }
}
