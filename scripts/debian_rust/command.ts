/**
 * Running programs, and saying so, or not.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is for a command line

import { Failure } from "../command_line.ts";

const MS_PER_SECOND = 1000;

/** What to run. */
export interface Command {
  /** The program, by name or path. */
  readonly program: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** What its environment has beside ours. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program, which prints where we do, and tells whether it succeeded. */
export async function run(command: Command): Promise<boolean> {
  const { program, args, env = {} } = command;
  const child = new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  });
  try {
    return (await child.spawn().status).success;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Failure(`Cannot run ${program}: it is not there`);
  }
}

/**
 * Says that a step begins, and how it has ended.
 *
 * @throws {Failure} when it has failed.
 */
export async function step(
  name: string,
  work: () => Promise<boolean>,
): Promise<void> {
  console.log(`\n--- ${name}`);
  const startMs = performance.now();
  const isDone = await work();
  const seconds = (performance.now() - startMs) / MS_PER_SECOND;
  const verdict = isDone ? "ok" : "FAILED";
  console.log(`--- ${name}: ${verdict}, ${seconds.toFixed(1)} s`);
  if (!isDone) throw new Failure(`${name} failed, see above`);
}

/**
 * Returns what a program prints, or `undefined` when it is not there or fails.
 */
export function outputOf(
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): string | undefined {
  try {
    const { success, stdout } = new Deno.Command(program, {
      args,
      env: { LC_ALL: "C", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).outputSync();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether a program can be started. */
export function isThere(program: string): boolean {
  return outputOf([program, "--version"]) !== undefined;
}
