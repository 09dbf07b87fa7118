/**
 * Finds a Rust compiler that can build for a sanitizer.
 *
 * Two things may be missing from the one on `PATH`: the sanitizer's runtime,
 * which distributions leave out, and the sources of the standard library, which
 * have to be compiled for ThreadSanitizer as well: it knows of no lock that is
 * not, and tells of races that are none. Debian has both as packages, and they
 * are unpacked beside the build, without root, where the compiler lacks any.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Failure } from "../command_line.ts";
import { outputOf } from "../debian_rust/command.ts";
import {
  librariesOf,
  obstacle,
  provideToolchain,
  TOOLCHAIN,
} from "../debian_rust/toolchain.ts";

/**
 * Names and lines in reports: Debian's runtimes would ask a program of LLVM's,
 * and binutils is installed wherever there is a linker.
 */
const SYMBOLIZER = "external_symbolizer_path=/usr/bin/addr2line";

/** What can be looked for. */
export type Sanitizer = "address" | "thread";

/** What runtimes are called, as rustc and as LLVM have it. */
const RUNTIMES: Readonly<Record<Sanitizer, string>> = {
  address: "asan",
  thread: "tsan",
};

/** A compiler that can do what was asked for. */
export interface Toolchain {
  /** What to call it in a message. */
  readonly name: string;
  /** What it compiles for: the machine that it runs on. */
  readonly host: string;
  /** What has cargo use it, and use what is unstable. */
  readonly env: Readonly<Record<string, string>>;
}

/** What is asked of a compiler. */
export interface Needs {
  /** The sanitizer whose runtime it must have. */
  readonly sanitizer: Sanitizer;
  /** Whether it must have the sources of the standard library. */
  readonly source: boolean;
}

/** A compiler, and where it keeps things. */
interface Rustc {
  readonly program: string;
  readonly version: string;
  readonly host: string;
  readonly sysroot: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Returns the compiler on `PATH` if it will do, else Debian's.
 *
 * @throws {Failure} when there is none, with what is missing and how to get it.
 */
export async function findToolchain(needs: Needs): Promise<Toolchain> {
  const installed = rustcAt("rustc", {});
  if (installed === undefined) {
    throw new Failure(
      "Cannot build: there is no rustc on PATH; " +
        "get Rust 1.85 or newer from https://rustup.rs",
    );
  }
  const lacking = missingFrom(installed, needs);
  if (lacking === undefined) return toolchainOf(installed);
  if (obstacle(Deno.build.os, isThere) !== undefined) {
    throw new Failure(explain(installed, needs, lacking));
  }
  await provideToolchain();
  const program = fileURLToPath(new URL("usr/bin/rustc", TOOLCHAIN));
  const unpacked = rustcAt(program, {
    LD_LIBRARY_PATH: fileURLToPath(librariesOf(TOOLCHAIN)),
    ASAN_OPTIONS: SYMBOLIZER,
    TSAN_OPTIONS: SYMBOLIZER,
  });
  const fault = unpacked === undefined
    ? "does not run"
    : missingFrom(unpacked, needs);
  if (unpacked === undefined || fault !== undefined) {
    throw new Failure(
      `Cannot use -Zsanitizer=${needs.sanitizer}: Debian's ${program} ${fault}`,
    );
  }
  return toolchainOf(unpacked);
}

/** Whether a program can be started. */
export function isThere(program: string): boolean {
  return outputOf([program, "--version"]) !== undefined;
}

function rustcAt(
  program: string,
  env: Record<string, string>,
): Rustc | undefined {
  const said = outputOf([program, "-vV"], env);
  if (said === undefined) return undefined;
  const field = (name: string) =>
    new RegExp(`^${name}: (.+)$`, "m").exec(said)?.[1] ?? "";
  return {
    program,
    env,
    version: field("release"),
    host: field("host"),
    sysroot: outputOf([program, "--print", "sysroot"], env)?.trim() ?? "",
  };
}

/** What a compiler has not got, to come after its name. */
function missingFrom(rustc: Rustc, needs: Needs): string | undefined {
  const library = `${rustc.sysroot}/lib/rustlib`;
  const runtime = new RegExp(
    `^librustc.*_rt\\.${RUNTIMES[needs.sanitizer]}\\.`,
  );
  const libraries = namesIn(`${library}/${rustc.host}/lib`);
  if (!libraries.some((name) => runtime.test(name))) {
    return `has no runtime for -Zsanitizer=${needs.sanitizer}`;
  }
  const sources = namesIn(`${library}/src/rust/library`);
  if (needs.source && !sources.includes("Cargo.lock")) {
    return "has no sources of the standard library";
  }
  return undefined;
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function toolchainOf({ program, version, host, env }: Rustc): Toolchain {
  return {
    name: `${program} ${version}`,
    host,
    // What is unstable is allowed to a stable compiler by the first.
    env: { ...env, RUSTC_BOOTSTRAP: "1", RUSTC: program },
  };
}

function explain(rustc: Rustc, needs: Needs, lacking: string): string {
  const help = lacking.includes("sources")
    ? 'get them with "rustup component add rust-src"'
    : "get a compiler that has from https://rustup.rs";
  return `Cannot use -Zsanitizer=${needs.sanitizer}: ` +
    `${rustc.program} ${rustc.version} ${lacking}; ${help}`;
}
