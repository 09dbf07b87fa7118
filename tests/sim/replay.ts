/**
 * Runs simulations, or repeats one and prints all its events:
 * `deno task sim --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { runProgram } from "../../scripts/command_line.ts";
import { loadLibrary } from "./library.ts";
import { helpFor, parse, type SimOptions } from "./options.ts";
import {
  type FailedRun,
  replayCommand,
  runSeed,
  runSeeds,
  SCENARIOS,
} from "./run.ts";
import { LIBRARY, type Library } from "./simulation.ts";

const CLEAR_LINE = "\r\x1b[K";
const MS_PER_SECOND = 1000;
/** Seeds between two lines of progress. */
const PROGRESS_SEEDS = 100;

async function main(options: SimOptions): Promise<number> {
  const library = options.source === undefined
    ? LIBRARY
    : await loadLibrary(pathToFileURL(`${resolve(options.source)}/`));
  const { seeds, scenarios } = options;
  if ("only" in seeds) return await replay(scenarios[0]!, seeds.only, library);
  for (const scenario of scenarios) {
    const startMs = performance.now();
    const failed = await runSeeds(
      scenario,
      { first: options.first, count: seeds.count },
      { library, progress: (seed) => progress(scenario, seed) },
    );
    if (Deno.stderr.isTerminal()) write(CLEAR_LINE);
    if (failed !== undefined) return report(failed);
    const seconds = (performance.now() - startMs) / MS_PER_SECOND;
    console.log(
      `${scenario}: ${seeds.count} seeds held, ${seconds.toFixed(1)} s`,
    );
  }
  return 0;
}

async function replay(
  scenario: string,
  seed: number,
  library: Library,
): Promise<number> {
  const failed = await runSeed(scenario, seed, {
    trace: console.log,
    library,
  });
  if (failed !== undefined) return report(failed);
  console.log(`${scenario}: seed ${seed} held`);
  return 0;
}

function report(failed: FailedRun): number {
  console.error(
    `${failed.scenario}: seed ${failed.seed} failed: ${failed.error.stack}\n` +
      `\nReplay it with\n\n  ${replayCommand(failed)}\n`,
  );
  return 1;
}

function progress(scenario: string, seed: number): void {
  if (seed % PROGRESS_SEEDS !== 0 || !Deno.stderr.isTerminal()) return;
  write(`${CLEAR_LINE}${scenario}: seed ${seed}`);
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

if (import.meta.main) {
  await runProgram(() => {
    const names = Object.keys(SCENARIOS);
    const options = parse(Deno.args, names);
    if (!options.help) return main(options);
    console.log(helpFor(names));
    return Promise.resolve(0);
  });
}
