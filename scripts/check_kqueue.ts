/**
 * Checks the code for kqueue from a system that has none:
 * `deno task check:kqueue --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { clippyCommand, type Places } from "./check_kqueue/clippy.ts";
import { HELP, parseCheckOptions } from "./check_kqueue/options.ts";
import { runProgram } from "./command_line.ts";
import { run, step } from "./debian_rust/command.ts";
import {
  librariesOf,
  provideToolchain,
  TOOLCHAIN,
} from "./debian_rust/toolchain.ts";

const CRATE = new URL("../native/", import.meta.url);

/** Returns where things are, the tools unpacked. */
function places(): Places {
  return {
    manifest: new URL("Cargo.toml", CRATE),
    toolchain: TOOLCHAIN,
    libraries: librariesOf(TOOLCHAIN),
    build: new URL("target/kqueue/", CRATE),
  };
}

async function main(): Promise<number> {
  const { targets, help } = parseCheckOptions(Deno.args);
  if (help) {
    console.log(HELP);
    return 0;
  }
  await provideToolchain();
  for (const target of targets) {
    await step(target, () => run(clippyCommand(places(), target)));
  }
  console.log(`\nNo type error and no warning for ${targets.join(", ")}`);
  return 0;
}

if (import.meta.main) await runProgram(main);
