/**
 * What preparing a peer takes: programs that are run to their end, and a place
 * for what is built and installed.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Failure } from "../../command_line.ts";

/** What a peer is prepared with. */
export interface Tools {
  /** Whether a program is on PATH. */
  has(program: string): boolean;
  /** Told of what takes long. */
  progress(line: string): void;
  /** Whether packages may be fetched. */
  readonly mayInstall: boolean;
}

/** Where everything of the benchmark goes that is not the project's. */
const PLACE = new URL("../../../native/target/bench/", import.meta.url);

/** Returns the path of a file that belongs to the benchmark's servers. */
export function serverFile(path: string): string {
  return fileURLToPath(new URL(`../servers/${path}`, import.meta.url));
}

/** Returns a path below `native/target/bench/`. */
export function placeOf(path: string): string {
  return fileURLToPath(new URL(path, PLACE));
}

/**
 * Requires a program.
 *
 * @throws {Failure} when it is not on PATH.
 */
export function need({ has }: Tools, program: string, what = ""): void {
  if (!has(program)) throw new Failure(`there is no ${program} on PATH${what}`);
}

/**
 * Runs a program to its end, and returns what it printed: on standard output,
 * or on standard error when that is nothing.
 *
 * @throws {Failure} with its complaint in one line, when it fails or takes too
 * long.
 */
export async function outputOf(
  command: readonly [string, ...string[]],
  deadlineMs: number,
): Promise<string> {
  const [program, ...args] = command;
  const signal = AbortSignal.timeout(deadlineMs);
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    signal,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const [out, complaint] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes).trim()
  );
  if (signal.aborted) {
    throw new Failure(`${program} took longer than ${deadlineMs / 1000} s`);
  }
  if (!success) throw new Failure(lineOf(complaint || out!, program));
  return out || complaint!;
}

/** The line of a complaint that says most: the first that speaks of an error. */
function lineOf(complaint: string, program: string): string {
  const lines = complaint.split("\n").map((line) => line.trim())
    .filter((line) => line !== "");
  const line = lines.find((line) => /error|cannot|could not/i.test(line)) ??
    lines[0];
  return line ?? `${program} failed and said nothing`;
}
