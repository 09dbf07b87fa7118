/**
 * One echo server, and every model of waiting: `deno task lab --help`.
 *
 * Permissions of the task: all, because Deno requires all for /proc and
 * cgroups. The models themselves get no more than they need.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { fileURLToPath } from "node:url";
import { runProgram, userFile } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";
import { kill } from "../server_process.ts";
import { commandOf, type Model } from "./models.ts";
import {
  HELP,
  type LabOptions,
  parseLabOptions,
  type RunOptions,
} from "./options.ts";
import { lessonLines } from "./lesson.ts";
import { keep, KEPT, readLabResults, writePage } from "./report.ts";
import { watch } from "./watch.ts";
import { buildLab, printSummary, runLab } from "./run.ts";

const ROOT = new URL("../../", import.meta.url);
const LINE_LENGTH = 80;

async function main(options: LabOptions): Promise<number> {
  if (options.command === "serve") return await serve(options);
  if (options.command === "watch") return await watch(options);
  if (options.command === "lesson") {
    console.log(lessonLines(LINE_LENGTH).join("\n"));
    return 0;
  }
  return await run(options.run);
}

/** Measures, or takes what was measured, and shows it. */
async function run(options: RunOptions): Promise<number> {
  const { report, from, readme, json } = options;
  const results = from === ""
    ? await runLab(options)
    : readLabResults(userFile(from));
  if (json) console.log(JSON.stringify(results, undefined, 2));
  else if (from === "") printSummary(results);
  if (report !== "") {
    const file = userFile(report);
    writePage(file, results);
    console.error(`Written to ${fileURLToPath(file)}`);
  }
  if (readme) {
    keep(ROOT, results);
    console.error(`Kept in ${Object.values(KEPT).join(" and ")}`);
  }
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
