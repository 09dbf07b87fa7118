/**
 * The command that checks the crate for a system that this one is not.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Command } from "../debian_rust/command.ts";
import type { Target } from "./options.ts";

/** Where things are, each a URL. */
export interface Places {
  /** The crate's manifest. */
  readonly manifest: URL;
  /** Where the tools are unpacked, with a slash at the end. */
  readonly toolchain: URL;
  /** The folder of the tools' shared libraries. */
  readonly libraries: URL;
  /** Where to build: neither the library nor its tests are in the way. */
  readonly build: URL;
}

/** What of Rust's sources is built for a target; tests need the last. */
const STD = ["std", "panic_abort", "test"];

/** Returns the command that checks the crate for a target. */
export function clippyCommand(
  { manifest, toolchain, libraries, build }: Places,
  target: Target,
): Command {
  const bin = fileURLToPath(new URL("usr/bin/", toolchain));
  const args = [
    "clippy",
    "--locked",
    "--all-targets",
    "--manifest-path",
    fileURLToPath(manifest),
    "--target",
    target,
    "--target-dir",
    fileURLToPath(build),
    `-Zbuild-std=${STD.join(",")}`,
    "--",
    "-D",
    "warnings",
  ];
  const env = {
    CARGO: `${bin}cargo`,
    RUSTC: `${bin}rustc`,
    LD_LIBRARY_PATH: fileURLToPath(libraries),
    // Building the standard library is for a nightly Rust, otherwise.
    RUSTC_BOOTSTRAP: "1",
    // Nobody will debug what never runs.
    CARGO_PROFILE_DEV_DEBUG: "0",
  };
  // Not by "cargo clippy", which would prefer the one of the user's own folder.
  return { program: `${bin}cargo-clippy`, args, env };
}
