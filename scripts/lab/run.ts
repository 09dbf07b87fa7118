/**
 * Runs the models one after the other under the same load.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import config from "../../deno.json" with { type: "json" };
import { describeMachine } from "../bench/machine.ts";
import { Progress } from "../bench/progress.ts";
import { build } from "../build.ts";
import { stillWanted } from "../interrupt.ts";
import { prepareLab } from "./machine.ts";
import { measure } from "./measure.ts";
import { RUST_PROGRAMS } from "./models.ts";
import type { RunOptions } from "./options.ts";
import { HAS_PROC } from "./process.ts";
import { FORMAT, type LabResults, type Row } from "./results.ts";
import { summaryLines, View } from "./view.ts";

/** Builds what the lab runs: the library, the load and the models in Rust. */
export function buildLab(): void {
  build(["load", ...RUST_PROGRAMS].flatMap((program) => ["--bin", program]));
}

/** Measures, and shows each figure when it is there. */
export async function runLab(options: RunOptions): Promise<LabResults> {
  const { models, connections, busy, size, seconds, json } = options;
  buildLab();
  const { machine, counter, missing, notes } = prepareLab();
  using _quota = machine.quota;
  const show = json ? new Steps() : new View(models);
  const rows: Row[] = [];
  for (const count of connections) {
    show.begin(count, busy.of(count));
    const own: Row[] = [];
    for (const model of models) {
      await stillWanted();
      const onStep = (step: string) => show.step(model.name, step);
      const load = { connections: count, busy: busy.of(count), size };
      const conditions = { machine, counter, seconds, onStep };
      const row = await measure(conditions, model, load);
      show.done(row);
      own.push(row);
    }
    show.end(own);
    rows.push(...own);
  }
  return {
    format: FORMAT,
    date: new Date().toISOString(),
    version: config.version,
    machine: HAS_PROC ? describeMachine([]) : { system: Deno.build.target },
    ...{ connections, busyOption: busy.text, size, seconds, notes, missing },
    ...{ models, rows },
  };
}

/** Prints what the tables show together, and under which conditions. */
export function printSummary(results: LabResults): void {
  for (const line of summaryLines(results)) console.log(line);
  console.log("");
  const machine = Object.entries(results.machine)
    .map(([name, value]) => `${name} ${value}`).join(", ");
  const { size, seconds, notes } = results;
  for (
    const note of [
      `messages of ${size} bytes, ${seconds} s for each model and load`,
      ...notes,
      machine,
    ]
  ) console.log(`- ${note}`);
}

/** Without a table: what is going on, on standard error. */
class Steps {
  readonly #progress = new Progress();
  #title = "";

  begin(connections: number): void {
    this.#title = `${connections} connections`;
  }

  step(model: string, step: string): void {
    this.#progress.say(`${this.#title}, ${model}: ${step}`);
  }

  done(): void {}

  end(): void {
    if (Deno.stderr.isTerminal()) this.#progress.say("");
  }
}
