/**
 * Runs the Rust tests under sanitizers: `deno task sanitize --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { chosenFrom, readOptions, runProgram } from "./command_line.ts";
import { cratePath, run, step } from "./programs.ts";
import { findToolchain, type Sanitizer } from "./toolchain.ts";

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

/**
 * Packages whose tests call no unsafe code of ours: programs with many
 * dependencies, and the wire of WebSocket, which the fuzz targets run under
 * AddressSanitizer.
 */
const TOOLS = ["denio-lab", "denio-load", "denio-websocket"];
/**
 * Tests of thousands of cases that find no fault of memory and no race: what
 * they call is safe code of one thread.
 */
const PURE = "_plan::properties::";

const DEFAULTS = { test: [], calls: 10_000 };

/** Runs the tests under one sanitizer; returns whether it found nothing. */
function sanitize(
  sanitizer: Sanitizer,
  { test, calls }: { test: readonly string[]; calls: number },
): boolean {
  // ThreadSanitizer must know the locks of the standard library: otherwise it
  // reports races that do not exist.
  const buildsStd = sanitizer === "thread";
  const { name, host, env } = findToolchain(sanitizer, buildsStd);
  console.log(`with ${name}`);
  const command = [
    ...["cargo", "test", "--locked", "--no-fail-fast"],
    ...["--manifest-path", cratePath("Cargo.toml")],
    ...["--target-dir", cratePath(`target/sanitize-${sanitizer}`)],
    // Named, so that build scripts are compiled without the sanitizer.
    ...["--target", host],
    ...buildsStd ? ["-Zbuild-std"] : [],
    ...["--workspace", ...TOOLS.flatMap((name) => ["--exclude", name])],
    // Without doctests: the linker would want the runtime for them as well.
    ...test.length === 0
      ? ["--tests"]
      : test.flatMap((file) => ["--test", file]),
    ...["--", "--skip", PURE],
  ];
  return run(command, {
    ...env,
    RUSTFLAGS: `-Zsanitizer=${sanitizer}`,
    DENIO_FUZZ_CALLS: `${calls}`,
  });
}

function main(): number {
  const { options, words } = readOptions(Deno.args, DEFAULTS);
  const all = ["address", "thread"] as const;
  const sanitizers = chosenFrom(all, words, "use sanitizer");
  const failed = sanitizers.filter((sanitizer) =>
    !step(sanitizer, () => sanitize(sanitizer, options))
  );
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) await runProgram(main, HELP);
