/**
 * Runs autocannon on node, and on Deno where node is missing.
 *
 * Under Deno autocannon serves its own connections unfairly: it then reports
 * latencies of its own queue.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- a command line uses this

import { fileURLToPath } from "node:url";
import { hasProgram } from "../bench/machine.ts";
import { npmPackage } from "../bench/peers/tools.ts";
import { Failure } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";
import { kill } from "../server_process.ts";

const PACKAGE = "autocannon@9.0.0";
const DRIVER = fileURLToPath(new URL("drive.mjs", import.meta.url));
const ON_DENO = ["run", "--quiet", "--no-prompt", "--allow-net"]
  .concat("--allow-read", "--allow-env", DRIVER, `npm:${PACKAGE}`);

/** How a server is loaded. */
export interface LoadOptions {
  /** Connections that are open at once. */
  readonly connections: number;
  /** Requests that a connection sends before an answer comes. */
  readonly pipelining: number;
  /** Seconds. */
  readonly duration: number;
}

/** The result of the clients. */
export interface LoadResult {
  /** Answers, of any status. */
  readonly requests: number;
  /** Answers with another status than 2xx. */
  readonly non2xx: number;
  /** Connections that failed, and requests that timed out. */
  readonly errors: number;
  /** How many of the errors were timeouts. */
  readonly timeouts: number;
  /** Connections that the server closed too early. */
  readonly resets: number;
  /** Bytes of answers. */
  readonly bytes: number;
  /** From the first connection to the end. */
  readonly elapsedSeconds: number;
  /** The times of answers by percentile: `p50`, `p97_5`, `max`. */
  readonly latencyMs: Readonly<Record<string, number>>;
  /** Processor cores that autocannon kept busy. */
  readonly clientCores: number;
}

/**
 * Loads `url`, with a progress bar where standard error is a terminal.
 *
 * @throws {Failure} when autocannon cannot run.
 */
export async function runAutocannon(
  url: string,
  { connections, pipelining, duration }: LoadOptions,
): Promise<LoadResult> {
  const isOnNode = hasProgram("npm");
  if (!isOnNode) {
    console.error(
      "warning: there is no npm, so autocannon runs on Deno, where its " +
        "latencies are not the server's; install node",
    );
  }
  const tools = { mayInstall: true, say: console.error };
  const [program, ...args] = isOnNode
    ? ["node", DRIVER, `${await npmPackage(PACKAGE, tools)}/autocannon.js`]
    : [Deno.execPath(), ...ON_DENO];
  const child = new Deno.Command(program!, {
    args: args.concat(
      JSON.stringify({ url, connections, pipelining, duration }),
    ),
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  using _interrupted = whenInterrupted(() => kill(child, "SIGTERM"));
  const { success, stdout } = await child.output();
  if (!success) throw new Failure("Cannot load: autocannon failed, see above");
  return JSON.parse(new TextDecoder().decode(stdout));
}
