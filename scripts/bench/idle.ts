/**
 * Measures what a connection costs a server in memory while it waits for its
 * next request.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Failure } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";
import { readProc } from "../process_cpu.ts";
import { kill } from "../server_process.ts";
import type { LoadGenerator } from "./load_generators.ts";
import type { Machine } from "./machine.ts";
import { type Peer, startPeer } from "./peers.ts";
import type { IdleScenario } from "./scenarios.ts";

/** Descriptors that a process needs for itself. */
const DESCRIPTORS_SPARE = 100;
/** How long memory may change after the last connection: collectors run. */
const SETTLE_MS = 1_000;
/** Fills caches and pools that any use would: no connection's own. */
const WARM_UP = { title: "warming up", connections: 64, depth: 1 };
const WARM_UP_SECONDS = 2;

const BYTES_PER_KB = 1024;

/** What was measured of a server. */
export interface IdleFigures {
  /** Connections that were open. */
  readonly connections: number;
  /** Resident memory that each added. */
  readonly bytesPerConnection: number;
}

/** Measures one server, which is started for it. */
export async function measureIdle(
  peer: Peer,
  scenario: IdleScenario,
  { machine, load }: { machine: Machine; load: LoadGenerator },
): Promise<IdleFigures> {
  await using running = await startPeer(peer, machine);
  const { pid, port } = running.server;
  const room = descriptorsOf(pid) - DESCRIPTORS_SPARE;
  const connections = Math.min(scenario.idleConnections, room);
  await load(port, WARM_UP, WARM_UP_SECONDS);
  await settle();
  const before = residentBytes(pid);
  await using clients = new AsyncDisposableStack();
  await Promise.all(
    sharesOf(connections).map(async (share) => {
      const client = startClient(port, share);
      clients.defer(client.stop);
      await client.isReady;
    }),
  );
  await settle();
  const added = residentBytes(pid) - before;
  return { connections, bytesPerConnection: added / connections };
}

/** How many connections each client opens: a process has its limits. */
function sharesOf(connections: number): number[] {
  const each = descriptorsOf(Deno.pid) - DESCRIPTORS_SPARE;
  const count = Math.ceil(connections / each);
  return Array.from(
    { length: count },
    (_, index) => Math.min(each, connections - index * each),
  );
}

/** A client that opens connections and holds them until it is stopped. */
interface IdleClient {
  readonly isReady: Promise<void>;
  stop(): Promise<void>;
}

function startClient(port: number, connections: number): IdleClient {
  const file = fileURLToPath(new URL("idle_client.ts", import.meta.url));
  const client = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      file,
      `${port}`,
      `${connections}`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const interrupted = whenInterrupted(() => kill(client, "SIGKILL"));
  return {
    isReady: expectLine(client.stdout),
    async stop() {
      kill(client, "SIGKILL");
      await client.status;
      interrupted[Symbol.dispose]();
    },
  };
}

/** One line comes when all are open, and none when that failed. */
async function expectLine(stdout: ReadableStream<Uint8Array>): Promise<void> {
  const { done } = await stdout.getReader().read();
  if (done) throw new Failure("Cannot open idle connections, see above");
}

function descriptorsOf(pid: number): number {
  const limits = readProc(`${pid}/limits`) ?? "";
  const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  return Number(soft);
}

function residentBytes(pid: number): number {
  const status = readProc(`${pid}/status`) ?? "";
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  if (kilobytes !== undefined) return Number(kilobytes) * BYTES_PER_KB;
  throw new Failure("Cannot measure memory: there is no /proc here");
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
