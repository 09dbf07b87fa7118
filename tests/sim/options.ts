/**
 * The command line of `deno task sim`.
 *
 * @module
 */

import {
  chosenFrom,
  countOf,
  readOptions,
  UsageError,
} from "../../scripts/command_line.ts";

/** The options of the command line. */
export interface SimOptions {
  /** The scenarios to run. */
  readonly scenarios: readonly string[];
  /** The number of seeds of each scenario, or the only seed. */
  readonly seeds: { readonly count: number } | { readonly only: number };
  /** The first seed, when there are several. */
  readonly first: number;
  /** The folder of a copy of the project: its `src` is run. */
  readonly source: string | undefined;
  /** Whether to print the help instead. */
  readonly help: boolean;
}

const DEFAULTS = {
  scenario: "",
  seeds: 10_000,
  first: 1,
  seed: "",
  source: "",
  help: false,
};

/** Returns what `--help` prints. */
export function helpFor(scenarios: readonly string[]): string {
  return `Run denio on a simulated poll, simulated sockets and a simulated clock.

Usage: deno task sim [OPTIONS]

Each seed is a world of its own: short reads and writes, resets, events that
are late, doubled or for nothing, shortages, peers that stall. It is the same
each time. Stops at the first seed that fails, and prints how to replay it.

Options:
  --scenario NAME  Only this one: ${scenarios.join(", ")}
  --seeds N        How many of each [${DEFAULTS.seeds}]
  --first N        The first of them [1]
  --seed N         Only this one, with all that happens
  --source DIR     Run the src of another copy of the project
  -h, --help       Print this

Exit codes: 0 all held, 1 a seed failed, 2 bad usage.`;
}

/**
 * Returns the options of a command line.
 *
 * @throws {UsageError} when the command line is wrong.
 */
export function parse(
  args: string[],
  scenarios: readonly string[],
): SimOptions {
  const { options } = readOptions(args, DEFAULTS, {
    short: { help: "h" },
    wordsMax: 0,
  });
  const { scenario, seed, seeds, first, source, help } = options;
  if (seed !== "" && scenario === "" && !help) {
    throw new UsageError(`Cannot run seed "${seed}" without a --scenario`);
  }
  const names = scenario === "" ? [] : [scenario];
  return {
    scenarios: chosenFrom(scenarios, names, "run scenario"),
    seeds: seed === "" ? { count: seeds } : { only: countOf("--seed", seed) },
    first,
    source: source === "" ? undefined : source,
    help,
  };
}
