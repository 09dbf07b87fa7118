/** The two clocks of a reactor, which differ after a machine has slept. */

import { assertEquals } from "@std/assert";
import { Skew } from "../../src/system/skew.ts";

const HOUR_MS = 3_600_000;

Deno.test("Skew is measured again, when a sleep has parted the clocks", () => {
  const skew = new Skew(10_000, 3_000);
  assertEquals(skew.ms, 7_000);
  // The program's clock has stood still for an hour.
  skew.note(10_000 + HOUR_MS, () => 3_000);
  assertEquals(skew.ms, 7_000 + HOUR_MS);
});

Deno.test("Skew does not change, when both clocks have gone on alike", () => {
  const skew = new Skew(10_000, 3_000);
  skew.note(10_000 + HOUR_MS, () => 3_000 + HOUR_MS + 20);
  assertEquals(skew.ms, 7_000);
});

Deno.test("Skew asks for no clock, while waits follow one another", () => {
  const skew = new Skew(10_000, 3_000);
  let asked = 0;
  for (let ms = 1; ms < 5_000; ms += 250) {
    skew.note(10_000 + ms, () => ++asked);
  }
  assertEquals(asked, 0);
});
