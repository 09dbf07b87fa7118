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

import { buildIfStale } from "./build.ts";
import {
  Failure,
  readOptions,
  runProgram,
  UsageError,
} from "./command_line.ts";
import { type LoadOptions, runAutocannon } from "./load/autocannon.ts";
import {
  isClean,
  type LoadReport,
  reportJson,
  reportLines,
} from "./load/report.ts";
import { outputOf } from "./programs.ts";
import { builtInServer, startServer } from "./server_process.ts";

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

autocannon runs on node, where npm installs it. Where there is no npm it runs on
Deno, and its latencies are not the server's.

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
    return { url, options, result: await runAutocannon(url, options) };
  }
  buildIfStale();
  await using server = await startServer(builtInServer());
  const url = `http://127.0.0.1:${server.port}/`;
  const beforeUs = cpuUsOf(server.pid);
  const result = await runAutocannon(url, options);
  const afterUs = cpuUsOf(server.pid);
  const serverCpuUs = beforeUs && afterUs && afterUs - beforeUs;
  return { url, options, result, ...serverCpuUs && { serverCpuUs } };
}

/**
 * Returns the microseconds of processor time that the threads of a process have
 * used; nothing where there is no /proc. Deno itself would need `--allow-all`
 * to read there.
 */
function cpuUsOf(pid: number): number | undefined {
  const text = outputOf(["sh", "-c", `cat /proc/${pid}/task/*/schedstat`]);
  const lines = text?.trim().split("\n");
  return lines?.reduce((sum, line) => sum + parseInt(line) / NS_PER_US, 0);
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
  const { options, words: [url, ...more] } = readOptions(
    Deno.args,
    DEFAULTS,
    SHORT,
  );
  if (more.length > 0) {
    throw new UsageError(`Cannot load "${more[0]}", too: one URL is enough`);
  }
  const report = await load(url, options);
  if (options.json) console.log(JSON.stringify(reportJson(report)));
  else for (const line of reportLines(report)) console.log(line);
  return isClean(report) ? 0 : 1;
}

if (import.meta.main) await runProgram(main, HELP);
