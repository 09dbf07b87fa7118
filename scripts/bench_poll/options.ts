/**
 * The command line of `deno task bench:poll`.
 *
 * @module
 */

import type { Backend } from "../../mod.ts";
import { countOf, parseWords, UsageError } from "../command_line.ts";

/** What the command line asks for. */
export interface BenchPollOptions {
  /** How often each size is measured on each backend. */
  readonly rounds: number;
  /** The most sources. */
  readonly max: number;
  /** What is measured. */
  readonly backends: readonly Backend[];
  /** Whether to explain instead. */
  readonly help: boolean;
}

const MAX_DEFAULT = 15_000;

/** What `--help` prints. */
export const HELP =
  `Measure what a poll costs on each backend, the more sources the more.

Usage: deno task bench:poll [OPTIONS]

A poll of N sources, of which one is ready: epoll and kqueue are told of each
source once, poll and select look at all of them with every wait. Registering,
reregistering, waiting, reading and writing are timed through the ABI, as a
program in TypeScript would call them. Prints tables, and plots them.

Options:
  --backend NAME  Only this one; may be given again
  --max N         The most sources [${MAX_DEFAULT}]
  --rounds N      How often each size is measured [5]
  --quick         One round, of 1,000 sources at the most
  -h, --help      Print this

Each source is a descriptor: "ulimit -n" must be some dozens above --max.
select cannot have more than 1,024 (FD_SETSIZE), and is measured up to there.

The plot goes to native/target/bench_poll.svg.

Exit codes: 0 measured, 1 the system refused something, 2 bad usage.`;

/** Enough for a first look. */
const QUICK = { rounds: 1, max: 1000 };

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it cannot be meant.
 */
export function parse(
  args: string[],
  available: readonly Backend[],
): BenchPollOptions {
  const { values } = parseWords({
    args,
    options: {
      backend: { type: "string", multiple: true },
      max: { type: "string", default: String(MAX_DEFAULT) },
      rounds: { type: "string", default: "5" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const named = values.backend ?? available;
  const unknown = named.find((name) => !available.includes(name as Backend));
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot measure backend "${unknown}": there are ${available.join(", ")}`,
    );
  }
  const size = values.quick ? QUICK : {
    rounds: countOf("--rounds", values.rounds),
    max: countOf("--max", values.max),
  };
  return { ...size, backends: named as Backend[], help: values.help };
}
