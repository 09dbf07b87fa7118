/**
 * Measures what a connection costs a server in memory while it waits for its
 * next request.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";
import { kill } from "../server_process.ts";
import type { Bench } from "./bench.ts";
import { spreadOf } from "./figures.ts";
import { stillWanted } from "./interruption.ts";
import { killAfter, LOAD_MS_MAX, ownLoad } from "./load_generators.ts";
import { residentBytes } from "./measure_load.ts";
import type { Measured, Method } from "./method.ts";
import { HELLO } from "./payloads.ts";
import type { Peer } from "./peers.ts";
import { inTurns } from "./rounds.ts";
import { BUSY, type Scenario } from "./scenarios.ts";

/** How long memory may change after the last connection: collectors run. */
const SETTLE_MS_MAX = 1_000;
/** Fills caches and pools that any use would: no connection's own. */
const WARM_UP = { connections: BUSY, load: ["http", "--expect", HELLO] };
const WARM_UP_SECONDS_MAX = 2;
/** A first look takes less of both, where a round is short. */
const MS_A_SECOND = 1_000;
const WARM_UP_A_SECOND = 3;

/**
 * For scenarios of the kind `idle`. Servers are started anew every time: memory
 * that was used once is often kept.
 */
export const WEIGH: Method = {
  steps: (_, rounds) => rounds,
  measure: measureIdle,
};

async function measureIdle(
  bench: Bench,
  scenario: Scenario,
): Promise<Measured[]> {
  const { progress, rounds } = bench.init;
  const samples = await inTurns(bench.contestants(scenario), {
    rounds,
    warmUp: () => Promise.resolve(),
    measure(peer, round) {
      progress.step(
        `${scenario.title}: round ${round + 1} of ${rounds}, ${peer.name}`,
      );
      return weigh(bench, scenario, peer);
    },
    drop: (peer, error) => bench.drop(scenario, peer, error),
  });
  return [...samples].map(([{ name }, rounds]) => ({
    peer: name,
    figures: {
      bytesEach: spreadOf(rounds.map(({ bytesEach }) => bytesEach)),
      residentBytes: spreadOf(rounds.map(({ resident }) => resident)),
    },
  }));
}

/** Returns a server's memory with connections, and what each of them added. */
async function weigh(
  bench: Bench,
  scenario: Scenario,
  peer: Peer,
): Promise<{ bytesEach: number; resident: number }> {
  await using running = await bench.start(peer, scenario);
  const { pid, port } = running.server;
  const { seconds } = bench.init;
  const warmUp = Math.min(seconds * WARM_UP_A_SECOND, WARM_UP_SECONDS_MAX);
  await bench.load(ownLoad(port, WARM_UP, warmUp));
  await settle(seconds);
  const before = residentBytes(pid);
  await stillWanted();
  await using holder = await holdConnections([
    ...bench.init.machine.onLoadCore,
    ...ownLoad(port, scenario),
  ]);
  await settle(seconds);
  const resident = residentBytes(pid);
  await holder.end();
  return { bytesEach: (resident - before) / scenario.connections, resident };
}

/** Somebody who holds connections. */
interface Holder extends AsyncDisposable {
  /** Lets go of them; fails when one had been closed before. */
  end(): Promise<void>;
}

/** Resolves when all connections are open and have been answered. */
async function holdConnections(command: readonly string[]): Promise<Holder> {
  const [program, ...args] = command;
  const child = new Deno.Command(program!, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const interrupted = whenInterrupted(() => kill(child, "SIGKILL"));
  const patience = killAfter(child, LOAD_MS_MAX);
  const complaint = new Response(child.stderr).text();
  const holder: Holder = {
    async end() {
      await child.stdin.close();
      const { success } = await child.status;
      if (success) return;
      if (patience.isOver()) throw patience.failure();
      throw new Failure(`the load failed: ${(await complaint).trim()}`);
    },
    async [Symbol.asyncDispose]() {
      kill(child, "SIGKILL");
      await child.status;
      patience[Symbol.dispose]();
      interrupted[Symbol.dispose]();
    },
  };
  try {
    // One line comes when all are open, and none when that failed.
    const { done } = await child.stdout.getReader().read();
    if (done) await holder.end();
    return holder;
  } catch (error) {
    await holder[Symbol.asyncDispose]();
    throw error;
  }
}

function settle(seconds: number): Promise<void> {
  const ms = Math.min(seconds * MS_A_SECOND, SETTLE_MS_MAX);
  return new Promise((resolve) => setTimeout(resolve, ms));
}
