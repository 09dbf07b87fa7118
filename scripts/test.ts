/**
 * Builds what is missing and checks everything, in steps:
 * `deno task test --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { Failure, parseWords, runProgram, UsageError } from "./command_line.ts";
import { type Counts, countsIn, sumOf } from "./test/counts.ts";
import { type CargoPart, type Step, STEPS } from "./test/steps.ts";

const ROOT = new URL("../", import.meta.url);
const MS_PER_SECOND = 1000;
const NAMES = STEPS.map(({ name }) => name);
const NAME_WIDTH = Math.max(...NAMES.map((name) => name.length)) + 2;

const HELP = `Build what is missing and check everything.

Usage: deno task test [STEP...]

Steps, all of them when none is named, up to the first that fails:
${
  STEPS.map((step) => `  ${step.name.padEnd(NAME_WIDTH)}${shownCommand(step)}`)
    .join("\n")
}

Clippy and rustfmt are left out where they are not installed, unless CI=true.

The last line counts the tests that Deno ran, those in doc comments among them:
"N passed, N failed". Exit codes: 0 all is well, 1 a step failed, 2 bad usage.`;

/** Runs steps until one fails, and returns the exit code. */
async function runSteps(steps: readonly Step[]): Promise<number> {
  const counts: Counts[] = [];
  let failed: string | undefined;
  for (const step of steps) {
    console.log(`\n--- ${step.name}: ${shownCommand(step)}`);
    if (step.needs !== undefined && !isInstalled(step.needs)) {
      complain(step.needs);
      continue;
    }
    const startMs = performance.now();
    const { success, output } = await run(step);
    const seconds = (performance.now() - startMs) / MS_PER_SECOND;
    const verdict = success ? "ok" : "FAILED";
    console.log(`--- ${step.name}: ${verdict}, ${seconds.toFixed(1)} s`);
    if (step.counts === "deno") counts.push(countsIn(output, step.counts));
    if (step.counts === "cargo") reportCargo(countsIn(output, step.counts));
    if (success) continue;
    failed = step.name;
    break;
  }
  if (failed !== undefined) console.error(`\nerror: ${failed} failed`);
  if (counts.length > 0) {
    const sum = sumOf(counts);
    console.log(`\n${sum.passed} passed, ${sum.failed} failed`);
  }
  return failed === undefined ? 0 : 1;
}

/** As one would type it. */
function shownCommand({ command, env = {} }: Step): string {
  const variables = Object.entries(env).map(([name, value]) =>
    `${name}=${value.includes(" ") ? `"${value}"` : value}`
  );
  return [...variables, ...command].join(" ");
}

function reportCargo({ passed, failed }: Counts): void {
  console.log(`--- cargo's tests: ${passed} passed, ${failed} failed`);
}

function isInstalled({ command }: CargoPart): boolean {
  return new Deno.Command("cargo", {
    args: [command, "--version"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).outputSync().success;
}

/** A stranger may go on without; where it is to be checked, it must be. */
function complain({ command, install }: CargoPart): void {
  const message = `cargo ${command} is not installed: get it with ` +
    `"${install}", or from where cargo came from`;
  if (Deno.env.get("CI") === "true") throw new Failure(message);
  console.log(`SKIPPED: ${message}`);
}

/** Runs a step; the output of test runners is shown and kept. */
async function run(
  { command: [program, ...args], env, counts }: Step,
): Promise<{ success: boolean; output: string }> {
  const child = new Deno.Command(
    program === "deno" ? Deno.execPath() : program,
    {
      args,
      cwd: ROOT,
      env: { ...env, ...coloursOf(Deno.stdout.isTerminal()) },
      stdin: "null",
      stdout: counts === undefined ? "inherit" : "piped",
      stderr: "inherit",
    },
  ).spawn();
  let output = "";
  if (counts !== undefined) {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      Deno.stdout.writeSync(chunk);
      output += decoder.decode(chunk, { stream: true });
    }
  }
  const { success } = await child.status;
  return { success, output };
}

/** Through a pipe runners would print none, though it ends on a terminal. */
function coloursOf(isTerminal: boolean): Record<string, string> {
  return isTerminal && !Deno.noColor
    ? { FORCE_COLOR: "1", CARGO_TERM_COLOR: "always" }
    : {};
}

function chosen(names: readonly string[]): readonly Step[] {
  const unknown = names.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot run step "${unknown}": there are ${NAMES.join(", ")}`,
    );
  }
  return STEPS.filter(({ name }) => names.length === 0 || names.includes(name));
}

if (import.meta.main) {
  await runProgram(async () => {
    const { values, positionals } = parseWords({
      args: Deno.args,
      allowPositionals: true,
      options: { help: { type: "boolean", short: "h", default: false } },
    });
    const steps = chosen(positionals);
    if (!values.help) return await runSteps(steps);
    console.log(HELP);
    return 0;
  });
}
