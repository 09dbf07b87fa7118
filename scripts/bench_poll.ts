/**
 * Measures the cost of a poll on each backend, by the number of sources:
 * `deno task bench:poll --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { type Backend, Poll } from "../src/poll.ts";
import { Progress } from "./bench/progress.ts";
import { median } from "./bench/results.ts";
import {
  BATCH,
  Field,
  FIGURE_TITLES,
  type FigureName,
  type Figures,
  type Result,
} from "./bench_poll/field.ts";
import {
  chosenFrom,
  Failure,
  readOptions,
  runProgram,
} from "./command_line.ts";
import { rows } from "./table.ts";

const OUTPUT = new URL("../native/target/bench_poll.html", import.meta.url);

/** Evenly spread where scales are logarithmic. */
const SIZES = [10, 30, 100, 300, 1000, 3000, 10_000];
const MAX = 15_000;
const ROUNDS = 5;
/** Enough for a first impression. */
const QUICK = { rounds: 1, max: 1_000 };

const HELP =
  `Measure what a poll costs on each backend, the more sources the more.

Usage: deno task bench:poll [OPTIONS]

A poll of N sources, of which one is ready: epoll and kqueue know of each
source once, poll and select look at all of them with every wait. Registering,
reregistering, waiting, reading and writing are timed through the ABI, as a
program in TypeScript would call them. Prints tables, and plots them.

Options:
  --backend NAME  Only this one; may be given again
  --max N         The most sources [${MAX}]
  --rounds N      How often each size is measured [${ROUNDS}]
  --quick         One round, of 1,000 sources at the most
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
    quick: false,
  });
  const backends = chosenFrom(Poll.backends(), options.backend, "measure");
  const { max, rounds } = options.quick ? QUICK : options;
  const results = measure(backends, max, rounds);
  console.log(
    `Microseconds of wall time a call, through the ABI; medians of ` +
      `${rounds} rounds of ${BATCH} calls`,
  );
  for (const line of tableLines(results)) console.log(line);
  await writePage(results);
  console.log(`\nPlotted in ${OUTPUT.pathname}`);
  return 0;
}

function measure(
  backends: readonly Backend[],
  max: number,
  rounds: number,
): Result[] {
  const sizes = [...SIZES.filter((size) => size < max), max];
  // Backends take turns: a disturbance of the machine disturbs all of them.
  const all = sizes.flatMap((size) =>
    backends.map((backend) => ({ backend, size, samples: [] as Figures[] }))
  );
  const progress = new Progress();
  for (let round = 1; round <= rounds; round++) {
    for (const { backend, size, samples } of all) {
      progress.say(`round ${round} of ${rounds}: ${backend}, ${size} sources`);
      using field = Field.open(backend, size);
      if (field !== undefined) samples.push(field.measure());
    }
  }
  if (Deno.stderr.isTerminal()) progress.say("");
  const names = Object.keys(FIGURE_TITLES) as FigureName[];
  return all.filter(({ samples }) => samples.length > 0)
    .map(({ backend, size, samples }) => {
      const figures = names.map((name) =>
        [name, median(samples.map((sample) => sample[name]))] as const
      );
      return { backend, size, figures: Object.fromEntries(figures) as Figures };
    });
}

/** A table for each figure. */
function tableLines(results: readonly Result[]): string[] {
  const sizes = [...new Set(results.map(({ size }) => size))];
  const byBackend = Map.groupBy(results, ({ backend }) => backend);
  return Object.entries(FIGURE_TITLES).flatMap(([figure, title]) => {
    const head = ["", ...sizes.map((size) => size.toLocaleString("en"))];
    const body = [...byBackend].map(([backend, own]) => [
      backend,
      ...sizes.map((size) => {
        const found = own.find((result) => result.size === size);
        return found?.figures[figure as FigureName].toFixed(2) ?? "-";
      }),
    ]);
    return ["", title, ...rows(head, body)];
  });
}

/** The page is loaded last: its memory would disturb the measurement. */
async function writePage(results: readonly Result[]): Promise<void> {
  const { pollPage } = await import("./bench_poll/page.ts");
  try {
    Deno.writeTextFileSync(OUTPUT, pollPage(results));
  } catch (error) {
    throw new Failure(`Cannot write "${OUTPUT.pathname}": ${error}`);
  }
}

if (import.meta.main) await runProgram(main, HELP);
