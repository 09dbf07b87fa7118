/**
 * Holds WebSockets to Autobahn's test suite: `deno task autobahn --help`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { chosenFrom, readOptions, runProgram } from "./command_line.ts";
import { whenInterrupted } from "./interrupt.ts";
import { cratePath, verdict } from "./programs.ts";
import { bringPackages } from "./python.ts";
import { kill, startServer } from "./server_process.ts";

const HELP = `Hold WebSockets to Autobahn's test suite.

Usage: deno task autobahn [SET...] [OPTIONS]

  SET  core: 301 cases of frames, messages, UTF-8 and closing. deflate: 216
       cases of compressed messages. Both, side by side, when none is named.

Options:
      --messages N  How many each case of deflate sends [30]; the suite's own
                    number is 1000
  -h, --help        Print this

The server is tests/examples/web_socket_echo.ts, in a process of its own. The
suite comes from PyPI, once, into native/target/autobahn. Needed is Python 3
with venv. A case must be OK or INFORMATIONAL, both in what the server answers
and in how it closes.

Exit codes: 0 all is well, 1 a case failed or the suite cannot run, 2 bad usage.`;

const DEFAULTS = { messages: 30 };

/** The sets: the chapters of the suite, and how many cases they have. */
const SETS = {
  core: { chapters: "0 1 2 3 4 5 6 7 9 10", count: 301 },
  deflate: { chapters: "12 13", count: 216 },
} as const;
/** Progress is told after so many cases. */
const STEP = 50;

const pathOf = (file: string) => cratePath(`../${file}`);

/** What the suite says of a case. */
type Verdict = readonly [
  id: string,
  behavior: string,
  closing: string,
  why: string,
  whyClosing: string,
];

/** Returns lines about the cases that are not as they should be. */
export function faultsIn(verdicts: readonly Verdict[]): string[] {
  const isFine = (word: string) => /^(OK|INFORMATIONAL)$/.test(word);
  return verdicts.flatMap(([id, behavior, closing, why, whyClosing]) => [
    ...isFine(behavior) ? [] : [`${id.padEnd(8)} ${behavior}: ${why}`],
    ...isFine(closing) ? [] : [`${id.padEnd(8)} ${closing}: ${whyClosing}`],
  ]);
}

/** Runs a set, and returns whether it found nothing. */
async function runSet(
  name: keyof typeof SETS,
  command: readonly [python: string, ...string[]],
): Promise<boolean> {
  const { chapters, count } = SETS[name];
  const [python, ...args] = command;
  const startMs = performance.now();
  const child = new Deno.Command(python, {
    args: [...args, ...chapters.split(" ")],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  using _ = whenInterrupted(() => kill(child, "SIGTERM"));
  const complaint = new Response(child.stderr).text();
  const verdicts: Verdict[] = [];
  let rest = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const done = verdicts.push(JSON.parse(line));
      if (done % STEP === 0) console.log(`${name}: ${done} of ${count} cases`);
    }
  }
  const faults = faultsIn(verdicts);
  if (verdicts.length !== count) {
    faults.push(`only ${verdicts.length} of ${count} cases ended`);
  }
  // The suite goes on after an error of its own, as if all were well.
  const said = await complaint;
  if (said !== "") faults.push(said.trimEnd());
  const isFine = faults.length === 0;
  console.log([verdict(name, isFine, startMs), ...faults].join("\n  "));
  return isFine;
}

async function main(): Promise<number> {
  const { options, words } = readOptions(Deno.args, DEFAULTS);
  const names = Object.keys(SETS) as (keyof typeof SETS)[];
  const chosen = chosenFrom(names, words, "run set");
  const python = bringPackages(
    "autobahn",
    Deno.readTextFileSync(pathOf("scripts/autobahn/requirements.txt")),
  );
  await using server = await startServer([
    ...[Deno.execPath(), "run", "-q", "-A", "--no-lock"],
    ...[pathOf("src/cli/main.ts"), "--port=0"],
    pathOf("tests/examples/web_socket_echo.ts"),
  ]);
  const url = `ws://127.0.0.1:${server.port}`;
  const script = pathOf("scripts/autobahn/run.py");
  const results = await Promise.all(
    chosen.map((name) =>
      runSet(name, [python, "-Wignore", script, url, `${options.messages}`])
    ),
  );
  return results.every((isFine) => isFine) ? 0 : 1;
}

if (import.meta.main) await runProgram(main, HELP);
