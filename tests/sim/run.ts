/**
 * Runs scenarios, seed by seed.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- what is printed there is looked at

import { echoScenario } from "./echo.ts";
import { fibersScenario } from "./fibers.ts";
import { httpScenario, isPlanned } from "./http.ts";
import { reactorScenario } from "./reactor.ts";
import { type Library, Simulation } from "./simulation.ts";
import { webSocketScenario } from "./websocket.ts";

/** What happens in a world, and the checks of it. */
export type Scenario = (simulation: Simulation) => Promise<void>;

/** All scenarios by name. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "echo": echoScenario,
  "http": httpScenario,
  "reactor": reactorScenario,
  "fibers": fibersScenario,
  "websocket": webSocketScenario,
};

/** A run that failed. */
export interface FailedRun {
  readonly scenario: string;
  readonly seed: number;
  readonly error: Error;
}

/** Runs one seed of a scenario; returns why it failed, if it did. */
export async function runSeed(
  scenario: string,
  seed: number,
  options: { library?: Library; trace?: (line: string) => void } = {},
): Promise<FailedRun | undefined> {
  let simulation: Simulation | undefined;
  const rejected = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    if (simulation === undefined) return;
    simulation.world.failure ??= asError(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", rejected);
  const { error: print } = console;
  console.error = (error) => {
    const isExpected = isPlanned(error) || simulation === undefined;
    if (!isExpected) simulation!.audit.reported(error);
  };
  try {
    simulation = new Simulation(seed, options);
    await SCENARIOS[scenario]!(simulation);
  } catch (error) {
    return {
      scenario,
      seed,
      error: simulation?.world.failure ?? asError(error),
    };
  } finally {
    console.error = print;
    globalThis.removeEventListener("unhandledrejection", rejected);
  }
  const { failure } = simulation.world;
  return failure && { scenario, seed, error: failure };
}

/** Returns the first of `count` seeds from `first` that fails, if any. */
export async function runSeeds(
  scenario: string,
  seeds: { first: number; count: number },
  options: { library?: Library; progress?: (seed: number) => void } = {},
): Promise<FailedRun | undefined> {
  const { first, count } = seeds;
  for (let seed = first; seed < first + count; seed++) {
    options.progress?.(seed);
    const failed = await runSeed(scenario, seed, options);
    if (failed !== undefined) return failed;
  }
}

/** Returns the command that repeats a failed run and prints its events. */
export function replayCommand({ scenario, seed }: FailedRun): string {
  return `deno run -A tests/sim/replay.ts --scenario ${scenario} --seed ${seed}`;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
