/**
 * Fuzzes the native code: `deno task fuzz --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { Failure, runProgram } from "./command_line.ts";
import { type FuzzOptions, HELP, parseFuzzOptions } from "./fuzz/options.ts";
import {
  MANIFEST,
  namesIn,
  OUTPUT,
  type Places,
  placesOf,
  targetNames,
} from "./fuzz/places.ts";
import {
  findToolchain,
  isThere,
  type Toolchain,
} from "./sanitize/toolchain.ts";

/** Longer inputs find nothing that shorter ones do not, and slowly. */
const INPUT_BYTES_MAX = 4096;
/** A single input takes microseconds: what takes this long hangs. */
const INPUT_SECONDS_MAX = 10;
/** How much of libFuzzer's log to show when something was found. */
const LOG_LINES = 40;

/** What cargo-fuzz passes: where branches are, what is compared, and faults
 * that a release build would let pass. */
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

/** Fuzzes one target after the other, and returns the exit code. */
async function fuzz(
  { targets, seconds, keep }: FuzzOptions,
): Promise<number> {
  expectCompilerOfCxx();
  const toolchain = await findToolchain({
    sanitizer: "address",
    source: false,
  });
  console.log(`--- building with ${toolchain.name}`);
  build(toolchain);
  const failed = targets.filter((target) => {
    const program = `${OUTPUT}/${toolchain.host}/release/${target}`;
    const places = placesOf(target);
    if (!run({ target, program, places, seconds })) return true;
    if (keep) rewriteCorpus({ target, program, places });
    return false;
  });
  return failed.length === 0 ? 0 : 1;
}

/** libFuzzer is C++, compiled by whatever the `cc` crate finds. */
function expectCompilerOfCxx(): void {
  const compiler = Deno.env.get("CXX") ?? "c++";
  if (isThere(compiler)) return;
  throw new Failure(
    `Cannot build libFuzzer: there is no C++ compiler "${compiler}"; ` +
      'get one with "apt-get install g++", or name one in CXX',
  );
}

function build({ host, env }: Toolchain): void {
  const { success } = new Deno.Command("cargo", {
    args: [
      "build",
      "--release",
      "--locked",
      "--manifest-path",
      MANIFEST,
      "--target-dir",
      OUTPUT,
      // Named, so that build scripts are compiled without all this.
      "--target",
      host,
    ],
    env: { ...env, RUSTFLAGS },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  if (!success) throw new Failure("Cannot build: cargo failed, see above");
}

/** A target that is built. */
interface Built {
  readonly target: string;
  readonly program: string;
  readonly places: Places;
}

/** Runs a target for a while, and returns whether all went well. */
function run(
  { target, program, places, seconds }: Built & { seconds: number },
): boolean {
  for (const folder of [places.corpus, places.found, places.artifacts]) {
    Deno.mkdirSync(folder, { recursive: true });
  }
  const earlier = namesIn(places.artifacts);
  const known = namesIn(places.found).length;
  const { success, said } = libFuzzer(program, [
    // What is found goes into the first.
    places.found,
    places.corpus,
    `-artifact_prefix=${places.artifacts}/`,
    `-max_total_time=${seconds}`,
    `-max_len=${INPUT_BYTES_MAX}`,
    `-timeout=${INPUT_SECONDS_MAX}`,
    "-print_final_stats=1",
  ]);
  Deno.writeTextFileSync(places.log, said);
  if (success) {
    const runs = /^Done (\d+ runs in \d+ second)/m.exec(said)?.[1] ?? "no runs";
    const count = namesIn(places.found).length - known;
    console.log(`--- ${target}: ok, ${runs}s, ${count} inputs cover more`);
    return true;
  }
  console.error(said.trimEnd().split("\n").slice(-LOG_LINES).join("\n"));
  console.error(`error: ${target} failed, its whole log is ${places.log}`);
  const broken = namesIn(places.artifacts)
    .filter((name) => !earlier.includes(name));
  for (const name of broken) {
    console.error(`Run it again: ${program} ${places.artifacts}/${name}`);
  }
  return false;
}

/** Puts the fewest inputs that cover as much into the corpus. */
function rewriteCorpus({ target, program, places }: Built): void {
  Deno.mkdirSync(places.smaller, { recursive: true });
  for (const name of namesIn(places.smaller)) {
    Deno.removeSync(`${places.smaller}/${name}`);
  }
  const { success, said } = libFuzzer(program, [
    "-set_cover_merge=1",
    // Where it has been, not how often: else thousands are the fewest.
    "-use_counters=0",
    places.smaller,
    places.corpus,
    places.found,
  ]);
  if (!success) throw new Failure(`Cannot make the corpus smaller: ${said}`);
  const kept = namesIn(places.smaller);
  for (const name of namesIn(places.corpus)) {
    Deno.removeSync(`${places.corpus}/${name}`);
  }
  for (const name of kept) {
    Deno.copyFileSync(
      `${places.smaller}/${name}`,
      `${places.corpus}/${name}`,
    );
  }
  console.log(`--- ${target}: ${kept.length} inputs in ${places.corpus}`);
}

function libFuzzer(
  program: string,
  args: string[],
): { success: boolean; said: string } {
  const { success, stderr } = new Deno.Command(program, {
    args,
    cwd: OUTPUT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).outputSync();
  return { success, said: new TextDecoder().decode(stderr) };
}

if (import.meta.main) {
  await runProgram(() => {
    const options = parseFuzzOptions(Deno.args, targetNames());
    if (!options.help) return fuzz(options);
    console.log(HELP);
    return Promise.resolve(0);
  });
}
