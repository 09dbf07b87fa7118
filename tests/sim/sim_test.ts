/** The simulation: some thousand seeds of each scenario. */

import { assertEquals, AssertionError } from "@std/assert";
import { lacks } from "../util/machine.ts";
import { lackOf, replayCommand, runSeed, runSeeds, SCENARIOS } from "./run.ts";
import { LIBRARY } from "./simulation.ts";

/** Seeds of each scenario: a quarter of a minute for all on a slow machine. */
const SEEDS_DEFAULT = 3_000;

const count = Number(Deno.env.get("DENIO_SIM_SEEDS") ?? SEEDS_DEFAULT);

for (const scenario of Object.keys(SCENARIOS)) {
  const lack = lackOf(scenario, LIBRARY);
  const ignore = lack !== undefined &&
    lacks(`scenario "${scenario}" (${lack})`, () => false);

  Deno.test(`${scenario} holds in ${count} simulated worlds`, {
    ignore,
  }, async () => {
    const failed = await runSeeds(scenario, { first: 1, count });
    if (failed === undefined) return;
    throw new AssertionError(
      `${failed.error.message}; replay it with\n\n  ${replayCommand(failed)}\n`,
      { cause: failed.error },
    );
  });

  Deno.test(`${scenario} is the same for the same seed`, {
    ignore,
  }, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const first: string[] = [];
      const second: string[] = [];
      await runSeed(scenario, seed, { trace: (line) => void first.push(line) });
      await runSeed(scenario, seed, {
        trace: (line) => void second.push(line),
      });
      assertEquals(first, second);
    }
  });
}
