/**
 * Writes what the benchmark has measured as a page, and keeps it in the README:
 * `deno task bench:report --help`.
 *
 * Permissions of the task: files are read and written wherever the user says.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseResults, type Results } from "./bench/results.ts";
import { HELP, parseReportOptions } from "./bench_report/options.ts";
import { page } from "./bench_report/page.ts";
import { RECORD, record } from "./bench_report/readme.ts";
import { Failure, runProgram, UsageError } from "./command_line.ts";

const ROOT = new URL("../", import.meta.url);
const INPUT = new URL("native/target/bench.json", ROOT);
const OUTPUT = new URL("native/target/bench.html", ROOT);
/** The folder that the user called `deno task` from, which starts elsewhere. */
const FOLDER_VARIABLE = "INIT_CWD";

function report(args: string[]): void {
  const options = parseReportOptions(args);
  if (options.help) return console.log(HELP);
  const results = readResults(fileOf(options.input, INPUT));
  const out = fileOf(options.out, OUTPUT);
  writing(out, () => {
    Deno.mkdirSync(new URL(".", out), { recursive: true });
    Deno.writeTextFileSync(out, page(results));
  });
  console.log(`Written to ${fileURLToPath(out)}`);
  if (!options.readme) return;
  writing(ROOT, () => record(results, ROOT));
  console.log(`Recorded in ${Object.values(RECORD).join(", ")}`);
}

/** What cannot be read is wrong usage: one line says why. */
function readResults(file: URL): Results {
  const path = fileURLToPath(file);
  try {
    return parseResults(Deno.readTextFileSync(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new UsageError(
        `Cannot report on "${path}": there is no such file; "deno task bench" ` +
          `writes results`,
      );
    }
    const [line] = (error as Error).message.split("\n");
    throw new UsageError(`Cannot report on "${path}": ${line}`, {
      cause: error,
    });
  }
}

function writing(file: URL, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(
      `Cannot write "${fileURLToPath(file)}": ${(error as Error).message}`,
    );
  }
}

/** A path is meant from where the user is. */
function fileOf(path: string | undefined, usual: URL): URL {
  if (path === undefined) return usual;
  const folder = Deno.env.get(FOLDER_VARIABLE) ?? Deno.cwd();
  return pathToFileURL(resolve(folder, path));
}

if (import.meta.main) {
  await runProgram(() => {
    report(Deno.args);
    return Promise.resolve(0);
  });
}
