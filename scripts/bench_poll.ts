/**
 * Measures the cost of a poll on each backend, by the number of sources, and the
 * system calls of a proactor: `deno task bench:poll --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { type Backend, Poll } from "../src/poll.ts";
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
import {
  chosenFrom,
  readOptions,
  runProgram,
  writing,
} from "./command_line.ts";

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
  --backend NAME  Only this one and no proactor; may be given again
  --max N         The most sources [${MAX}]
  --rounds N      How often each size is measured [${ROUNDS}]
  -h, --help      Print this

Each source is a descriptor: "ulimit -n" must be some dozens above --max.
select cannot have more than 1,024 (FD_SETSIZE), and is measured up to there.

The plots go to native/target/bench_poll.html.

Exit codes: 0 measured, 1 the system refused something, 2 bad usage.`;

async function main(): Promise<number> {
  const { options } = readOptions(Deno.args, {
    backend: [],
    max: MAX,
    rounds: ROUNDS,
  });
  const backends = chosenFrom(Poll.backends(), options.backend, "measure");
  const { max, rounds } = options;
  const progress = new Progress();
  const subjects = [pollSubject(backends, max, rounds, progress)];
  const { refusal } = Proactor;
  if (refusal === undefined && options.backend.length === 0) {
    subjects.push(batchSubject(rounds, progress));
  }
  if (Deno.stderr.isTerminal()) progress.say("");
  for (const line of subjects.flatMap(tableLines)) console.log(line);
  if (refusal !== undefined) console.log(`\nNo proactor: ${refusal}`);
  // Last: its memory would disturb the measurement.
  const page = await pollPage(subjects);
  writing(OUTPUT, () => Deno.writeTextFileSync(OUTPUT, page));
  console.log(`\nPlotted in ${OUTPUT.pathname}`);
  return 0;
}

function pollSubject(
  backends: readonly Backend[],
  max: number,
  rounds: number,
  progress: Progress,
): Subject {
  const sizes = [...SIZES.filter((size) => size < max), max];
  const cases = sizes.flatMap((size) =>
    backends.map((backend): Case => ({
      ...{ line: backend, size },
      measure: () => measureField(backend, size),
    }))
  );
  return {
    lead: "Microseconds of wall time a call, through the ABI; medians of " +
      `${rounds} rounds of ${BATCH} calls`,
    sizes: "sources",
    titles: FIGURE_TITLES,
    results: measured(cases, rounds, progress),
  };
}

function batchSubject(rounds: number, progress: Progress): Subject {
  const cases = batches.SIZES.flatMap((size) =>
    Object.entries(batches.POLICIES).map(([line, batching]): Case => ({
      ...{ line, size },
      measure: () => batches.measure(batching, size),
    }))
  );
  return {
    lead:
      "Nops on a proactor, submitted one by one, by its batching; medians " +
      `of ${rounds} rounds of ${batches.BATCHES} batches`,
    sizes: "operations",
    titles: batches.TITLES,
    results: measured(cases, rounds, progress),
  };
}

/** A line of a plot, at one place. */
interface Case {
  readonly line: string;
  readonly size: number;
  /** Returns no figures when there cannot be a line so far. */
  measure(): Result["figures"] | undefined;
}

/** Lines take turns: a disturbance of the machine disturbs all of them. */
function measured(
  cases: readonly Case[],
  rounds: number,
  progress: Progress,
): Result[] {
  const samples = cases.map((): Result["figures"][] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [place, each] of cases.entries()) {
      const { line, size } = each;
      progress.say(`round ${round} of ${rounds}: ${line}, ${size}`);
      const sample = each.measure();
      if (sample !== undefined) samples[place]!.push(sample);
    }
  }
  return cases.flatMap(({ line, size }, place) => {
    const own = samples[place]!;
    if (own.length === 0) return [];
    const names = Object.keys(own[0]!);
    const figures = Object.fromEntries(
      names.map((name) => [name, median(own.map((each) => each[name]!))]),
    );
    return [{ line, size, figures }];
  });
}

if (import.meta.main) await runProgram(main, HELP);
