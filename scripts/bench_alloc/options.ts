/**
 * The command line of `deno task bench:alloc`.
 *
 * @module
 */

import { parseWords, UsageError } from "../command_line.ts";
import { type ScenarioName, SCENARIOS } from "./scenarios.ts";

/** What the command line asks for. */
export interface BenchAllocOptions {
  /** What to count. */
  readonly names: readonly ScenarioName[];
  /** Whether to print JSON. */
  readonly json: boolean;
  /** Whether to explain instead. */
  readonly help: boolean;
}

const NAMES = Object.keys(SCENARIOS) as ScenarioName[];
const NAME_WIDTH = Math.max(...NAMES.map((name) => name.length)) + 2;

/** What `--help` prints. */
export const HELP = `Count the bytes that V8 allocates for each request.

Usage: deno task bench:alloc [OPTIONS]

The server runs over a system in memory, so that the counts are the same each
time: they are of bytes, not of samples. Budgets are for what is allocated
beside what the handler does by itself:
  as run      what V8 makes of it when it is hot
  as written  the same if V8 made every object that the code asks for: which it
              can do without depends on what it inlines
  beside      what array buffers refer to

Options:
  --only NAME  Count this alone; may be given again
${
  NAMES.map((name) => {
    return `                 ${name.padEnd(NAME_WIDTH)}${
      SCENARIOS[name].title
    }`;
  }).join("\n")
}
  --json       Print one JSON array
  -h, --help   Print this

Exit codes: 0 all within their budgets, 1 not, 2 bad usage.`;

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it cannot be meant.
 */
export function parse(args: string[]): BenchAllocOptions {
  const { values } = parseWords({
    args,
    options: {
      only: { type: "string", multiple: true },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const names = values.only ?? NAMES;
  const unknown = names.find((name) => !NAMES.includes(name as ScenarioName));
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot count "${unknown}": there are ${NAMES.join(", ")}`,
    );
  }
  const { json, help } = values;
  return { names: names as ScenarioName[], json, help };
}
