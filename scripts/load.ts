/**
 * Drives a server with autocannon: `deno task load --help`.
 *
 * Permissions of the task: net for any URL; run for cargo, for the server, which
 * is this Deno, and for `cat`, which reads the server's processor time; env for
 * what autocannon's progress bar asks a terminal about its colours.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { buildIfStale } from "./build.ts";
import { Failure, runProgram } from "./command_line.ts";
import { runAutocannon } from "./load/autocannon.ts";
import { HELP, type LoadOptions, parseLoadOptions } from "./load/options.ts";
import {
  isClean,
  type LoadReport,
  reportJson,
  reportLines,
} from "./load/report.ts";
import { cpuBetween, cpuTimeOf } from "./process_cpu.ts";
import { builtInServer, startServer } from "./server_process.ts";

/** Loads what the options say. */
async function load(options: LoadOptions): Promise<LoadReport> {
  if (options.url !== undefined) {
    await expectAnswer(options.url);
    const result = await runAutocannon(options.url, options);
    return { url: options.url, options, result, serverCpu: undefined };
  }
  buildIfStale();
  await using server = await startServer(builtInServer());
  const url = `http://127.0.0.1:${server.port}/`;
  await expectAnswer(url);
  const before = cpuTimeOf(server.pid);
  const result = await runAutocannon(url, options);
  const after = cpuTimeOf(server.pid);
  const serverCpu = before && after && cpuBetween(before, after);
  return { url, options, result, serverCpu };
}

/** Else autocannon would count failed connections for all its time. */
async function expectAnswer(url: string): Promise<void> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
  } catch (error) {
    throw new Failure(`Cannot load "${url}": ${(error as Error).message}`);
  }
}

if (import.meta.main) {
  await runProgram(async () => {
    const options = parseLoadOptions(Deno.args);
    if (options.help) {
      console.log(HELP);
      return 0;
    }
    const report = await load(options);
    if (options.json) console.log(JSON.stringify(reportJson(report)));
    else for (const line of reportLines(report)) console.log(line);
    return isClean(report) ? 0 : 1;
  });
}
