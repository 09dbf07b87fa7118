/**
 * What the scripts' command lines share: reading options, printing help, and
 * saying in one line what is wrong.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is for command lines

import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs, type ParseArgsConfig } from "node:util";

/** Where the user was when `deno task` started. */
const FOLDER_VARIABLE = "INIT_CWD";
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** A command line that makes no sense, with the one line to print. */
export class UsageError extends Error {
  /** What errors of this class print. */
  override name = "UsageError";
}

/** A failure that one line explains: no stack trace would help. */
export class Failure extends Error {
  /** What errors of this class print. */
  override name = "Failure";
}

/** The value of an option that the command line leaves out; its type counts. */
type Default = boolean | number | string | readonly string[];

/** The options of a command line: text for text, whole numbers for numbers. */
type Options<T> = {
  [Name in keyof T]: T[Name] extends boolean ? boolean
    : T[Name] extends number ? number
    : T[Name] extends string ? string
    : string[];
};

/**
 * Reads options like `--name value`, and up to `wordsMax` words between them.
 * `short` has letters for options, by their names.
 *
 * A number stands for an option that takes a whole number from 1, `false` for
 * one without a value, an array for one that may be repeated.
 *
 * @throws {UsageError} for unknown options, wrong values and too many words.
 */
export function readOptions<const T extends Record<string, Default>>(
  args: string[],
  defaults: T,
  { short = {}, wordsMax = Infinity }: {
    short?: Readonly<Record<string, string>>;
    wordsMax?: number;
  } = {},
): { options: Options<T>; words: string[] } {
  const config = Object.entries(defaults).map(([name, value]) => [name, {
    type: typeof value === "boolean" ? "boolean" : "string",
    multiple: Array.isArray(value),
    ...short[name] && { short: short[name] },
  }]);
  const { values, positionals } = parsed({
    args,
    allowPositionals: true,
    options: Object.fromEntries(config),
  });
  const [word] = positionals.slice(wordsMax);
  if (word !== undefined) {
    throw new UsageError(`Cannot use "${word}"; see --help`);
  }
  const read = Object.entries(defaults).map(([name, value]) => {
    const given = (values as Record<string, unknown>)[name];
    const isCount = typeof value === "number" && given !== undefined;
    return [name, isCount ? countOf(`--${name}`, `${given}`) : given ?? value];
  });
  return { options: Object.fromEntries(read), words: positionals };
}

function parsed<T extends ParseArgsConfig>(config: T) {
  try {
    return parseArgs(config);
  } catch (error) {
    // The first sentence says what is wrong; the others recommend a "--" that
    // would not help.
    const [sentence] = (error as Error).message.split(/\.?\n|\. /);
    throw new UsageError(`${sentence}; see --help`, { cause: error });
  }
}

/**
 * Returns those of `known` that `names` has, in their order; all for no name.
 *
 * @throws {UsageError} for a name that is not known: "Cannot `verb` ...".
 */
export function chosenFrom<T extends string>(
  known: readonly T[],
  names: readonly string[],
  verb: string,
): T[] {
  const unknown = names.find((name) => !known.some((each) => each === name));
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot ${verb} "${unknown}": there are ${known.join(", ")}`,
    );
  }
  return known.filter((name) => names.length === 0 || names.includes(name));
}

/**
 * Returns a whole number of at least 1.
 *
 * @throws {UsageError} when `text` is none.
 */
export function countOf(option: string, text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1) return count;
  throw new UsageError(
    `Cannot use ${option} "${text}": it must be a whole number from 1`,
  );
}

/**
 * Returns a number of seconds.
 *
 * @throws {UsageError} when `text` is none above 0.
 */
export function secondsOf(option: string, text: string): number {
  const seconds = Number(text);
  if (/^\d*\.?\d+$/.test(text) && seconds > 0) return seconds;
  throw new UsageError(
    `Cannot use ${option} "${text}": it must be a number above 0`,
  );
}

/** Returns the words of a list with commas. */
export function listOf(text: string): string[] {
  return text === "" ? [] : text.split(",").map((word) => word.trim());
}

/**
 * Returns the file that a path of the command line names: it is relative to the
 * user's folder, and `deno task` starts in another.
 */
export function userFile(path: string): URL {
  const folder = Deno.env.get(FOLDER_VARIABLE) ?? Deno.cwd();
  return pathToFileURL(resolve(folder, path));
}

/**
 * Calls a function that writes a file.
 *
 * @throws {Failure} when it throws.
 */
export function writing(file: URL, write: () => void): void {
  try {
    write();
  } catch (error) {
    const { message } = error as Error;
    throw new Failure(`Cannot write "${fileURLToPath(file)}": ${message}`);
  }
}

/**
 * Runs a script's `main` and ends with the exit code that it returns. With
 * `help`, `--help` prints that text instead.
 */
export async function runProgram(
  main: () => Promise<number> | number,
  help?: string,
): Promise<never> {
  const asksForHelp = Deno.args.some((word) => /^(-h|--help)$/.test(word));
  if (help !== undefined && asksForHelp) {
    console.log(help);
    Deno.exit(0);
  }
  try {
    Deno.exit(await main());
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof Failure)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE);
  }
}
