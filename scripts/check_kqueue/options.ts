/**
 * The command line of `deno task check:kqueue`.
 *
 * @module
 */

import { parseWords, UsageError } from "../command_line.ts";

/** The systems that the kqueue code is checked for, as Rust names them. */
export const TARGETS = [
  "aarch64-apple-darwin",
  "x86_64-apple-darwin",
  "x86_64-unknown-freebsd",
] as const;

/** One of them. */
export type Target = typeof TARGETS[number];

/** What the command line asks for. */
export interface CheckOptions {
  /** What to check for. */
  readonly targets: readonly Target[];
  /** Whether to explain instead. */
  readonly help: boolean;
}

/** What `--help` prints. */
export const HELP =
  `Check the native crate for systems with kqueue, on a Debian without one.

Usage: deno task check:kqueue [TARGET...]

Targets, all of them when none is named, up to the first that fails:
  ${TARGETS.join("\n  ")}

For each target the whole crate, with its tests and examples, goes through
clippy, every warning an error. That takes the target's standard library, which
is built from its sources. Debian 12 has those, and a compiler of the same
version: rustc-web, cargo-web, rust-web-src and rust-web-clippy. apt downloads
them, about 150 MB, and they are unpacked, about 900 MB, into
native/target/kqueue-toolchain. Nothing is installed: that needs no root, and
leaves the machine's own Rust alone. What is unpacked is used again; delete the
folder to get what is newest.

What passes has no type error there, and the sizes and constants of kevent(2)
are what the code takes them for. Nothing is run: for that take a Mac or FreeBSD
and "deno task test".

Examples:
  deno task check:kqueue                         Every target
  deno task check:kqueue aarch64-apple-darwin    One

Exit codes: 0 all is well, 1 a check failed or cannot be made, 2 bad usage.`;

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it cannot be meant.
 */
export function parseCheckOptions(args: string[]): CheckOptions {
  const { values, positionals } = parseWords({
    args,
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h", default: false } },
  });
  const isAll = positionals.length === 0;
  return {
    targets: isAll ? TARGETS : positionals.map(targetOf),
    help: values.help,
  };
}

function targetOf(word: string): Target {
  const target = TARGETS.find((target) => target === word);
  if (target !== undefined) return target;
  throw new UsageError(
    `Cannot check for "${word}": there are ${TARGETS.join(", ")}`,
  );
}
