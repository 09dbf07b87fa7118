/**
 * The command line of `deno task bench:report`.
 *
 * @module
 */

import { parseWords, UsageError } from "../command_line.ts";

/** What the command line asks for. */
export interface ReportOptions {
  /** The results, as `deno task bench` wrote them; its usual file by default. */
  readonly input: string | undefined;
  /** Where the page goes; beside the usual results by default. */
  readonly out: string | undefined;
  /** Whether the README gets its picture and table anew. */
  readonly readme: boolean;
  /** Whether to explain instead. */
  readonly help: boolean;
}

/** What `--help` prints. */
export const HELP = `Write what "deno task bench" has measured as a page.

Usage: deno task bench:report [OPTIONS] [FILE]

FILE is the JSON that "deno task bench" leaves in native/target/bench.json,
which is the default. The page is one file of HTML that needs no other.

Options:
  --out FILE  Where the page goes [native/target/bench.html]
  --readme    Also keep the results in scripts/bench/results, and write the
              README's picture and table from them
  -h, --help  Print this

Examples:
  deno task bench && deno task bench:report
  deno task bench:report --out report.html results.json

Exit codes: 0 written, 1 it could not be written, 2 bad usage or results that
cannot be read.`;

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it cannot be meant.
 */
export function parseReportOptions(args: string[]): ReportOptions {
  const { values, positionals } = parseWords({
    args,
    allowPositionals: true,
    options: {
      out: { type: "string" },
      readme: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [input, second] = positionals;
  if (second !== undefined) {
    throw new UsageError(
      `Cannot report on "${second}" as well: give one file of results`,
    );
  }
  const { out, readme, help } = values;
  return { input, out, readme, help };
}
