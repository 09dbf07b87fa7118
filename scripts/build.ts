/**
 * Builds the native library with cargo.
 *
 * `deno task build` shows what cargo does; `--if-stale` says nothing when the
 * library is there and newer than its sources.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { libraryFile, NATIVE_PATH_VARIABLE } from "../src/native/library.ts";
import { Failure, runProgram } from "./command_line.ts";
import { cratePath, type Environment, outputOf, run } from "./programs.ts";

const LIBRARY = cratePath(`target/release/${libraryFile(Deno.build.os)}`);

/** Builds the library if it is missing or old. */
export function buildIfStale(): void {
  // A program with another library does not need this one.
  if (Deno.env.get(NATIVE_PATH_VARIABLE)) return;
  const isBuilt = existsSync(LIBRARY);
  // What is built can be used where there is no cargo.
  if (isBuilt && outputOf(["cargo", "--version"]) === undefined) return;
  // The first build takes long: cargo shows how far it is.
  build([], isBuilt ? { CARGO_TERM_QUIET: "true" } : {});
}

/**
 * Builds the library, cargo's progress on the terminal.
 *
 * @param extra More arguments for cargo, as `["--example", "limit"]`.
 * @throws {Failure} when cargo is missing or fails.
 */
export function build(extra: readonly string[] = [], env?: Environment): void {
  const isBuilt = run([
    ...["cargo", "build", "--release", "--locked", "--lib", ...extra],
    ...["--manifest-path", cratePath("Cargo.toml")],
    // In this folder and not in CARGO_TARGET_DIR: Deno opens the library here.
    ...["--target-dir", cratePath("target")],
  ], env);
  if (!isBuilt) throw new Failure("Cannot build: cargo failed, see above");
}

if (import.meta.main) {
  await runProgram(() => {
    if (Deno.args.includes("--if-stale")) buildIfStale();
    else build();
    return 0;
  });
}
