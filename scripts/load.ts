/**
 * Drives a server with autocannon: `deno task load --help`.
 *
 * Permissions of the task: net for any URL; run for cargo, npm, node, a shell,
 * which reads the server's processor time from /proc, and this Deno, whose path
 * deno.json cannot name.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { fileURLToPath } from "node:url";
import { npmPackage } from "./bench/peers/tools.ts";
import { buildIfStale } from "./build.ts";
import {
  Failure,
  readOptions,
  runProgram,
  UsageError,
} from "./command_line.ts";
import { whenInterrupted } from "./interrupt.ts";
import {
  type LoadOptions,
  type LoadReport,
  type LoadResult,
  reportLines,
  reportOf,
} from "./load/report.ts";
import { outputOf } from "./programs.ts";
import { builtInServer, kill, startServer } from "./server_process.ts";

/** On node alone: under Deno it serves its own connections unfairly. */
const PACKAGE = "autocannon@9.0.0";
const DRIVER = fileURLToPath(new URL("load/drive.mjs", import.meta.url));

const HELP = `Drive an HTTP server as hard as autocannon can.

Usage: deno task load [URL] [OPTIONS]

  URL  The address to load. Without one the built-in server is started, and its
       processor time is measured, too (on Linux).

Options:
  -c, --connections N  Connections open at once [100]
  -p, --pipelining N   Requests sent before an answer comes [10]
  -d, --duration N     Seconds [10]
      --json           Print one JSON object
  -h, --help           Print this

autocannon runs on node, where npm installs it.

Examples:
  deno task load                                The built-in server
  deno task load http://127.0.0.1:8000/json     A server that runs already
  deno task load -c 1 -p 1 -d 3                 A single patient client

Exit codes: 0 each request was answered with a 2xx, 1 a request was not, 2 bad
usage.`;

const DEFAULTS = {
  connections: 100,
  pipelining: 10,
  duration: 10,
  json: false,
};
const SHORT = { connections: "c", pipelining: "p", duration: "d" };

const NS_PER_US = 1_000;

/** Loads the URL, or the built-in server without one. */
async function load(
  given: string | undefined,
  options: LoadOptions,
): Promise<LoadReport> {
  if (given !== undefined) {
    const url = urlOf(given);
    await expectAnswer(url);
    return reportOf(url, options, await runAutocannon(url, options));
  }
  buildIfStale();
  await using server = await startServer(builtInServer());
  const url = `http://127.0.0.1:${server.port}/`;
  const beforeUs = cpuUsOf(server.pid);
  const result = await runAutocannon(url, options);
  const cpuUs = cpuUsOf(server.pid) - beforeUs;
  return reportOf(url, options, { ...result, ...cpuUs > 0 && { cpuUs } });
}

/** Runs it, with a progress bar where standard error is a terminal. */
async function runAutocannon(
  url: string,
  { connections, pipelining, duration }: LoadOptions,
): Promise<LoadResult> {
  const tools = { mayInstall: true, say: console.error };
  const module = `${await npmPackage(PACKAGE, tools)}/autocannon.js`;
  const options = { url, connections, pipelining, duration };
  const child = new Deno.Command("node", {
    args: [DRIVER, module, JSON.stringify(options)],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  using _interrupted = whenInterrupted(() => kill(child, "SIGTERM"));
  const { success, stdout } = await child.output();
  if (!success) throw new Failure("Cannot load: autocannon failed, see above");
  return JSON.parse(new TextDecoder().decode(stdout));
}

/**
 * Returns the microseconds of processor time that the threads of a process have
 * used, 0 where there is no /proc. Deno itself would need `--allow-all` to read
 * there.
 */
function cpuUsOf(pid: number): number {
  const text = outputOf(["sh", "-c", `cat /proc/${pid}/task/*/schedstat`]);
  const lines = text?.trim().split("\n") ?? [];
  return lines.reduce((sum, line) => sum + parseInt(line) / NS_PER_US, 0);
}

function urlOf(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.href;
  throw new UsageError(
    `Cannot load "${text}": it must be an http or https URL`,
  );
}

/** Without an answer autocannon would count failed connections to its end. */
async function expectAnswer(url: string): Promise<void> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
  } catch (error) {
    throw new Failure(`Cannot load "${url}": ${(error as Error).message}`);
  }
}

async function main(): Promise<number> {
  const { options, words: [url] } = readOptions(Deno.args, DEFAULTS, {
    short: SHORT,
    wordsMax: 1,
  });
  const report = await load(url, options);
  if (options.json) console.log(JSON.stringify(report));
  else for (const line of reportLines(report)) console.log(line);
  return report.ok ? 0 : 1;
}

if (import.meta.main) await runProgram(main, HELP);
