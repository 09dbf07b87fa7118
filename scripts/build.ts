/**
 * Builds the native library with cargo.
 *
 * `deno task build` always asks cargo; `--if-stale` only when the library is
 * missing or older than its sources, and says nothing otherwise.
 *
 * @module
 */

import { libraryFile, NATIVE_PATH_VARIABLE } from "../src/native/library.ts";
import { Failure, runProgram } from "./command_line.ts";
import { cratePath, run } from "./programs.ts";

/** The crate's folder. */
const CRATE = new URL("../native/", import.meta.url);

/** The library's sources, of each member of the workspace. */
const SOURCE = /^Cargo\.(toml|lock)$|^config\.toml$|\.rs$/;
/** Folders without sources of the library. */
const OTHER_FOLDERS = ["examples", "fuzz", "lab", "load", "target", "tests"];

/** Returns cargo's path for the library of the crate at `crate`. */
export function builtLibrary(crate: URL = CRATE): URL {
  return new URL(`target/release/${libraryFile(Deno.build.os)}`, crate);
}

/** Builds the library unless it is newer than all of its sources. */
export function buildIfStale(): void {
  // A program with another library does not need this one.
  if (Deno.env.get(NATIVE_PATH_VARIABLE)) return;
  const reason = staleReason();
  if (reason === undefined) return;
  // Not on stdout, which belongs to the program that needs the library.
  // deno-lint-ignore no-console
  console.error(`Building ${relative(builtLibrary())}: ${reason}`);
  build();
}

/**
 * Builds the library, cargo's progress on the terminal.
 *
 * @param extra More arguments for cargo, as `["--example", "limit"]`.
 * @throws {Failure} when cargo is missing or fails.
 */
export function build(extra: readonly string[] = []): void {
  if (!run(buildCommand(extra))) {
    throw new Failure("Cannot build: cargo failed, see above");
  }
  freshen();
}

/**
 * Returns the command that `build` runs. It always builds the library: an
 * example alone would leave an old one, which `freshen` would make look new.
 */
export function buildCommand(extra: readonly string[]): string[] {
  return [
    ...["cargo", "build", "--release", "--locked", "--lib", ...extra],
    ...["--manifest-path", cratePath("Cargo.toml")],
    // In this folder and not in CARGO_TARGET_DIR: Deno opens the library here.
    ...["--target-dir", cratePath("target")],
  ];
}

/**
 * Returns why the library of the crate at `crate` must be built, or
 * `undefined` when it need not.
 */
export function staleReason(crate: URL = CRATE): string | undefined {
  const builtMs = modifiedMs(builtLibrary(crate));
  if (builtMs === undefined) return "it is not there yet";
  const newer = [...sources(crate)].find((source) =>
    (modifiedMs(source) ?? 0) > builtMs
  );
  return newer && `${relative(newer)} is newer`;
}

/**
 * Makes the time of a library that is up to date say so. When a change means
 * nothing to cargo, such as a comment in Cargo.toml, cargo leaves the old file,
 * and the library would look stale after every build.
 */
export function freshen(crate: URL = CRATE): void {
  if (staleReason(crate) === undefined) return;
  const now = new Date();
  Deno.utimeSync(builtLibrary(crate), now, now);
}

function* sources(folder: URL): Generator<URL> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory && !OTHER_FOLDERS.includes(name)) {
      yield* sources(new URL(`${name}/`, folder));
    } else if (!isDirectory && SOURCE.test(name)) {
      yield new URL(name, folder);
    }
  }
}

function modifiedMs(file: URL): number | undefined {
  try {
    return Deno.statSync(file).mtime?.getTime();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function relative(file: URL): string {
  const root = new URL("../", CRATE).pathname;
  return decodeURIComponent(file.pathname.replace(root, ""));
}

if (import.meta.main) {
  await runProgram(() => {
    if (Deno.args.includes("--if-stale")) buildIfStale();
    else build();
    return 0;
  });
}
