/**
 * Measures denio beside the bare loop and other servers:
 * `deno task bench --help`.
 *
 * Permissions of the task: run without names, since programs are started
 * through whatever pins them; a shell reaches the cgroups and /proc, which Deno
 * does not.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { runProgram } from "../command_line.ts";
import { noticeInterrupts } from "./interruption.ts";
import { type BenchOptions, HELP, parseBenchOptions } from "./options.ts";
import { progressOnStderr } from "./progress.ts";
import { COLOURS, PLAIN, reportLines } from "./report.ts";
import { runBench } from "./run.ts";

async function main(options: BenchOptions): Promise<number> {
  using _interrupts = noticeInterrupts();
  const progress = progressOnStderr();
  const { results, isSound } = await runBench(options, progress);
  progress.clear();
  if (options.json) console.log(JSON.stringify(results));
  else {
    const isPlain = Deno.noColor || !Deno.stdout.isTerminal();
    const lines = reportLines(results, isPlain ? PLAIN : COLOURS);
    for (const line of lines) console.log(line);
  }
  return isSound ? 0 : 1;
}

if (import.meta.main) {
  await runProgram(async () => {
    const options = parseBenchOptions(Deno.args);
    if (!options.help) return await main(options);
    console.log(HELP);
    return 0;
  });
}
