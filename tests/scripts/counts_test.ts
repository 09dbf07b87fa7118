import { assertEquals } from "@std/assert";
import { countsIn, sumOf } from "../../scripts/test/counts.ts";

Deno.test("countsIn() reads what deno test ends with", () => {
  const passed = "a ... ok (1ms)\n\nok | 12 passed | 0 failed (3s)\n";
  assertEquals(countsIn(passed, "deno"), { passed: 12, failed: 0 });
  const failed =
    "FAILED | 3 passed (4 steps) | 2 failed (1 step) | 1 ignored (1s)\n";
  assertEquals(countsIn(failed, "deno"), { passed: 3, failed: 2 });
});

Deno.test("countsIn() reads through colours", () => {
  const coloured = "\x1b[0m\x1b[32mok\x1b[0m | 5 passed | 0 failed\x1b[0m";
  assertEquals(countsIn(coloured, "deno"), { passed: 5, failed: 0 });
});

Deno.test("countsIn() adds up what cargo prints for each binary", () => {
  const output = `test result: ok. 10 passed; 0 failed; 1 ignored; finished
test a ... ok
test result: FAILED. 4 passed; 3 failed; 0 ignored; 0 measured`;
  assertEquals(countsIn(output, "cargo"), { passed: 14, failed: 3 });
});

Deno.test("countsIn() is nothing, when a runner did not finish", () => {
  assertEquals(countsIn("running 3 tests\n", "deno"), { passed: 0, failed: 0 });
});

Deno.test("sumOf() adds up runs", () => {
  const runs = [{ passed: 1, failed: 0 }, { passed: 2, failed: 3 }];
  assertEquals(sumOf(runs), { passed: 3, failed: 3 });
});
