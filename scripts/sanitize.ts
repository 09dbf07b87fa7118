/**
 * Runs the Rust tests under sanitizers: `deno task sanitize --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { fileURLToPath } from "node:url";
import {
  countOf,
  Failure,
  parseWords,
  runProgram,
  UsageError,
} from "./command_line.ts";
import {
  findToolchain,
  type Sanitizer,
  type Toolchain,
} from "./sanitize/toolchain.ts";

const CRATE = new URL("../native/", import.meta.url);
const MS_PER_SECOND = 1000;

/** How each is built. ThreadSanitizer has to know the standard library's
 * locks: where that is not compiled for it, it tells of races that are none. */
const SANITIZERS: Readonly<Record<Sanitizer, { buildsStd: boolean }>> = {
  address: { buildsStd: false },
  thread: { buildsStd: true },
};
const NAMES = Object.keys(SANITIZERS) as Sanitizer[];

const HELP = `Run the Rust tests under AddressSanitizer and ThreadSanitizer.

Usage: deno task sanitize [SANITIZER...] [OPTIONS]

  SANITIZER  address: memory used after it was freed, or beyond its end, or
             never freed. thread: races between threads. Both when none is
             named.

Options:
      --test NAME  Only this file of a folder tests in native; may be said again
      --calls N    Steps that each thread of the fuzz tests takes [10000]
  -h, --help       Print this

Needed is a rustc with the sanitizers' runtimes, as rustup's, and for "thread"
the sources of the standard library: "rustup component add rust-src". Where the
one on PATH lacks either, Debian's packages are unpacked into
native/target/debian-rust (a download of 140 MB, no root needed).

Examples:
  deno task sanitize
  deno task sanitize thread --test abi_fuzz --calls 1000000

Exit codes: 0 nothing was found, 1 something was or a sanitizer cannot run, 2
bad usage.`;

interface Options {
  readonly sanitizers: readonly Sanitizer[];
  readonly tests: readonly string[];
  readonly calls: number;
  readonly help: boolean;
}

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it cannot be meant.
 */
export function parseSanitizeOptions(args: string[]): Options {
  const { values, positionals } = parseWords({
    args,
    allowPositionals: true,
    options: {
      test: { type: "string", multiple: true, default: [] },
      calls: { type: "string", default: "10000" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const unknown = positionals.find((name) => !NAMES.some((is) => is === name));
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot use sanitizer "${unknown}": there are ${NAMES.join(", ")}`,
    );
  }
  return {
    sanitizers: positionals.length === 0
      ? NAMES
      : NAMES.filter((name) => positionals.includes(name)),
    tests: values.test,
    calls: countOf("--calls", values.calls),
    help: values.help,
  };
}

/** Runs one after the other, and returns the exit code. */
async function sanitize(
  { sanitizers, tests, calls }: Options,
): Promise<number> {
  let failed = 0;
  for (const sanitizer of sanitizers) {
    const startMs = performance.now();
    const verdict = await run(sanitizer, tests, calls);
    const seconds = (performance.now() - startMs) / MS_PER_SECOND;
    console.log(`--- ${sanitizer}: ${verdict}, ${seconds.toFixed(1)} s`);
    if (verdict !== "ok") failed++;
  }
  return failed === 0 ? 0 : 1;
}

/** Runs the tests under one sanitizer, and returns how that went. */
async function run(
  sanitizer: Sanitizer,
  tests: readonly string[],
  calls: number,
): Promise<"ok" | "FAILED" | "CANNOT RUN"> {
  const { buildsStd } = SANITIZERS[sanitizer];
  try {
    const toolchain = await findToolchain({ sanitizer, source: buildsStd });
    console.log(`\n--- ${sanitizer}: with ${toolchain.name}`);
    return cargoTest(sanitizer, toolchain, { tests, calls }) ? "ok" : "FAILED";
  } catch (error) {
    // The other one may well run.
    if (!(error instanceof Failure)) throw error;
    console.error(`error: ${error.message}`);
    return "CANNOT RUN";
  }
}

function cargoTest(
  sanitizer: Sanitizer,
  { host, env }: Toolchain,
  { tests, calls }: Pick<Options, "tests" | "calls">,
): boolean {
  const target = new URL(`target/sanitize-${sanitizer}/`, CRATE);
  const { success } = new Deno.Command("cargo", {
    args: [
      "test",
      "--locked",
      "--no-fail-fast",
      "--manifest-path",
      fileURLToPath(new URL("Cargo.toml", CRATE)),
      "--target-dir",
      fileURLToPath(target),
      // Named, so that build scripts are compiled without the sanitizer.
      "--target",
      host,
      ...SANITIZERS[sanitizer].buildsStd ? ["-Zbuild-std"] : [],
      // Without doctests: the linker would want the runtime for them as well.
      ...tests.length === 0
        ? ["--tests"]
        : tests.flatMap((name) => ["--test", name]),
    ],
    env: {
      ...env,
      RUSTFLAGS: `-Zsanitizer=${sanitizer}`,
      // The lines that reports name. More takes much longer to build.
      CARGO_PROFILE_DEV_DEBUG: "line-tables-only",
      DENIO_FUZZ_CALLS: String(calls),
    },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  return success;
}

if (import.meta.main) {
  await runProgram(() => {
    const options = parseSanitizeOptions(Deno.args);
    if (!options.help) return sanitize(options);
    console.log(HELP);
    return Promise.resolve(0);
  });
}
