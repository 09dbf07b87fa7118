/**
 * What puts load on a server: the project's own generator, which verifies every
 * byte; wrk and autocannon, so that nobody has to take its word.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { build } from "../build.ts";
import { Failure } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";
import { kill } from "../server_process.ts";
import type { Scenario } from "./scenarios.ts";

/** How long a load may take beside its own time: a server may hang. */
export const LOAD_MS_MAX = 120_000;

const MS_PER_SECOND = 1_000;

/** What a load generator saw. */
export interface LoadSeen {
  /** Requests that were answered. */
  readonly requests: number;
  /** How long it took. */
  readonly seconds: number;
  /** When that was over, as `performance.now()` counts. */
  readonly endedMs: number;
  /** How long an answer took, as far as the generator says. */
  readonly latencyUs: {
    readonly p50Us?: number;
    readonly p99Us?: number;
    readonly p999Us?: number;
  };
}

/** What a load generator must know of a scenario. */
export type LoadScenario = Pick<
  Scenario,
  "load" | "connections" | "wrkDepth"
>;

/** Returns the command that puts load on a port for some seconds. */
export type LoadCommand = (
  port: number,
  scenario: LoadScenario,
  seconds: number,
) => string[];

/** Builds the project's own generator. */
export function prepareOwnLoad(): void {
  build(["--example", "load"]);
}

/** The project's own generator; without a time it holds connections. */
export function ownLoad(
  port: number,
  { load: [mode, ...words], connections }: LoadScenario,
  seconds?: number,
): string[] {
  return [
    fileOf("../../native/target/release/examples/load"),
    ...["--port", `${port}`, mode!, "--connections", `${connections}`],
    ...seconds === undefined ? [] : ["--seconds", `${seconds}`],
    ...words,
  ];
}

/** wrk, for a `GET` of `/`; it counts whole seconds. */
export const wrk: LoadCommand = (port, scenario, seconds) => [
  ...["wrk", "--latency", "-t1", `-c${scenario.connections}`],
  ...[`-d${Math.ceil(seconds)}s`, "-s", fileOf("wrk.lua")],
  ...[`http://127.0.0.1:${port}/`, "--", `${scenario.wrkDepth}`],
];

/** autocannon, for the same; it is spent before a good server is. */
export const autocannon: LoadCommand = (port, scenario, seconds) => [
  ...[Deno.execPath(), "run", "--no-prompt", "--allow-net=127.0.0.1"],
  ...["--allow-run=npx,node", "--allow-env=DENIO_NATIVE_PATH"],
  ...[fileOf("../load.ts"), `http://127.0.0.1:${port}/`, "--json"],
  `--connections=${scenario.connections}`,
  `--pipelining=${scenario.wrkDepth}`,
  `--duration=${Math.ceil(seconds)}`,
];

/**
 * Runs a command that puts load on a server, and returns what it saw and what
 * was printed on standard error.
 *
 * @throws {Failure} when it cannot, or an answer was not what it must be.
 */
export async function runLoad(
  command: readonly string[],
): Promise<LoadSeen & { readonly complaint: string }> {
  const [program, ...args] = command;
  const child = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  using _interrupted = whenInterrupted(() => kill(child, "SIGKILL"));
  using patience = killAfter(child, LOAD_MS_MAX);
  const [{ text, saidMs }, complaint, { success }] = await Promise.all([
    textAndTime(child.stdout),
    new Response(child.stderr).text(),
    child.status,
  ]);
  if (success) return { ...seenBy(text, saidMs), complaint };
  if (patience.isOver()) throw patience.failure();
  throw new Failure(`the load failed: ${complaint.trim() || text.trim()}`);
}

/** How long somebody may take. */
export interface Patience extends Disposable {
  /** Whether it took longer. */
  isOver(): boolean;
  /** Returns what to say then. */
  failure(): Failure;
}

/** Kills a load that does not end, until it is disposed of. */
export function killAfter(child: Deno.ChildProcess, ms: number): Patience {
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
    kill(child, "SIGKILL");
  }, ms);
  return {
    isOver: () => isOver,
    failure: () => new Failure(`the load did not end in ${ms / 1000} s`),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** Closing thousands of connections takes a program that has ended a while. */
async function textAndTime(
  stdout: ReadableStream<Uint8Array>,
): Promise<{ text: string; saidMs: number }> {
  let text = "";
  let saidMs = performance.now();
  for await (const piece of stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    saidMs = performance.now();
  }
  return { text, saidMs };
}

/**
 * Returns what a generator's output says: all print JSON on the last line.
 *
 * @throws {Failure} when requests failed, or none was answered.
 */
export function seenBy(output: string, saidMs: number): LoadSeen {
  const line = output.trim().split("\n").at(-1) ?? "";
  let said;
  try {
    said = JSON.parse(line);
  } catch {
    throw new Failure(`the load printed "${line}", which is no JSON`);
  }
  const failures = said.failures ?? said.errors + said.resets + said.non2xx;
  if (failures > 0 || !(said.requests > 0)) {
    const first = said.firstFailure ? `, first: ${said.firstFailure}` : "";
    throw new Failure(
      `${failures} requests failed and ${said.requests} were answered${first}`,
    );
  }
  return {
    requests: said.requests,
    seconds: said.seconds ?? said.elapsedSeconds,
    // The own one waits for what was under way, and says for how long.
    endedMs: saidMs - (said.secondsSince ?? 0) * MS_PER_SECOND,
    latencyUs: latencyOf(said),
  };
}

/** wrk says zero when it does not know: of most requests in a pipeline. */
function latencyOf(said: Record<string, unknown>): LoadSeen["latencyUs"] {
  return Object.fromEntries(
    ["p50Us", "p99Us", "p999Us"].filter((name) => Number(said[name]) > 0)
      .map((name) => [name, Number(said[name])]),
  );
}

function fileOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
