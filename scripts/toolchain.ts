/**
 * A Rust compiler that can build for sanitizers and for other systems.
 *
 * The compiler on PATH may lack the sanitizers' runtimes, which distributions
 * leave out, and the sources of the standard library, which must be compiled
 * for ThreadSanitizer and for other systems as well. Debian has both as
 * packages: apt downloads them, and they are unpacked beside the build, without
 * root and without touching the machine's own Rust.
 *
 * @module
 */

import { Failure } from "./command_line.ts";
import {
  cratePath,
  type Environment,
  hasProgram,
  namesIn,
  outputOf,
  run,
  step,
} from "./programs.ts";

/** Where the tools are unpacked. */
const TOOLS = cratePath("target/debian-rust");
const PROVIDE = ["sh", cratePath("../scripts/debian_rust.sh"), TOOLS];
/** The names that rustc and LLVM have for the runtimes of sanitizers. */
const RUNTIMES = { address: "asan", thread: "tsan" } as const;
/** Names and lines in reports: Debian's runtimes would ask a program of LLVM's,
 * and binutils is installed wherever there is a linker. */
const SYMBOLIZER = "external_symbolizer_path=/usr/bin/addr2line";

/** A sanitizer, as rustc calls it. */
export type Sanitizer = keyof typeof RUNTIMES;

/** A compiler. */
export interface Toolchain {
  /** Its program and version, for messages. */
  readonly name: string;
  /** The machine that it runs on and compiles for. */
  readonly host: string;
  /** Makes cargo use it, with unstable features. */
  readonly env: Environment;
}

/**
 * Returns the compiler on PATH if it can build for a sanitizer, otherwise
 * Debian's.
 *
 * @throws {Failure} when there is none, with what is missing and how to get it.
 */
export function findToolchain(
  sanitizer: Sanitizer,
  needsSource: boolean,
): Toolchain {
  const installed = toolchainAt("rustc", {});
  if (installed === undefined) {
    throw new Failure(
      "Cannot build: there is no rustc on PATH; " +
        "get Rust 1.85 or newer from https://rustup.rs",
    );
  }
  const lacking = missingFrom(installed, sanitizer, needsSource);
  if (lacking === undefined) return installed;
  if (obstacle(Deno.build.os, hasProgram) !== undefined) {
    throw new Failure(
      `Cannot use -Zsanitizer=${sanitizer}: ${installed.name} ${lacking}`,
    );
  }
  return debianToolchain();
}

/**
 * Returns Debian's compiler, which is downloaded the first time.
 *
 * @throws {Failure} when it cannot be had here.
 */
export function debianToolchain(): Toolchain {
  if (namesIn(`${TOOLS}/usr/bin`).includes("cargo-clippy")) return unpacked();
  const why = obstacle(Deno.build.os, hasProgram);
  if (why !== undefined) throw new Failure(why);
  const name = "Debian's Rust, about 150 MB";
  if (!step(name, () => run(PROVIDE))) {
    throw new Failure(`${name} failed, see above`);
  }
  return unpacked();
}

function unpacked(): Toolchain {
  const toolchain = toolchainAt(`${TOOLS}/usr/bin/rustc`, {
    CARGO: `${TOOLS}/usr/bin/cargo`,
    LD_LIBRARY_PATH: `${TOOLS}/usr/lib/${Deno.build.arch}-linux-gnu/`,
    ASAN_OPTIONS: SYMBOLIZER,
    TSAN_OPTIONS: SYMBOLIZER,
  });
  if (toolchain !== undefined) return toolchain;
  throw new Failure(`Cannot run ${TOOLS}/usr/bin/rustc: delete ${TOOLS}`);
}

function toolchainAt(rustc: string, env: Environment): Toolchain | undefined {
  const said = outputOf([rustc, "-vV"], env);
  if (said === undefined) return undefined;
  const field = (name: string) =>
    new RegExp(`^${name}: (.+)$`, "m").exec(said)?.[1] ?? "";
  return {
    name: `${rustc} ${field("release")}`,
    host: field("host"),
    // The first variable allows unstable features to a stable compiler.
    env: { ...env, RUSTC_BOOTSTRAP: "1", RUSTC: rustc },
  };
}

/** Returns what a compiler lacks, as words behind its name. */
function missingFrom(
  { host, env }: Toolchain,
  sanitizer: Sanitizer,
  needsSource: boolean,
): string | undefined {
  const sysroot = outputOf([env.RUSTC!, "--print", "sysroot"], env)?.trim();
  const library = `${sysroot}/lib/rustlib`;
  const runtime = new RegExp(`^librustc.*_rt\\.${RUNTIMES[sanitizer]}\\.`);
  if (!namesIn(`${library}/${host}/lib`).some((name) => runtime.test(name))) {
    return "has no runtime for it; get a compiler that has from " +
      "https://rustup.rs";
  }
  const sources = namesIn(`${library}/src/rust/library`);
  if (!needsSource || sources.includes("Cargo.lock")) return undefined;
  return "has no sources of the standard library; get them with " +
    '"rustup component add rust-src"';
}

/** Returns why Debian's tools cannot be had, and what to do about it. */
export function obstacle(
  os: typeof Deno.build.os,
  has: (program: string) => boolean,
): string | undefined {
  if (os === "darwin" || os === "freebsd") {
    return 'This system has kqueue itself: "deno task test" checks it';
  }
  const missing = ["apt-get", "dpkg-deb"].filter((program) => !has(program));
  if (missing.length === 0) return undefined;
  return `Cannot get the tools without ${missing.join(" and ")}: run this on ` +
    "Debian 12, in a container, say";
}
