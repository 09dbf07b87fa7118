/**
 * Counts the bytes that V8 allocates for each request, and holds them against
 * their budgets: `deno task bench:alloc --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { BUDGETS } from "./bench_alloc/budgets.ts";
import {
  type AllocationResult,
  countScenario,
  excesses,
} from "./bench_alloc/figures.ts";
import { HELP, parse } from "./bench_alloc/options.ts";
import { SCENARIOS } from "./bench_alloc/scenarios.ts";
import { runProgram } from "./command_line.ts";
import { rows } from "./table.ts";

const HEAD = [
  "Bytes for each",
  "handler",
  "as run",
  "budget",
  "as written",
  "budget",
  "beside",
  "budget",
];

function rowOf(result: AllocationResult): string[] {
  const { name, handler, asRun, asWritten, beside } = result;
  const budget = BUDGETS[name];
  const pairs = [
    [asRun, budget.asRun],
    [asWritten, budget.asWritten],
    [beside, budget.beside],
  ] as const;
  const cells = pairs.flatMap(([bytes, most]) => {
    return [bytes > most ? `${shown(bytes)} !` : shown(bytes), shown(most)];
  });
  return [SCENARIOS[name].title, shown(handler), ...cells];
}

function shown(bytes: number): string {
  return Math.round(bytes).toLocaleString("en");
}

async function main(): Promise<number> {
  const { names, json, help } = parse(Deno.args);
  if (help) {
    console.log(HELP);
    return 0;
  }
  const results: AllocationResult[] = [];
  for (const name of names) results.push(await countScenario(name));
  if (json) console.log(JSON.stringify(results, null, 2));
  else for (const line of rows(HEAD, results.map(rowOf))) console.log(line);
  const over = results.filter((result) => excesses(result).length > 0);
  for (const result of over) {
    console.error(
      `Over budget: ${result.name}: ${excesses(result).join(", ")}`,
    );
  }
  return over.length > 0 ? 1 : 0;
}

if (import.meta.main) await runProgram(main);
