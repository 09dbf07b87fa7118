/**
 * Measures denio beside the bare loop and other servers:
 * `deno task bench --help`.
 *
 * Permissions of the task: all, because Deno requires all for /proc and
 * cgroups, and because the benchmark starts programs through `taskset`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import config from "../../deno.json" with { type: "json" };
import { Failure, runProgram } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import { setColorEnabled } from "../packages/std.ts";
import { hasProgram } from "../programs.ts";
import { Bench } from "./bench.ts";
import { prepareOwnLoad } from "./load.ts";
import { describeMachine, prepareMachine } from "./machine.ts";
import { measure } from "./measure.ts";
import { type BenchOptions, HELP, parseBenchOptions } from "./options.ts";
import { preparePeers } from "./peers.ts";
import { Progress } from "./progress.ts";
import { Results } from "./results.ts";
import { type Scenario, SUBJECT } from "./scenarios.ts";
import { whyNoCalls } from "./system_calls.ts";
import { reportLines } from "./text.ts";

const FIRST_LOOK = "a first look, by which nothing is sure; for a decision " +
  "leave --quick out";

async function main(options: BenchOptions): Promise<number> {
  if (Deno.build.os !== "linux") {
    throw new Failure(
      `Cannot measure on "${Deno.build.os}": it takes Linux, where the load ` +
        "generator runs and /proc shows what a server used",
    );
  }
  const progress = new Progress();
  const { peers, missing } = await preparePeers(options.peers, {
    mayInstall: true,
    say: (line) => progress.say(line),
  });
  prepareOwnLoad();
  const machine = prepareMachine();
  // Removed last, when no server is in it any more.
  using _quota = machine.quota;
  const { rounds, seconds, quick } = options;
  const noCalls = whyNoCalls();
  const bench = new Bench({
    ...{ peers, machine, rounds, seconds, progress },
    countsCalls: noCalls === undefined,
  });
  bench.notes.push(
    `medians over ${rounds} round${rounds === 1 ? "" : "s"} of ${seconds} s`,
    ...quick ? [FIRST_LOOK] : [],
    ...machine.notes,
    noCalls === undefined
      ? "system calls counted by perf"
      : `system calls are not counted: ${noCalls}`,
  );
  const results = new Results({
    date: new Date().toISOString(),
    version: config.version,
    machine: describeMachine(peers),
    ...{ rounds, seconds, notes: bench.notes, missing },
  });
  await measureAll(bench, options, results);
  if (Deno.stderr.isTerminal()) progress.say("");
  if (options.json) console.log(results.toText().trimEnd());
  else {
    setColorEnabled(!Deno.noColor && Deno.stdout.isTerminal());
    for (const line of reportLines(results)) console.log(line);
  }
  const isSound = !(SUBJECT in missing) && !bench.failed.has(SUBJECT);
  return isSound ? 0 : 1;
}

/** Measures each scenario, and writes the results after each. */
async function measureAll(
  bench: Bench,
  { scenarios, output }: BenchOptions,
  results: Results,
): Promise<void> {
  for (const scenario of scenarios) {
    bench.init.progress.begin(scenario.title, scenarios.length);
    if (scenario.isByWrk && !hasProgram("wrk")) {
      bench.notes.push(`${scenario.name}: wrk is not installed`);
      continue;
    }
    await measure(bench, fitted(bench, scenario), results);
    await stillWanted();
    // In one step, so that an interrupt never leaves half a file.
    const temporary = `${output}.${Deno.pid}`;
    await Deno.writeTextFile(temporary, results.toText());
    await Deno.rename(temporary, output);
  }
}

/** Where descriptors are short, there are fewer connections. */
function fitted(bench: Bench, scenario: Scenario): Scenario {
  const { name, connections } = scenario;
  const { connectionsMax } = bench.init.machine;
  if (connections <= connectionsMax) return scenario;
  bench.notes.push(
    `${name}: ${connectionsMax} connections, not ${connections}: ` +
      "more descriptors are not allowed here (ulimit -n)",
  );
  return { ...scenario, connections: connectionsMax };
}

if (import.meta.main) {
  await runProgram(() => main(parseBenchOptions(Deno.args)), HELP);
}
