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
  isThere,
  namesIn,
  outputOf,
  run,
  step,
} from "./programs.ts";

/** Where the tools are unpacked. */
const TOOLS = cratePath("target/debian-rust");
/** The packages: apt knows their dependencies and versions. */
const PACKAGES = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"];
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
  if (obstacle(Deno.build.os, isThere) !== undefined) {
    const help = lacking.includes("sources")
      ? 'get them with "rustup component add rust-src"'
      : "get a compiler that has from https://rustup.rs";
    throw new Failure(
      `Cannot use -Zsanitizer=${sanitizer}: ${installed.name} ${lacking}; ` +
        help,
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
  const why = obstacle(Deno.build.os, isThere);
  if (why !== undefined) throw new Failure(why);
  const name = "Debian's Rust, about 150 MB";
  if (!step(name, provide)) throw new Failure(`${name} failed, see above`);
  return unpacked();
}

function unpacked(): Toolchain {
  const libraries = namesIn(`${TOOLS}/usr/lib`)
    .find((name) => name.endsWith("-linux-gnu"));
  const toolchain = toolchainAt(`${TOOLS}/usr/bin/rustc`, {
    CARGO: `${TOOLS}/usr/bin/cargo`,
    LD_LIBRARY_PATH: `${TOOLS}/usr/lib/${libraries}/`,
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
    return `has no runtime for -Zsanitizer=${sanitizer}`;
  }
  const sources = namesIn(`${library}/src/rust/library`);
  if (!needsSource || sources.includes("Cargo.lock")) return undefined;
  return "has no sources of the standard library";
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

/** Downloads and unpacks the tools, all or nothing. */
function provide(): boolean {
  const [unfinished, downloads] = [`${TOOLS}.new`, `${TOOLS}.apt`];
  run(["rm", "-rf", TOOLS, unfinished, downloads]);
  for (const path of ["lists/partial", "archives/partial"]) {
    Deno.mkdirSync(`${downloads}/${path}`, { recursive: true });
  }
  Deno.mkdirSync(unfinished, { recursive: true });
  const status = Deno.readTextFileSync("/var/lib/dpkg/status");
  Deno.writeTextFileSync(`${downloads}/status`, withoutRust(status));
  const install = ["install", "--yes", "--no-install-recommends"];
  const get = (names: string[]) =>
    run(aptCommand(downloads, [...install, "--download-only", ...names]));
  // The machine's lists may be old or none, so that apt gets its own.
  if (!run(aptCommand(downloads, ["update"])) || !get(PACKAGES)) return false;
  const archives = `${downloads}/archives`;
  if (!get([...PACKAGES, runtimesFor(namesIn(archives))])) return false;
  const packages = namesIn(archives).filter((name) => name.endsWith(".deb"));
  if (!packages.every((each) => unpack(`${archives}/${each}`, unfinished))) {
    return false;
  }
  addRuntimes(unfinished);
  Deno.renameSync(unfinished, TOOLS);
  return run(["rm", "-rf", downloads]);
}

/**
 * Returns apt's record of installed packages, as if no Rust were installed: the
 * machine's own Rust must not be used.
 */
export function withoutRust(status: string): string {
  const isRust = /^Package: \S*(?:rust|cargo)/;
  return status.split(/\n\n+/).filter((text) => !isRust.test(text))
    .join("\n\n");
}

/** Returns an apt command that keeps all it writes in `folder`. */
export function aptCommand(folder: string, args: string[]): string[] {
  const options = [
    `Dir::State=${folder}`,
    `Dir::State::status=${folder}/status`,
    `Dir::Cache=${folder}`,
    // Its locks are for the machine's own folders.
    "Debug::NoLocking=1",
    // The user that apt changes to may not be allowed to read this folder.
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
    "Acquire::Retries=3",
  ];
  const flags = options.flatMap((option) => ["-o", option]);
  return ["apt-get", "-qq", ...flags, ...args];
}

/**
 * Returns the package that has the runtimes of the LLVM among `archives`.
 *
 * @throws {Failure} when there is none.
 */
export function runtimesFor(archives: readonly string[]): string {
  const version = /^libllvm(\d+)_/m.exec(archives.join("\n"))?.[1];
  if (version !== undefined) return `libclang-rt-${version}-dev`;
  throw new Failure("Cannot find out which LLVM Debian's Rust is made with");
}

/** Of the sources only the library is needed: the rest is ten times as much. */
function unpack(file: string, to: string): boolean {
  if (!file.includes("/rust-web-src_")) {
    return run(["dpkg-deb", "-x", file, to]);
  }
  const script = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --directory ' +
    '"$2" --wildcards "./usr/src/*/library" ./usr/lib/rustlib';
  return run(["sh", "-ec", script, "sh", file, to]);
}

/** Puts runtimes where rustc looks for them, under the names it knows. */
function addRuntimes(root: string): void {
  const llvm = namesIn(`${root}/usr/lib`)
    .find((name) => name.startsWith("llvm-"));
  const version = llvm?.replace("llvm-", "");
  const from = `${root}/usr/lib/${llvm}/lib/clang/${version}/lib/linux`;
  const to = `${root}/usr/lib/rustlib/${Deno.build.target}/lib`;
  for (const runtime of Object.values(RUNTIMES)) {
    Deno.copyFileSync(
      `${from}/libclang_rt.${runtime}-${Deno.build.arch}.a`,
      `${to}/librustc-stable_rt.${runtime}.a`,
    );
  }
}
