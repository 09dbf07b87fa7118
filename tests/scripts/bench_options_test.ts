import { assert, assertEquals, assertThrows } from "@std/assert";
import { HELP, parseBenchOptions } from "../../scripts/bench/options.ts";
import { SCENARIOS } from "../../scripts/bench/scenarios.ts";
import { UsageError } from "../../scripts/command_line.ts";

Deno.test("parseBenchOptions() measures all, five times, when told nothing", () => {
  const { output, ...options } = parseBenchOptions([]);
  assert(output.endsWith("native/target/bench.json"), output);
  assertEquals(options, {
    rounds: 5,
    seconds: 3,
    only: undefined,
    peers: undefined,
    load: "own",
    quick: false,
    json: false,
    help: false,
  });
});

Deno.test("parseBenchOptions() takes names as they are meant", () => {
  const { only, peers, load } = parseBenchOptions([
    "--only=get, Pipeline,cross-check",
    "--peers=bun,Bare Loop,denio",
    "--load=wrk",
  ]);
  assertEquals(only, ["get", "pipeline", "cross-check"]);
  assertEquals(peers, ["Bun", "bare loop", "denio"]);
  assertEquals(load, "wrk");
});

Deno.test("parseBenchOptions() is brief, when it is to be quick", () => {
  const quick = parseBenchOptions(["--quick"]);
  assertEquals([quick.rounds, quick.seconds], [1, 0.25]);
  assertEquals(quick.peers, ["bare loop", "denio", "Deno"]);
});

Deno.test("parseBenchOptions() is as quick as it is told", () => {
  const args = ["--quick", "--rounds=2", "--seconds=.5", "--peers=denio"];
  const { rounds, seconds, peers } = parseBenchOptions(args);
  assertEquals([rounds, seconds, peers], [2, 0.5, ["denio"]]);
});

const WRONG: readonly [string, RegExp][] = [
  ["--only gets", /"gets": there are get, .*cross-check/],
  ["--only get,", /"": there are/],
  ["--peers apache", /"apache": there are bare loop, denio, .*nginx/],
  ["--rounds 0", /--rounds "0": it must be a whole number from 1/],
  ["--seconds 0", /--seconds "0": it must be a number above 0/],
  ["--seconds 1e3", /--seconds "1e3"/],
  ["--load ab", /--load "ab": there are own, wrk/],
  ["--fast", /--fast/],
  ["get", /get/],
];

for (const [words, message] of WRONG) {
  Deno.test(`parseBenchOptions() refuses "${words}"`, () => {
    const error = assertThrows(
      () => parseBenchOptions(words.split(" ")),
      UsageError,
    );
    assert(message.test(error.message), error.message);
  });
}

Deno.test("the bench's help names every scenario, in 80 columns", () => {
  for (const { name, title } of SCENARIOS) {
    assert(HELP.includes(`  ${name} `) && HELP.includes(title), name);
  }
  const long = HELP.split("\n").filter((line) => line.length > 80);
  assertEquals(long, []);
});
