/**
 * Writes the benchmark's results as a page, and keeps it in the README:
 * `deno task bench:report --help`.
 *
 * Permissions of the task: it reads and writes files where the user says.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { fileURLToPath } from "node:url";
import { Results } from "./bench/results.ts";
import { page } from "./bench_report/page.ts";
import { RECORD, record } from "./bench_report/readme.ts";
import {
  readOptions,
  runProgram,
  UsageError,
  userFile,
  writing,
} from "./command_line.ts";

const ROOT = new URL("../", import.meta.url);
const INPUT = new URL("native/target/bench.json", ROOT);
const OUTPUT = new URL("native/target/bench.html", ROOT);

const HELP = `Write what "deno task bench" has measured as a page.

Usage: deno task bench:report [OPTIONS] [FILE]

FILE is what "deno task bench" leaves in native/target/bench.json, which is the
default. The page is one file of HTML that needs no other.

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

function main(): number {
  const { options, words } = readOptions(Deno.args, {
    out: "",
    readme: false,
  }, { wordsMax: 1 });
  const results = readResults(words[0] ? userFile(words[0]) : INPUT);
  const out = options.out ? userFile(options.out) : OUTPUT;
  const text = page(results);
  writing(out, () => Deno.writeTextFileSync(out, text));
  console.log(`Written to ${fileURLToPath(out)}`);
  if (options.readme) {
    writing(ROOT, () => record(results, ROOT));
    console.log(`Recorded in ${Object.values(RECORD).join(", ")}`);
  }
  return 0;
}

/** Results that cannot be read are wrong usage: one line explains it. */
function readResults(file: URL): Results {
  try {
    return Results.parse(Deno.readTextFileSync(file));
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? `there is no such file; "deno task bench" writes results`
      : (error as Error).message;
    throw new UsageError(
      `Cannot report on "${fileURLToPath(file)}": ${why}`,
      { cause: error },
    );
  }
}

if (import.meta.main) await runProgram(main, HELP);
