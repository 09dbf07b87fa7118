/**
 * Fuzzes the native code: `deno task fuzz --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import {
  chosenFrom,
  Failure,
  readOptions,
  runProgram,
} from "./command_line.ts";
import { cratePath, hasProgram, namesIn, run } from "./programs.ts";
import { findToolchain, type Toolchain } from "./toolchain.ts";

const HELP =
  `Feed the native code what libFuzzer makes up, and check what must hold.

Usage: deno task fuzz [TARGET...] [OPTIONS]

  TARGET  A file of native/fuzz/fuzz_targets: http1_head, source_table,
          websocket_deflate, websocket_frames. All of them when none is named.

Options:
      --seconds N  How long for each [20]
      --keep       Then write native/fuzz/corpus anew: what it has and what was
                   found, less what covers nothing more
  -h, --help       Print this

It starts from native/fuzz/corpus, and from what earlier runs have found. An
input that breaks something is left in native/target/fuzz/artifacts, and how to
run it again is said. Needed is a rustc as for "deno task sanitize address", and
a C++ compiler for libFuzzer. With cargo-fuzz installed, "cargo fuzz run
http1_head" in native/ does the same.

Examples:
  deno task fuzz
  deno task fuzz http1_head --seconds 600 --keep

Exit codes: 0 nothing was found, 1 something was or it cannot run, 2 bad usage.`;

const DEFAULTS = { seconds: 20, keep: false };
/** The folder for all that cargo builds and a run leaves. */
const OUTPUT = cratePath("target/fuzz");
/** Longer inputs find nothing that shorter ones do not, and slowly. */
const INPUT_BYTES_MAX = 4096;
/** An input takes microseconds: one that takes this long hangs. */
const INPUT_SECONDS_MAX = 10;
/** How much of libFuzzer's log to show when something was found. */
const LOG_LINES = 40;

/** As cargo-fuzz has them: they count branches, follow comparisons, and find
 * faults that a release build would let pass. */
const RUSTFLAGS = [
  "-Cpasses=sancov-module",
  "-Cllvm-args=-sanitizer-coverage-level=4",
  "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
  "-Cllvm-args=-sanitizer-coverage-pc-table",
  "-Cllvm-args=-sanitizer-coverage-trace-compares",
  "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
  "--cfg=fuzzing",
  "-Zsanitizer=address",
  "-Ccodegen-units=1",
  "-Cdebug-assertions",
].join(" ");

/** Returns the names of all targets. */
export function targetNames(): string[] {
  return namesIn(cratePath("fuzz/fuzz_targets"))
    .map((name) => name.replace(/\.rs$/, ""));
}

/** Returns the folder of the inputs that are kept with the sources. */
export function corpusOf(target: string): string {
  return cratePath(`fuzz/corpus/${target}`);
}

function build({ host, env }: Toolchain): void {
  const isBuilt = run([
    ...["cargo", "build", "--release", "--locked"],
    ...["--manifest-path", cratePath("fuzz/Cargo.toml")],
    // The target is named, so that build scripts are compiled without all this.
    ...["--target-dir", OUTPUT, "--target", host],
  ], { ...env, RUSTFLAGS });
  if (!isBuilt) throw new Failure("Cannot build: cargo failed, see above");
}

/** Runs a target for a while; returns whether it found nothing. */
function fuzz(program: string, target: string, seconds: number): boolean {
  const corpus = corpusOf(target);
  const found = folderAt(`${OUTPUT}/corpus/${target}`);
  const artifacts = folderAt(`${OUTPUT}/artifacts/${target}`);
  const [earlier, known] = [namesIn(artifacts), namesIn(found).length];
  const { success, said } = libFuzzer(program, [
    // libFuzzer writes new inputs into the first folder.
    ...[found, corpus],
    `-artifact_prefix=${artifacts}/`,
    `-max_total_time=${seconds}`,
    `-max_len=${INPUT_BYTES_MAX}`,
    `-timeout=${INPUT_SECONDS_MAX}`,
    "-print_final_stats=1",
  ]);
  const log = `${OUTPUT}/${target}.log`;
  Deno.writeTextFileSync(log, said);
  if (success) {
    const runs = /^Done (\d+ runs in \d+ second)/m.exec(said)?.[1] ?? "no runs";
    const count = namesIn(found).length - known;
    console.log(`--- ${target}: ok, ${runs}s, ${count} inputs cover more`);
    return true;
  }
  console.error(said.trimEnd().split("\n").slice(-LOG_LINES).join("\n"));
  console.error(`error: ${target} failed, its whole log is ${log}`);
  for (const name of namesIn(artifacts)) {
    if (earlier.includes(name)) continue;
    console.error(`Run it again: ${program} ${artifacts}/${name}`);
  }
  return false;
}

/** Puts the fewest inputs that cover as much into the corpus. */
function keep(program: string, target: string): void {
  const corpus = corpusOf(target);
  const smaller = `${OUTPUT}/smaller`;
  run(["rm", "-rf", smaller]);
  const { success, said } = libFuzzer(program, [
    "-set_cover_merge=1",
    // Where an input has been, not how often, or thousands would be the fewest.
    "-use_counters=0",
    ...[folderAt(smaller), corpus, `${OUTPUT}/corpus/${target}`],
  ]);
  if (!success) throw new Failure(`Cannot make the corpus smaller: ${said}`);
  run(["rm", "-rf", corpus]);
  Deno.renameSync(smaller, corpus);
  console.log(`--- ${target}: ${namesIn(corpus).length} inputs in ${corpus}`);
}

function libFuzzer(program: string, args: string[]) {
  const { success, stderr } = new Deno.Command(program, {
    args,
    cwd: OUTPUT,
    stdin: "null",
    stdout: "null",
  }).outputSync();
  return { success, said: new TextDecoder().decode(stderr) };
}

/** Makes a folder, unless it is there, and returns it. */
function folderAt(path: string): string {
  Deno.mkdirSync(path, { recursive: true });
  return path;
}

function main(): number {
  const { options, words } = readOptions(Deno.args, DEFAULTS);
  const targets = chosenFrom(targetNames(), words, "fuzz target");
  // libFuzzer is C++, compiled by whatever the `cc` crate finds.
  const compiler = Deno.env.get("CXX") ?? "c++";
  if (!hasProgram(compiler)) {
    throw new Failure(
      `Cannot build libFuzzer: there is no C++ compiler "${compiler}"; ` +
        'get one with "apt-get install g++", or name one in CXX',
    );
  }
  const toolchain = findToolchain("address", false);
  console.log(`--- building with ${toolchain.name}`);
  build(toolchain);
  const failed = targets.filter((target) => {
    const program = `${OUTPUT}/${toolchain.host}/release/${target}`;
    if (!fuzz(program, target, options.seconds)) return true;
    if (options.keep) keep(program, target);
    return false;
  });
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) await runProgram(main, HELP);
