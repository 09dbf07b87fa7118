/**
 * What V8 allocates for each request stays within its budget: counts of bytes,
 * which are the same each time and on a busy machine.
 */

import { assertAlmostEquals, assertEquals } from "@std/assert";
import { BUDGETS } from "../../scripts/bench_alloc/budgets.ts";
import {
  type AllocationResult,
  countScenario,
  excesses,
} from "../../scripts/bench_alloc.ts";
import {
  KNOWN_ELEMENTS,
  type ScenarioName,
  SCENARIOS,
} from "../../scripts/bench_alloc/scenarios.ts";

/** Bytes of a reference, as Deno builds V8. */
const REFERENCE_BYTES = 8;

Deno.test("bench:alloc counts what is known to the byte", async () => {
  const { asRun, asWritten, beside } = await countScenario("known");
  const known = KNOWN_ELEMENTS * REFERENCE_BYTES;
  assertAlmostEquals(asRun, known, 1);
  assertAlmostEquals(asWritten, known, 1);
  assertAlmostEquals(beside, 0, 1);
});

for (const [name, { title }] of Object.entries(SCENARIOS)) {
  if (name === "known") continue;
  Deno.test(`V8 allocates within the budget: ${title}`, async () => {
    const result = await countScenario(name as ScenarioName);
    assertEquals(excesses(result), []);
  });
}

Deno.test("excesses() names each figure that is over its budget", () => {
  const { asRun, asWritten, beside } = BUDGETS.get;
  const within: AllocationResult = {
    name: "get",
    handler: 1_000_000,
    asRun,
    asWritten,
    beside,
  };
  assertEquals(excesses(within), []);
  assertEquals(
    excesses({ ...within, asWritten: asWritten + 1, beside: beside + 2 }),
    [
      `asWritten ${asWritten + 1} > ${asWritten} bytes`,
      `beside ${beside + 2} > ${beside} bytes`,
    ],
  );
});
