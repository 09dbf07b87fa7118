/**
 * One echo server, and every model of waiting: `deno task lab --help`.
 *
 * Permissions of the task: all, because Deno requires all for /proc and
 * cgroups. The models themselves get no more than they need.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { runProgram } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";
import { kill } from "../server_process.ts";
import { commandOf, type Model } from "./models.ts";
import { HELP, type LabOptions, parseLabOptions } from "./options.ts";
import { buildLab, printSummary, runLab } from "./run.ts";

async function main(options: LabOptions): Promise<number> {
  if (options.command === "serve") return await serve(options);
  const results = await runLab(options.run);
  if (options.run.json) console.log(JSON.stringify(results, undefined, 2));
  else printSummary(results);
  return 0;
}

/** Runs one model until it ends, or somebody ends it. */
async function serve(
  { model, port }: { model: Model; port: number },
): Promise<number> {
  buildLab();
  const [program, ...args] = commandOf(model, port);
  const child = new Deno.Command(program!, { args, stdin: "null" }).spawn();
  console.error(`${model.title}: ${model.file}, process ${child.pid}`);
  using _ = whenInterrupted(async () => {
    kill(child, "SIGTERM");
    await child.status;
  });
  const { code } = await child.status;
  return code;
}

if (import.meta.main) {
  await runProgram(() => main(parseLabOptions(Deno.args)), HELP);
}
