/**
 * Counts the bytes that V8 allocates for each request, and holds them against
 * their budgets: `deno task bench:alloc --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { fileURLToPath } from "node:url";
import { outputOf } from "./bench/peers/tools.ts";
import { type Budget, BUDGETS } from "./bench_alloc/budgets.ts";
import { FLAGS_OF } from "./bench_alloc/meter.ts";
import {
  type Figures,
  type ScenarioName,
  SCENARIOS,
} from "./bench_alloc/scenarios.ts";
import { chosenFrom, readOptions, runProgram } from "./command_line.ts";
import { libraryPermissions } from "./server_process.ts";
import { named, rows } from "./table.ts";

/** Counting takes seconds, and on a busy machine more. */
const COUNT_MS_MAX = 120_000;

const NAMES = Object.keys(SCENARIOS) as ScenarioName[];
const PROGRAM = fileURLToPath(
  new URL("bench_alloc/scenarios.ts", import.meta.url),
);

const HELP = `Count the bytes that V8 allocates for each request.

Usage: deno task bench:alloc [OPTIONS]

The server runs over a system in memory, so that the counts are the same each
time: they are of bytes, not of samples. Budgets are for what is allocated
beside what the handler does by itself:
  as run      what V8 makes of it when it is hot
  as written  the same if V8 made every object that the code asks for: which it
              can do without depends on what it inlines
  beside      what array buffers refer to

Options:
  --only NAME  Count this alone; may be given again
${named(NAMES.map((name) => [name, SCENARIOS[name].title]), 17).join("\n")}
  -h, --help   Print this

Exit codes: 0 all within their budgets, 1 not, 2 bad usage.`;

/** Bytes that one exchange allocates, each figure as in its budget. */
export interface AllocationResult extends Budget {
  readonly name: ScenarioName;
  /** The bytes of its handler alone. */
  readonly handler: number;
}

const FIGURES = ["asRun", "asWritten", "beside"] as const;

/**
 * Counts a scenario, in processes of its own.
 *
 * @throws {Failure} when it cannot be counted.
 */
export async function countScenario(
  name: ScenarioName,
): Promise<AllocationResult> {
  const [run, written] = await Promise.all([
    countWith(name, FLAGS_OF.asRun),
    countWith(name, FLAGS_OF.asWritten),
  ]);
  return {
    name,
    handler: run.handler.heapBytes,
    asRun: run.total.heapBytes - run.handler.heapBytes,
    asWritten: written.total.heapBytes - written.handler.heapBytes,
    beside: run.total.besideBytes - run.handler.besideBytes,
  };
}

async function countWith(
  name: ScenarioName,
  flags: readonly string[],
): Promise<Figures> {
  return JSON.parse(
    await outputOf([
      ...[Deno.execPath(), "run", "--quiet", "--no-prompt"],
      ...[...libraryPermissions(), `--v8-flags=${flags.join()}`, PROGRAM, name],
    ], COUNT_MS_MAX),
  );
}

/** Returns the figures that are over their budget; none when all is well. */
export function excesses(result: AllocationResult): string[] {
  const budget = BUDGETS[result.name];
  return FIGURES.filter((figure) => result[figure] > budget[figure])
    .map((figure) => `${figure} ${result[figure]} > ${budget[figure]} bytes`);
}

const HEAD = ["Bytes for each", "handler", "as run", "budget", "as written"]
  .concat("budget", "beside", "budget");

function rowOf(result: AllocationResult): string[] {
  const shown = (bytes: number) => Math.round(bytes).toLocaleString("en");
  const cells = FIGURES.flatMap((figure) => {
    const [bytes, most] = [result[figure], BUDGETS[result.name][figure]];
    return [bytes > most ? `${shown(bytes)} !` : shown(bytes), shown(most)];
  });
  return [SCENARIOS[result.name].title, shown(result.handler), ...cells];
}

async function main(): Promise<number> {
  const { options: { only } } = readOptions(Deno.args, { only: [] }, {
    wordsMax: 0,
  });
  const results: AllocationResult[] = [];
  for (const name of chosenFrom(NAMES, only, "count")) {
    results.push(await countScenario(name));
  }
  for (const line of rows(HEAD, results.map(rowOf))) console.log(line);
  const over = results.filter((result) => excesses(result).length > 0);
  for (const result of over) {
    console.error(
      `Over budget: ${result.name}: ${excesses(result).join(", ")}`,
    );
  }
  return over.length > 0 ? 1 : 0;
}

if (import.meta.main) await runProgram(main, HELP);
