/**
 * Measures servers that are started anew each time: the memory of connections
 * that wait, and the time to the first answer.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import { startServer } from "../server_process.ts";
import type { Bench } from "./bench.ts";
import { Load, ownLoad } from "./load.ts";
import { residentBytes } from "./measure_load.ts";
import { HELLO } from "./payloads.ts";
import { connected, type Peer } from "./peers.ts";
import { type Results, spreadOf } from "./results.ts";
import { inTurns } from "./rounds.ts";
import { BUSY, type Scenario } from "./scenarios.ts";

/** How long memory may change after the last connection: collectors run. */
const SETTLE_MS_MAX = 1_000;
const WARM_UP_SECONDS_MAX = 2;
/** A first look takes less of both, where a round is short. */
const MS_A_SECOND = 1_000;
const WARM_UP_A_SECOND = 3;

/** A start is short, and depends on much. */
const START_ROUNDS_MIN = 5;
const ANSWER_MS_MAX = 2_000;
const ANSWER_BYTES_MAX = 4_096;
const REQUEST = new TextEncoder().encode(
  "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
);

/** Weighs connections that wait for their next request. */
export async function measureIdle(
  bench: Bench,
  scenario: Scenario,
  results: Results,
): Promise<void> {
  const samples = await inTurns(bench.contestants(scenario), {
    rounds: bench.init.rounds,
    measure(peer, round) {
      bench.step(round, peer);
      return weigh(bench, scenario, peer);
    },
    drop: (peer, error) => bench.drop(scenario, peer, error),
  });
  for (const [{ name }, rounds] of samples) {
    results.add(scenario.name, name, {
      bytesEach: spreadOf(rounds.map(({ bytesEach }) => bytesEach)),
      residentBytes: spreadOf(rounds.map(({ resident }) => resident)),
    });
  }
}

/** Returns a server's memory with connections, and what each of them added. */
async function weigh(
  bench: Bench,
  scenario: Scenario,
  peer: Peer,
): Promise<{ bytesEach: number; resident: number }> {
  // Started anew: memory that was used once is often kept.
  await using running = await bench.start(peer, scenario);
  const { pid, port } = running.server;
  const { machine, seconds } = bench.init;
  const { connections, load } = scenario;
  const settle = () => {
    const ms = Math.min(seconds * MS_A_SECOND, SETTLE_MS_MAX);
    return new Promise((resolve) => setTimeout(resolve, ms));
  };
  // Fills caches and pools that any use would fill: they are no connection's.
  const warmUp = Math.min(seconds * WARM_UP_A_SECOND, WARM_UP_SECONDS_MAX);
  await bench.load(ownLoad(port, BUSY, ["http", "--expect", HELLO], warmUp));
  await settle();
  const before = residentBytes(pid);
  const command = ownLoad(port, connections, load);
  await using held = await Load.start([...machine.onLoadCore, ...command]);
  // It prints a line when each connection has been answered once.
  await held.printed;
  await settle();
  const resident = residentBytes(pid);
  await held.end();
  return { bytesEach: (resident - before) / connections, resident };
}

/** Times servers from their start to the first answer. */
export async function measureStart(
  bench: Bench,
  scenario: Scenario,
  results: Results,
): Promise<void> {
  const samples = await inTurns(bench.contestants(scenario), {
    rounds: Math.max(bench.init.rounds, START_ROUNDS_MIN),
    // The first time its files are read from a disk.
    warmUp: (peer) => startMs(bench, scenario, peer),
    measure(peer, round) {
      bench.step(round, peer);
      return startMs(bench, scenario, peer);
    },
    drop: (peer, error) => bench.drop(scenario, peer, error),
  });
  for (const [{ name }, rounds] of samples) {
    results.add(scenario.name, name, { startMs: spreadOf(rounds) });
  }
}

async function startMs(
  { init: { machine } }: Bench,
  { service }: Scenario,
  peer: Peer,
): Promise<number> {
  await stillWanted();
  const startedMs = performance.now();
  await using server = await startServer(
    [...machine.onServerCore, ...peer.command(service)],
  );
  // A plain socket: what `fetch` does the first time would be timed as well.
  using connection = await connected(server.port);
  const timer = setTimeout(() => connection.close(), ANSWER_MS_MAX);
  try {
    await connection.write(REQUEST);
    await expectHello(connection);
  } catch (error) {
    throw new Failure(`no first answer: ${(error as Error).message}`);
  } finally {
    clearTimeout(timer);
  }
  return performance.now() - startedMs;
}

async function expectHello(connection: Deno.TcpConn): Promise<void> {
  const answer = new Uint8Array(ANSWER_BYTES_MAX);
  let text = "";
  while (!text.endsWith(HELLO)) {
    const count = await connection.read(answer);
    if (count === null) throw new Error(`it answered "${text}" and closed`);
    text += new TextDecoder().decode(answer.subarray(0, count));
  }
}
