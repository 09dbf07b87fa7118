/**
 * Running the programs that build and check the native code.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is for command lines

import { fileURLToPath } from "node:url";
import { Failure } from "./command_line.ts";

const MS_PER_SECOND = 1000;

/** Variables of a program beside those of this one. */
export type Environment = Readonly<Record<string, string>>;

/** Returns the path of a file of the crate. */
export function cratePath(path: string): string {
  return fileURLToPath(new URL(`../native/${path}`, import.meta.url));
}

/** Runs a program with this program's output; returns whether it succeeded. */
export function run(
  [program, ...args]: readonly string[],
  env: Environment = {},
): boolean {
  try {
    return new Deno.Command(program!, {
      args,
      env: { ...env },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).outputSync().success;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const help = program === "cargo"
      ? ", get Rust 1.85 or newer from " +
        "https://rustup.rs"
      : "";
    throw new Failure(`Cannot run ${program}: it is not there${help}`);
  }
}

/** Returns the output of a program; `undefined` when it is missing or fails. */
export function outputOf(
  [program, ...args]: readonly string[],
  env: Environment = {},
): string | undefined {
  try {
    const { success, stdout } = new Deno.Command(program!, {
      args,
      env: { LC_ALL: "C", ...env },
      stdin: "null",
      stderr: "null",
    }).outputSync();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Returns whether a program is installed. */
export function hasProgram(name: string): boolean {
  return outputOf(["sh", "-c", 'command -v "$1"', "sh", name]) !== undefined;
}

/**
 * Prints that a step begins and how it ended; returns whether it succeeded. A
 * `Failure` is printed, and others go on.
 */
export function step(name: string, work: () => boolean): boolean {
  console.log(`\n--- ${name}`);
  const startMs = performance.now();
  let isDone = false;
  try {
    isDone = work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(`error: ${error.message}`);
  }
  console.log(verdict(name, isDone, startMs));
  return isDone;
}

/** Returns the line for a step that has ended, and began at `startMs`. */
export function verdict(name: string, isDone: boolean, startMs: number) {
  const seconds = (performance.now() - startMs) / MS_PER_SECOND;
  const word = isDone ? "ok" : "FAILED";
  return `--- ${name}: ${word}, ${seconds.toFixed(1)} s`;
}

/** Returns the names in a folder, in order; none when the folder is missing. */
export function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
