/**
 * Builds what is missing and checks everything, in steps:
 * `deno task test --help`.
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
import { Poll } from "../src/poll/poll.ts";
import { outputOf, verdict } from "./programs.ts";
import { pythonObstacle } from "./python.ts";
import { named } from "./table.ts";
import { type Step, STEPS } from "./test/steps.ts";

const ROOT = new URL("../", import.meta.url);
const NAMES = STEPS.map(({ name }) => name);

const HELP = `Build what is missing and check everything.

Usage: deno task test [STEP...]

Steps, all of them when none is named, up to the first that fails:
${named(STEPS.map((step) => [step.name, shownCommand(step)])).join("\n")}

Clippy, rustfmt and autobahn are left out where they or Python are not installed,
and io_uring where it is not allowed, unless CI=true.

At the end stand the names of the tests that failed. The last line counts those
that Deno ran, in doc comments, too: "N passed, N failed". Exit codes: 0 all is well, 1 a step failed, 2 bad usage.`;

/**
 * The lines that count a runner's tests, of cargo one for each test binary, and
 * those that name what failed, more than once.
 */
const RUNNERS = {
  deno: {
    counts: /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/gm,
    names: /^(?!error: )\S.* => \.\/\S+:\d+:\d+$/gm,
  },
  cargo: {
    counts: /^test result: .*?(\d+) passed; (\d+) failed/gm,
    names: /(?<=^test ).+(?= \.\.\. FAILED$)/gm,
  },
};

// deno-lint-ignore no-control-regex -- these are what colours are made of
const COLOURS = /\x1b\[[\d;]*m/g;

/** Returns how many tests the output of a runner has, and names what failed. */
export function seenIn(output: string, runner: keyof typeof RUNNERS) {
  const plain = output.replace(COLOURS, "");
  const { counts, names } = RUNNERS[runner];
  let [passed, failed] = [0, 0];
  for (const [, more, bad] of plain.matchAll(counts)) {
    passed += Number(more);
    failed += Number(bad);
  }
  return { passed, failed, names: [...new Set(plain.match(names))] };
}

/** Runs steps until one fails, and returns the exit code. */
async function runSteps(steps: readonly Step[]): Promise<number> {
  let [passed, failed, exitCode] = [0, 0, 0];
  for (const step of steps) {
    console.log(`\n--- ${step.name}: ${shownCommand(step)}`);
    if (!isRunnable(step)) continue;
    const startMs = performance.now();
    const { success, output } = await run(step);
    console.log(verdict(step.name, success, startMs));
    const { counts = "deno" } = step;
    const seen = seenIn(output, counts);
    if (counts === "deno") {
      passed += seen.passed;
      failed += seen.failed;
    } else {
      console.log(
        `--- its tests: ${seen.passed} passed, ${seen.failed} failed`,
      );
    }
    if (success) continue;
    const lines = [`\nerror: ${step.name} failed`, ...seen.names];
    console.error(lines.join("\n  "));
    exitCode = 1;
    break;
  }
  if (passed + failed > 0) console.log(`\n${passed} passed, ${failed} failed`);
  return exitCode;
}

/** The words as a user types them. */
function shownCommand({ command, env = {} }: Step): string {
  const variables = Object.entries(env).map(([name, value]) =>
    `${name}=${value.includes(" ") ? `"${value}"` : value}`
  );
  return [...variables, command].join(" ");
}

/** A newcomer may lack a part of cargo, or a backend; CI must have it. */
function isRunnable({ needs }: Step): boolean {
  const message = needs && lackOf(needs);
  if (message === undefined) return true;
  if (Deno.env.get("CI") === "true") throw new Failure(message);
  console.log(`SKIPPED: ${message}`);
  return false;
}

/** Returns what is missing, and where to get it; `undefined` for nothing. */
function lackOf(needs: NonNullable<Step["needs"]>): string | undefined {
  if (needs === "python") return pythonObstacle();
  if (needs === "io_uring") {
    try {
      new Poll({ backend: needs }).close();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }
  if (outputOf(["cargo", needs, "--version"]) !== undefined) return undefined;
  const component = needs === "fmt" ? "rustfmt" : needs;
  return `cargo ${needs} is not installed: get it with ` +
    `"rustup component add ${component}", or from where cargo came from`;
}

/** Runs a step; the output of test runners is shown and kept. */
async function run(
  { command, env, counts }: Step,
): Promise<{ success: boolean; output: string }> {
  const [program, ...args] = command.split(" ");
  // Through a pipe runners would print no colours, though it ends on a terminal.
  const isColoured = Deno.stdout.isTerminal() && !Deno.noColor;
  const colours = { FORCE_COLOR: "1", CARGO_TERM_COLOR: "always" };
  const child = new Deno.Command(
    program === "deno" ? Deno.execPath() : program!,
    {
      args,
      cwd: ROOT,
      env: { ...env, ...isColoured ? colours : {} },
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

function main(): Promise<number> {
  const { words } = readOptions(Deno.args, {});
  const chosen = chosenFrom(NAMES, words, "run step");
  return runSteps(STEPS.filter(({ name }) => chosen.includes(name)));
}

if (import.meta.main) await runProgram(main, HELP);
