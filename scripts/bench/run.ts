/**
 * Runs the benchmark, from what there is to measure to the results.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { Failure } from "../command_line.ts";
import { Bench, type BenchInit } from "./bench.ts";
import { budgetsOf } from "./budgets.ts";
import { CpuReader } from "./cpu_watch.ts";
import { crossCheck, crossCheckSteps } from "./cross_check.ts";
import { FIBERS, withRatios } from "./figures.ts";
import { stillWanted } from "./interruption.ts";
import { ownLoad, prepareOwnLoad, wrk } from "./load_generators.ts";
import { hasProgram, prepareMachine } from "./machine.ts";
import { describeMachine } from "./machine_description.ts";
import { BESIDE } from "./measure_beside.ts";
import { WEIGH } from "./measure_idle.ts";
import { LOAD } from "./measure_load.ts";
import { START } from "./measure_start.ts";
import type { Method } from "./method.ts";
import { type BenchOptions, CROSS_CHECK } from "./options.ts";
import { preparePeers, SUBJECT } from "./peers.ts";
import type { Progress } from "./progress.ts";
import type { CrossCheck, Results, ScenarioResult } from "./results.ts";
import { type Kind, type Scenario, SCENARIOS } from "./scenarios.ts";
import { chooseCallCounter } from "./system_calls.ts";

const FIRST_LOOK = "a first look: user and system are guessed from a few " +
  "ticks, and nothing is sure; for a decision leave --quick out";

/** The scenario that every load generator can do. */
const CHECKED = "get";

/** How each kind of scenario is measured. */
const METHODS: Readonly<Record<Kind, Method>> = {
  load: LOAD,
  beside: BESIDE,
  idle: WEIGH,
  start: START,
};

/** What came of a run. */
export interface Outcome {
  /** What was measured. */
  readonly results: Results;
  /** Whether denio did all that it was asked. */
  readonly isSound: boolean;
}

/**
 * Measures what `options` ask for. The results are written to a file whenever
 * a scenario is complete.
 *
 * @throws {Failure} when nothing can be measured here.
 */
export async function runBench(
  options: BenchOptions,
  progress: Progress,
): Promise<Outcome> {
  if (Deno.build.os !== "linux") {
    throw new Failure(
      `Cannot measure on "${Deno.build.os}": it takes Linux, where the load ` +
        "generator runs and /proc tells what a server used",
    );
  }
  const { peers, missing } = await preparePeers({
    ...options.peers === undefined ? {} : { names: options.peers },
    progress: (line) => progress.say(line),
  });
  prepareOwnLoad();
  const machine = prepareMachine();
  // Removed last, when no server is in it any more.
  using _quota = machine.quota;
  await using reader = new CpuReader();
  const bench = benchOf(options, { peers, machine, reader, progress });
  const { rounds, seconds } = options;
  const head = {
    format: 1 as const,
    date: new Date().toISOString(),
    version: config.version,
    machine: describeMachine(peers),
    ...{ rounds, seconds, missing },
  };
  const results = await measure(bench, options, head);
  const isMissing = missing.some(({ peer }) => peer === SUBJECT);
  const hasFailed = bench.failed.has(SUBJECT) || bench.failed.has(FIBERS);
  return { results, isSound: !isMissing && !hasFailed };
}

/** Chooses tools by what is asked and what there is, and notes the choice. */
function benchOf(
  { rounds, seconds, load, quick }: BenchOptions,
  init: Pick<BenchInit, "peers" | "machine" | "reader" | "progress">,
): Bench {
  const counter = chooseCallCounter();
  const isWrk = load === "wrk" && hasProgram("wrk");
  const bench = new Bench({
    ...init,
    ...{ rounds, seconds },
    countCalls: "count" in counter ? counter.count : undefined,
    loadOf: ({ wrkDepth }) => isWrk && wrkDepth !== undefined ? wrk : ownLoad,
  });
  bench.notes.push(
    `medians over ${rounds} rounds of ${seconds} s each`,
    ...quick ? [FIRST_LOOK] : [],
    ...init.machine.notes,
    isWrk ? "load of get and pipeline by wrk" : "load by the project's own",
    ...load === "wrk" && !isWrk ? ["wrk is not installed"] : [],
    "count" in counter
      ? `system calls counted by ${counter.tool}`
      : counter.reason,
  );
  return bench;
}

/** Runs all that is asked for, and writes what is there after each part. */
async function measure(
  bench: Bench,
  { only, quick, output }: BenchOptions,
  head: Omit<Results, "notes" | "scenarios" | "crossCheck" | "budgets">,
): Promise<Results> {
  const { progress, rounds } = bench.init;
  const chosen = SCENARIOS.filter(({ name }) => only?.includes(name) ?? true)
    .map((scenario) => fitted(bench, scenario));
  const isChecked = only?.includes(CROSS_CHECK) ?? !quick;
  const stepsOf = (scenario: Scenario) =>
    bench.contestants(scenario).length *
    METHODS[scenario.kind].steps(scenario, rounds);
  const checkSteps = isChecked ? crossCheckSteps(rounds) : 0;
  progress.begin(
    chosen.reduce((sum, scenario) => sum + stepsOf(scenario), checkSteps),
  );
  const scenarios: ScenarioResult[] = [];
  const crossChecks: CrossCheck[] = [];
  const save = async () => {
    const results: Results = {
      ...head,
      notes: [...bench.notes],
      scenarios,
      crossCheck: crossChecks,
      budgets: budgetsOf(scenarios),
    };
    await write(output, results);
    return results;
  };
  for (const scenario of chosen) {
    progress.beginPart(stepsOf(scenario));
    scenarios.push(await resultOf(bench, scenario));
    await save();
  }
  if (!isChecked) return await save();
  progress.beginPart(checkSteps);
  const get = SCENARIOS.find(({ name }) => name === CHECKED)!;
  crossChecks.push(...await crossCheck(bench, get));
  return await save();
}

async function resultOf(
  bench: Bench,
  scenario: Scenario,
): Promise<ScenarioResult> {
  const { name, title, unit, group, connections, workers } = scenario;
  const measured = await METHODS[scenario.kind].measure(bench, scenario);
  return {
    ...{ name, title, unit, group },
    ...group === "scaling" ? { connections } : {},
    ...workers === undefined ? {} : { workers },
    peers: withRatios(measured),
  };
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

/** In one step, so that an interrupt leaves no half of a file. */
async function write(file: string, results: Results): Promise<void> {
  await stillWanted();
  const temporary = `${file}.${Deno.pid}`;
  await Deno.writeTextFile(temporary, JSON.stringify(results));
  await Deno.rename(temporary, file);
}
