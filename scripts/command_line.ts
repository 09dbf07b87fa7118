/**
 * What the scripts' command lines share: reading words, and saying in one line
 * what is wrong with them.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is for command lines

import { parseArgs, type ParseArgsConfig } from "node:util";

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** A command line that cannot be meant, with the one line to show. */
export class UsageError extends Error {
  /** What errors of this class print. */
  override name = "UsageError";
}

/** A failure that one line explains: no stack trace would help. */
export class Failure extends Error {
  /** What errors of this class print. */
  override name = "Failure";
}

/**
 * Returns what a command line says, as `node:util` parses it.
 *
 * @throws {UsageError} when it says what nobody asked for.
 */
export function parseWords<T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    // The first sentence says what is wrong, the rest speaks of a "--" that
    // would not help.
    const [sentence] = (error as Error).message.split(/\.?\n|\. /);
    throw new UsageError(`${sentence}; see --help`, { cause: error });
  }
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

/** Runs a script's `main`, which returns its exit code, and ends with it. */
export async function runProgram(
  main: () => Promise<number>,
): Promise<never> {
  try {
    Deno.exit(await main());
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`error: ${error.message}`);
      Deno.exit(EXIT_USAGE);
    }
    if (!(error instanceof Failure)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(EXIT_FAILURE);
  }
}
