/** The command line of the lab. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UsageError } from "../../scripts/command_line.ts";
import { MODEL_NAMES, MODELS } from "../../scripts/lab/models.ts";
import {
  HELP,
  parseLabOptions,
  type RunOptions,
} from "../../scripts/lab/options.ts";

function runOptions(...args: string[]): RunOptions {
  const options = parseLabOptions(args);
  assert(options.command === "run");
  return options.run;
}

Deno.test("without an option, all models run from one client to 10,000", () => {
  const { models, connections, busy, size, seconds, json } = runOptions();
  assertEquals(models, MODELS);
  assertEquals(connections, [1, 10, 100, 1_000, 10_000]);
  assertEquals(connections.map((count) => busy.of(count)), [1, 10, 10, 10, 10]);
  assertEquals({ size, seconds, json }, { size: 64, seconds: 1, json: false });
});

Deno.test("options choose models, connections and messages", () => {
  const { models, connections, busy, size, seconds } = runOptions(
    ...["--models", "tokio,select", "--connections", "5,200", "--busy=25%"],
    ...["--size=100", "--seconds=.5"],
  );
  // In the order of the table.
  assertEquals(models.map(({ name }) => name), ["select", "tokio"]);
  assertEquals(connections, [5, 200]);
  assertEquals(connections.map((count) => busy.of(count)), [1, 50]);
  assertEquals([size, seconds], [100, 0.5]);
});

Deno.test("what an option names counts more than --quick", () => {
  assertEquals(runOptions("--quick").connections, [1, 1_000, 10_000]);
  const { connections, seconds } = runOptions("--quick", "--connections=7");
  assertEquals([connections, seconds], [[7], 0.2]);
});

for (
  const [words, why] of [
    ["--models nothing", /"nothing": there are blocking, threads, /],
    ["--connections 0", /--connections "0": it must be a whole number from 1/],
    ["--connections 1,,2", /--connections "": it must be a whole number/],
    ["--connections 1000001", /"1000001": it must be 1000000 at most/],
    ["--busy 0", /--busy "0": it must be a number from 1/],
    ["--busy 101%", /--busy "101%": .* a share from 1% to 100%/],
    ["--busy some", /--busy "some"/],
    ["--size 0", /--size "0"/],
    ["--seconds 0", /--seconds "0": it must be a number above 0/],
    ["--port 99999 serve tokio", /--port "99999": it must be from 0 to 65535/],
    ["serve", /Cannot serve but one model/],
    ["serve tokio select", /Cannot serve but one model/],
    ["watch", /Cannot watch but one model/],
    ["serve nothing", /"nothing": there are/],
    ["what", /Cannot use command "what": there are serve, watch, lesson/],
    ["--what", /see --help/],
  ] as const
) {
  Deno.test(`lab refuses "${words}"`, () => {
    const { message } = assertThrows(
      () => parseLabOptions(words.split(" ")),
      UsageError,
    );
    assertMatch(message, why);
  });
}

Deno.test("the help names every model, with what it shows, in short lines", () => {
  for (const { name, file, shows } of MODELS) {
    assert(HELP.includes(`  ${name} `) && HELP.includes(file), name);
    assert(HELP.includes(shows), shows);
  }
  for (const line of HELP.split("\n")) assert(line.length <= 80, line);
  assertEquals(new Set(MODEL_NAMES).size, MODEL_NAMES.length);
});
