/**
 * Measures what a poll costs on each backend, the more sources the more:
 * `deno task bench:poll --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { Poll } from "../mod.ts";
import { BATCH, Field, type Figures } from "./bench_poll/field.ts";
import { type BenchPollOptions, HELP, parse } from "./bench_poll/options.ts";
import { medians, type Results, sizesFor } from "./bench_poll/results.ts";
import { plots, tables } from "./bench_poll/report.ts";
import { Failure, runProgram } from "./command_line.ts";
import { svg } from "./plot/svg.ts";

const CLEAR_LINE = "\r\x1b[K";
const OUTPUT = new URL("../native/target/bench_poll.svg", import.meta.url);

function measure({ rounds, max, backends }: BenchPollOptions): Results {
  const samples = new Map<string, Map<number, Figures[]>>();
  for (let round = 1; round <= rounds; round++) {
    // Backends in turns: what disturbs the machine disturbs all of them.
    for (const size of sizesFor(max)) {
      for (const backend of backends) {
        progress(`round ${round} of ${rounds}: ${backend}, ${size} sources`);
        using field = Field.open(backend, size);
        if (field === undefined) continue;
        const bySize = samples.get(backend) ?? new Map<number, Figures[]>();
        samples.set(backend, bySize);
        bySize.set(size, [...bySize.get(size) ?? [], field.measure()]);
      }
    }
  }
  if (Deno.stderr.isTerminal()) progress("");
  return medians(samples);
}

function progress(line: string): void {
  const text = Deno.stderr.isTerminal() ? `${CLEAR_LINE}${line}` : `${line}\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

function writePlot(results: Results): string {
  try {
    Deno.mkdirSync(new URL(".", OUTPUT), { recursive: true });
    Deno.writeTextFileSync(OUTPUT, svg(plots(results)));
  } catch (error) {
    throw new Failure(`Cannot write "${OUTPUT.pathname}": ${error}`);
  }
  return OUTPUT.pathname;
}

if (import.meta.main) {
  await runProgram(() => {
    const options = parse(Deno.args, Poll.backends());
    if (options.help) {
      console.log(HELP);
      return Promise.resolve(0);
    }
    const results = measure(options);
    console.log(
      `Microseconds of wall time a call, through the ABI; medians of ` +
        `${options.rounds} rounds of ${BATCH} calls`,
    );
    for (const line of tables(results)) console.log(line);
    console.log(`\nPlotted in ${writePlot(results)}`);
    return Promise.resolve(0);
  });
}
