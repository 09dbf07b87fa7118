/**
 * The command line of `deno task bench`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { countOf, parseWords, UsageError } from "../command_line.ts";
import { BASELINE, LIMIT, PEER_NAMES, SUBJECT } from "./peers.ts";
import { SCENARIOS } from "./scenarios.ts";

/** What makes the load of scenarios that wrk can do as well. */
export type LoadName = "own" | "wrk";

/** What the command line asks for. */
export interface BenchOptions {
  /** How often each server is measured in each scenario. */
  readonly rounds: number;
  /** How long each time. */
  readonly seconds: number;
  /** The scenarios to run, and whether to cross-check, by name. */
  readonly only: readonly string[] | undefined;
  /** The servers to measure, by name. */
  readonly peers: readonly string[] | undefined;
  /** What makes the load. */
  readonly load: LoadName;
  /** Whether a first look is wanted, not figures. */
  readonly quick: boolean;
  /** The file for the results. */
  readonly output: string;
  /** Whether to print JSON. */
  readonly json: boolean;
  /** Whether to explain instead. */
  readonly help: boolean;
}

/** What `--only` calls the comparison of load generators. */
export const CROSS_CHECK = "cross-check";

/** Where the report looks for the results. */
const OUTPUT = "native/target/bench.json";

/** Enough rounds for a median, and long enough for the kernel's ticks. */
const USUAL = { rounds: 5, seconds: 3, peers: undefined };
/** Enough for a first look, not for a decision. */
const QUICK = {
  rounds: 1,
  seconds: 0.25,
  peers: [LIMIT, SUBJECT, BASELINE],
};

const ROOT = new URL("../../", import.meta.url);
const LOADS: readonly LoadName[] = ["own", "wrk"];
const NAMES = [...SCENARIOS.map(({ name }) => name), CROSS_CHECK];
const NAME_WIDTH = Math.max(...NAMES.map((name) => name.length));

const SCENARIO_LINES = [
  ...SCENARIOS,
  { name: CROSS_CHECK, title: "get under wrk and autocannon too" },
].map(({ name, title }) => `  ${name.padEnd(NAME_WIDTH)}  ${title}`);

/** What `--help` prints. */
export const HELP = `Measure denio beside the bare loop and other servers.

Usage: deno task bench [OPTIONS]

Each server runs on one core and, where the machine allows it, with half of
that, so that the server is what is measured; the load comes from another core,
and verifies every byte. Rounds are interleaved: quote ratios of one run, never
figures of two. Prints a table for each scenario, and what is wanted of denio
beside what was measured. A whole run takes about an hour.

Options:
  --only NAME[,NAME]   Only these scenarios, see below
  --peers NAME[,NAME]  Only these servers: ${PEER_NAMES.slice(0, 3).join(", ")},
                       ${PEER_NAMES.slice(3).join(", ")}
  --rounds N           How often each server is measured [${USUAL.rounds}]
  --seconds S          How long each time, as 0.5 [${USUAL.seconds}]
  --load own|wrk       What makes the load of get and pipeline [own]
  --quick              A first look, in one to two minutes: one round of
                       ${QUICK.seconds} s, of ${QUICK.peers.join(", ")}
  --output FILE        Where the results go, below native/target
                       [${OUTPUT}]
  --json               Print them, as one JSON object
  -h, --help           Print this

Scenarios:
${SCENARIO_LINES.join("\n")}

The results are written whenever a scenario is complete; "deno task
bench:report" makes a page of them.

Examples:
  deno task bench --quick
  deno task bench --only pipeline,echo64 --rounds 9
  deno task bench --only get --peers denio,nginx,"bare loop"
  deno task bench --json > bench.json

Exit codes: 0 measured, 1 denio failed or answered wrongly, 2 bad usage.`;

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
      peers: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      load: { type: "string", default: "own" },
      output: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { only, peers, rounds, seconds, quick, json, help } = values;
  const usual = quick ? QUICK : USUAL;
  const named = (option: string, text: string, names: readonly string[]) =>
    text.split(",").map((name) => oneOf(option, name.trim(), names));
  return {
    rounds: rounds === undefined ? usual.rounds : countOf("--rounds", rounds),
    seconds: seconds === undefined ? usual.seconds : secondsOf(seconds),
    only: only === undefined ? undefined : named("--only", only, NAMES),
    peers: peers === undefined
      ? usual.peers
      : named("--peers", peers, PEER_NAMES),
    load: oneOf("--load", values.load, LOADS),
    output: values.output ?? fileURLToPath(new URL(OUTPUT, ROOT)),
    quick,
    json,
    help,
  };
}

/** Returns the name that is meant, whatever the case it is written in. */
function oneOf<T extends string>(
  option: string,
  text: string,
  names: readonly T[],
): T {
  const found = names.find((name) => name.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw new UsageError(
    `Cannot use ${option} "${text}": there are ${names.join(", ")}`,
  );
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (/^\d*\.?\d+$/.test(text) && seconds > 0) return seconds;
  throw new UsageError(
    `Cannot use --seconds "${text}": it must be a number above 0`,
  );
}
