/**
 * Checks the code for kqueue from a system that has none:
 * `deno task check:kqueue --help`.
 *
 * @module
 */

import { chosenFrom, readOptions, runProgram } from "./command_line.ts";
import { cratePath, run, step } from "./programs.ts";
import { debianToolchain } from "./toolchain.ts";

/** The systems that the kqueue code is checked for, as Rust names them. */
const TARGETS = [
  "aarch64-apple-darwin",
  "x86_64-apple-darwin",
  "x86_64-unknown-freebsd",
];

const HELP =
  `Check the native crate for systems with kqueue, on a Debian without one.

Usage: deno task check:kqueue [TARGET...]

Targets, all of them when none is named:
  ${TARGETS.join("\n  ")}

For each target the whole crate, with its tests and examples, goes through
clippy, every warning an error. That takes the target's standard library, which
is built from its sources. Debian 12 has those, and a compiler of the same
version: rustc-web, cargo-web, rust-web-src and rust-web-clippy. apt downloads
them, about 150 MB, and they are unpacked, about 900 MB, into
native/target/debian-rust. Nothing is installed: that needs no root, and leaves
the machine's own Rust alone. What is unpacked is used again; delete the folder
to get what is newest.

What passes has no type error there, and the sizes and constants of kevent(2)
are what the code takes them for. Nothing is run: for that take a Mac or FreeBSD
and "deno task test".

Exit codes: 0 all is well, 1 a check failed or cannot be made, 2 bad usage.`;

function main(): number {
  const { words } = readOptions(Deno.args, {});
  const targets = chosenFrom(TARGETS, words, "check for");
  const { env } = debianToolchain();
  const isClean = step(targets.join(", "), () =>
    run([
      // "cargo clippy" would prefer the one of the user's own folder.
      `${env.CARGO}-clippy`,
      ...["clippy", "--locked", "--workspace", "--all-targets"],
      ...targets.flatMap((target) => ["--target", target]),
      ...["--manifest-path", cratePath("Cargo.toml")],
      ...["--target-dir", cratePath("target/kqueue")],
      // The last is for tests; backtraces would take crates of their own.
      "-Zbuild-std=std,panic_abort,test",
      "-Zbuild-std-features=panic-unwind",
      ...["--", "-D", "warnings"],
      // The result never runs. Cargo makes machine code of the standard library
      // even for a check, which takes as long as all the rest.
    ], { ...env, CARGO_PROFILE_DEV_DEBUG: "0", RUSTFLAGS: "-Zno-codegen" }));
  return isClean ? 0 : 1;
}

if (import.meta.main) await runProgram(main, HELP);
