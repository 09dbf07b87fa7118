/**
 * A peer, and the tools that prepare it: programs that run to their end, npm packages
 * in exact versions, and a folder for both.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Failure } from "../../command_line.ts";
import { cratePath, hasProgram } from "../../programs.ts";
import type { Ability, Service } from "../scenarios.ts";

/** A server that can be started. */
export interface Prepared {
  readonly version: string;
  /** The services that it has. */
  readonly can: readonly Ability[];
  /**
   * Returns the command that starts it. It prints `listening on
   * 127.0.0.1:PORT`, and its process is the server's own.
   */
  command(service: Service): string[];
}

/** The same with its name in the report. */
export type Peer = Prepared & { readonly name: string };

/** The tools. */
export interface Tools {
  /** Prints a line about a step that takes long. */
  say(line: string): void;
  /** Whether packages may be fetched. */
  readonly mayInstall: boolean;
}

/** For a program that only prints its version, on a busy machine. */
const VERSION_MS = 20_000;
/** For a hundred megabytes over a slow link. */
const INSTALL_MS = 600_000;

/** Returns the path of a file that belongs to the benchmark's servers. */
export function serverFile(path: string): string {
  return fileURLToPath(new URL(`../servers/${path}`, import.meta.url));
}

/** Returns a path below the folder of files that others have written. */
export function placeOf(path: string): string {
  return cratePath(`target/bench/${path}`);
}

/**
 * Requires a program.
 *
 * @throws {Failure} when it is not on PATH.
 */
export function need(program: string, purpose = ""): void {
  if (hasProgram(program)) return;
  throw new Failure(`there is no ${program} on PATH${purpose}`);
}

/**
 * Returns the folder of a package, as `bun@1.4.5`. npm installs it unless it is
 * there.
 *
 * @throws {Failure} with the reason when it cannot be had.
 */
export async function npmPackage(
  wanted: string,
  { mayInstall, say }: Tools,
): Promise<string> {
  // A folder for each: a package that cannot be had keeps no other away.
  const prefix = placeOf(`npm/${wanted}`);
  const folder = join(prefix, "node_modules", wanted.replace(/@[^@]+$/, ""));
  // Written after npm has succeeded: a part of a package looks like a package.
  const stamp = join(prefix, "installed");
  if (existsSync(stamp)) return folder;
  if (!mayInstall) throw new Failure(`${wanted} is not installed`);
  need("npm", `, to install ${wanted} with`);
  say(`installing ${wanted} with npm`);
  Deno.mkdirSync(prefix, { recursive: true });
  await outputOf([
    ...["npm", "install", "--prefix", prefix, "--save-exact"],
    ...["--no-audit", "--no-fund", "--loglevel=error", wanted],
  ], INSTALL_MS);
  Deno.writeTextFileSync(stamp, "");
  return folder;
}

/**
 * Runs a program to its end, and returns what it printed: on standard output,
 * or on standard error when that is nothing.
 *
 * @throws {Failure} with its complaint in one line, when it fails or takes too
 * long.
 */
export async function outputOf(
  [program, ...args]: readonly string[],
  deadlineMs = VERSION_MS,
): Promise<string> {
  const signal = AbortSignal.timeout(deadlineMs);
  const { success, stdout, stderr } = await new Deno.Command(program!, {
    args,
    signal,
    stdin: "null",
  }).output();
  const [out, complaint] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes).trim()
  );
  if (signal.aborted) {
    throw new Failure(`${program} took longer than ${deadlineMs / 1000} s`);
  }
  if (success) return out || complaint!;
  const lines = (complaint || out!).split("\n").map((line) => line.trim());
  const line = lines.find((line) => /error|cannot|could not/i.test(line));
  throw new Failure(line ?? lines[0] ?? `${program} failed and said nothing`);
}
