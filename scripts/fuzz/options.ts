/**
 * The command line of `deno task fuzz`.
 *
 * @module
 */

import { countOf, parseWords, UsageError } from "../command_line.ts";

/** What the command line asks for. */
export interface FuzzOptions {
  /** What to fuzz, by name. */
  readonly targets: readonly string[];
  /** Seconds for each. */
  readonly seconds: number;
  /** Whether to keep what was found in the corpus. */
  readonly keep: boolean;
  /** Whether to explain instead. */
  readonly help: boolean;
}

/** What `--help` prints. */
export const HELP =
  `Feed the native code what libFuzzer makes up, and check what must hold.

Usage: deno task fuzz [TARGET...] [OPTIONS]

  TARGET  A file of native/fuzz/fuzz_targets: http1_head, source_table. All of
          them when none is named.

Options:
      --seconds N  How long for each [20]
      --keep       Then write native/fuzz/corpus anew: what it has and what was
                   found, less what covers nothing more
  -h, --help       Print this

It starts from native/fuzz/corpus, and from what earlier runs have found. An
input that breaks something is left in native/target/fuzz/artifacts, and how to
run it again is said. Needed is a rustc as for "deno task sanitize address", and
a C++ compiler for libFuzzer. With cargo-fuzz installed, "cargo fuzz run
http1_head" in native/ does the same.

Examples:
  deno task fuzz
  deno task fuzz http1_head --seconds 600 --keep

Exit codes: 0 nothing was found, 1 something was or it cannot run, 2 bad usage.`;

/**
 * Returns what a command line asks for.
 *
 * @param known The targets that there are.
 * @throws {UsageError} when it cannot be meant.
 */
export function parseFuzzOptions(
  args: string[],
  known: readonly string[],
): FuzzOptions {
  const { values, positionals } = parseWords({
    args,
    allowPositionals: true,
    options: {
      seconds: { type: "string", default: "20" },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot fuzz target "${unknown}": there are ${known.join(", ")}`,
    );
  }
  return {
    targets: positionals.length === 0 ? known : [...new Set(positionals)],
    seconds: countOf("--seconds", values.seconds),
    keep: values.keep,
    help: values.help,
  };
}
