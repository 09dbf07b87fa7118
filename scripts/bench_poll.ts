/**
 * Measures the cost of a poll on each backend, by the number of sources, and the
 * system calls of a proactor: `deno task bench:poll --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { Poll } from "../src/poll.ts";
import { Proactor } from "../src/proactor.ts";
import { Progress } from "./bench/progress.ts";
import { median } from "./bench/results.ts";
import * as batches from "./bench_poll/batches.ts";
import { BATCH, FIGURE_TITLES, measureField } from "./bench_poll/field.ts";
import {
  pollPage,
  type Result,
  type Subject,
  tableLines,
} from "./bench_poll/page.ts";
import { readOptions, runProgram, writing } from "./command_line.ts";

const OUTPUT = new URL("../native/target/bench_poll.html", import.meta.url);

/** Evenly spread where scales are logarithmic. */
const SIZES = [10, 30, 100, 300, 1000, 3000, 10_000];
const MAX = 15_000;
const ROUNDS = 5;

const HELP =
  `Measure what a poll costs on each backend, the more sources the more.

Usage: deno task bench:poll [OPTIONS]

A poll of N sources, of which one is ready: epoll and kqueue know of each
source once, poll and select look at all of them with every wait. Registering,
reregistering, waiting, reading and writing are timed through the ABI, as a
program in TypeScript would call them. Then a proactor is given operations under
each policy of batching, and counts its system calls and what each wait brings.
Prints tables, and plots them.

Options:
  --max N         The most sources [${MAX}]
  --rounds N      How often each size is measured [${ROUNDS}]
  -h, --help      Print this

Each source is a descriptor: "ulimit -n" must be some dozens above --max.
select cannot have more than 1,024 (FD_SETSIZE), and is measured up to there.

The plots go to native/target/bench_poll.html.

Exit codes: 0 measured, 1 the system refused something, 2 bad usage.`;

async function main(): Promise<number> {
  const { options: { max, rounds } } = readOptions(Deno.args, {
    max: MAX,
    rounds: ROUNDS,
  }, { wordsMax: 0 });
  const progress = new Progress();
  const { refusal } = Proactor;
  const plans = [polls(max), ...refusal === undefined ? [batchesOfNops()] : []];
  const subjects = plans.map(({ cases, lead, ...plan }): Subject => ({
    ...plan,
    lead: `${lead}; medians of ${rounds} rounds`,
    results: measured(cases, rounds, progress),
  }));
  if (Deno.stderr.isTerminal()) progress.say("");
  for (const line of subjects.flatMap(tableLines)) console.log(line);
  if (refusal !== undefined) console.log(`\nNo proactor: ${refusal}`);
  // Last: its memory would disturb the measurement.
  const page = await pollPage(subjects);
  writing(OUTPUT, () => Deno.writeTextFileSync(OUTPUT, page));
  console.log(`\nPlotted in ${OUTPUT.pathname}`);
  return 0;
}

/** A subject that is not measured yet. */
interface Plan extends Omit<Subject, "results"> {
  readonly cases: readonly Case[];
}

/** A line of a plot, at one place. */
interface Case {
  readonly line: string;
  readonly size: number;
  /** Returns no figures when there cannot be a line so far. */
  measure(): Result["figures"] | undefined;
}

function polls(max: number): Plan {
  const sizes = [...SIZES.filter((size) => size < max), max];
  return {
    lead:
      `Microseconds of wall time a call, through the ABI, of ${BATCH} calls`,
    sizes: "sources",
    titles: FIGURE_TITLES,
    cases: sizes.flatMap((size) =>
      Poll.backends().map((line) => (
        { line, size, measure: () => measureField(line, size) }
      ))
    ),
  };
}

function batchesOfNops(): Plan {
  return {
    lead: "Nops on a proactor, submitted one by one, by its batching, in " +
      `${batches.BATCHES} batches`,
    sizes: "operations",
    titles: batches.TITLES,
    cases: batches.SIZES.flatMap((size) =>
      Object.entries(batches.POLICIES).map(([line, batching]) => (
        { line, size, measure: () => batches.measure(batching, size) }
      ))
    ),
  };
}

/** Lines take turns: a disturbance of the machine disturbs all of them. */
function measured(
  cases: readonly Case[],
  rounds: number,
  progress: Progress,
): Result[] {
  const samples = new Map(
    cases.map((each) => [each, [] as Result["figures"][]]),
  );
  for (let round = 1; round <= rounds; round++) {
    for (const [{ line, size, measure }, own] of samples) {
      progress.say(`round ${round} of ${rounds}: ${line}, ${size}`);
      const sample = measure();
      if (sample !== undefined) own.push(sample);
    }
  }
  return [...samples].map(([{ line, size }, own]) => {
    const medians = Object.keys(own[0] ?? {})
      .map((name) => [name, median(own.map((each) => each[name]!))]);
    return { line, size, figures: Object.fromEntries(medians) };
  });
}

if (import.meta.main) await runProgram(main, HELP);
