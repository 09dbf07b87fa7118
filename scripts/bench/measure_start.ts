/**
 * Measures how long it takes from starting a server to its first answer.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { startServer } from "../server_process.ts";
import type { Bench } from "./bench.ts";
import { spreadOf } from "./figures.ts";
import { stillWanted } from "./interruption.ts";
import type { Measured, Method } from "./method.ts";
import { HELLO } from "./payloads.ts";
import type { Peer } from "./peers.ts";
import { inTurns } from "./rounds.ts";
import type { Scenario } from "./scenarios.ts";

/** It is short, and depends on much. */
const START_ROUNDS_MIN = 5;
/** One says where it will listen before it does: nginx. */
const RETRY_MS = 1;
const ANSWER_MS_MAX = 2_000;
const ANSWER_BYTES_MAX = 4_096;

const REQUEST = new TextEncoder().encode(
  "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
);

/** For scenarios of the kind `start`. */
export const START: Method = {
  steps: (_, rounds) => startRounds(rounds),
  measure: measureStart,
};

async function measureStart(
  bench: Bench,
  scenario: Scenario,
): Promise<Measured[]> {
  const { progress } = bench.init;
  const rounds = startRounds(bench.init.rounds);
  const samples = await inTurns(bench.contestants(scenario), {
    rounds,
    // The first time its files are read from a disk.
    warmUp: async (peer) => void await startMs(bench, scenario, peer),
    measure(peer, round) {
      progress.step(
        `${scenario.title}: round ${round + 1} of ${rounds}, ${peer.name}`,
      );
      return startMs(bench, scenario, peer);
    },
    drop: (peer, error) => bench.drop(scenario, peer, error),
  });
  return [...samples].map(([{ name }, rounds]) => ({
    peer: name,
    figures: { startMs: spreadOf(rounds) },
  }));
}

function startRounds(rounds: number): number {
  return Math.max(rounds, START_ROUNDS_MIN);
}

async function startMs(
  { init: { machine } }: Bench,
  { service }: Scenario,
  peer: Peer,
): Promise<number> {
  await stillWanted();
  const command = [...machine.onServerCore, ...peer.command(service)];
  const startedMs = performance.now();
  await using server = await startServer(command);
  await firstAnswer(server.port, performance.now() + ANSWER_MS_MAX);
  return performance.now() - startedMs;
}

/** A plain socket: what `fetch` does the first time would be timed as well. */
async function firstAnswer(port: number, deadlineMs: number): Promise<void> {
  using connection = await connected(port, deadlineMs);
  const timer = setTimeout(
    () => connection.close(),
    deadlineMs - performance.now(),
  );
  try {
    await connection.write(REQUEST);
    await expectHello(connection);
  } catch (error) {
    throw new Failure(`no first answer: ${(error as Error).message}`);
  } finally {
    clearTimeout(timer);
  }
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

async function connected(
  port: number,
  deadlineMs: number,
): Promise<Deno.TcpConn> {
  for (;;) {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      if (performance.now() > deadlineMs) throw new Failure(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
