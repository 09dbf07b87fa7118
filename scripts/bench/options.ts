/**
 * The command line of `deno task bench`.
 *
 * @module
 */

import { countOf, parseWords, UsageError } from "../command_line.ts";
import { SCENARIOS } from "./scenarios.ts";

/** What the command line asks for. */
export interface BenchOptions {
  /** How often each server is measured in each scenario. */
  rounds: number;
  /** How long each time. */
  seconds: number;
  /** The one scenario to run; all of them when there is none. */
  only: string | undefined;
  /** Whether to print JSON. */
  json: boolean;
  /** Whether to explain instead. */
  help: boolean;
}

/** Enough for a first look, not for a decision. */
const QUICK = { rounds: 1, seconds: 1 };

const NAMES = Object.keys(SCENARIOS);

/** What `--help` prints. */
export const HELP = `Measure denio beside the bare loop and Deno.serve.

Usage: deno task bench [OPTIONS]

Each server runs on one core and, where the machine allows it, with half of
that, so that the server is what is measured; the load comes from another core
(wrk where it is installed, else autocannon). Rounds are interleaved: quote
ratios of one run, never figures of two.

Options:
  --only NAME    One scenario:
${
  Object.entries(SCENARIOS)
    .map(([name, { title }]) => `                   ${name.padEnd(10)}${title}`)
    .join("\n")
}
  --rounds N     How often each server is measured [5]
  --seconds N    How long each time [3]
  --quick        One round of a second: a first look
  --json         Print one JSON object
  -h, --help     Print this

Examples:
  deno task bench --quick
  deno task bench --only pipeline --rounds 9
  deno task bench --json > bench.json

Exit codes: 0 measured, 1 a server failed or answered wrongly, 2 bad usage.`;

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it cannot be meant.
 */
export function parseBenchOptions(args: string[]): BenchOptions {
  const { values } = parseWords({
    args,
    options: {
      only: { type: "string" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "3" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { only, quick, json, help } = values;
  if (only !== undefined && !NAMES.includes(only)) {
    throw new UsageError(
      `Cannot run scenario "${only}": there are ${NAMES.join(", ")}`,
    );
  }
  const length = quick ? QUICK : {
    rounds: countOf("--rounds", values.rounds),
    seconds: countOf("--seconds", values.seconds),
  };
  return { ...length, only, json, help };
}
