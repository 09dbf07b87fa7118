/** The simulation: a thousand seeds of each scenario. */

import { assertEquals, AssertionError } from "@std/assert";
import { replayCommand, runSeed, runSeeds, SCENARIOS } from "./run.ts";

/** Seeds of each scenario: 15 seconds for all on a slow machine. */
const SEEDS_DEFAULT = 1_000;

const count = Number(Deno.env.get("DENIO_SIM_SEEDS") ?? SEEDS_DEFAULT);

for (const scenario of Object.keys(SCENARIOS)) {
  Deno.test(`${scenario} holds in ${count} simulated worlds`, async () => {
    const failed = await runSeeds(scenario, { first: 1, count });
    if (failed === undefined) return;
    throw new AssertionError(
      `${failed.error.message}; replay it with\n\n  ${replayCommand(failed)}\n`,
      { cause: failed.error },
    );
  });

  Deno.test(`${scenario} is the same for the same seed`, async () => {
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
