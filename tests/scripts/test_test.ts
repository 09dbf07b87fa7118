import { assertEquals } from "@std/assert";
import { seenIn } from "../../scripts/test.ts";

const DENO =
  "a ... ok (1ms)\n\n\x1b[0m\x1b[32mok\x1b[0m | 12 passed | 0 failed" +
  " (3s)\nb \x1b[90m=> ./tests/b_test.ts:1:6\x1b[0m\nerror: c => ./d:1:2\n\n" +
  " FAILURES \n\nb => ./tests/b_test.ts:1:6\ne ... f => ./g.ts:20:3\n\n" +
  "FAILED | 3 passed (4 steps) | 2 failed (1 step) | 1 ignored (1s)\n";
const CARGO = `test result: ok. 10 passed; 0 failed; 1 ignored; finished
test a ... ok
test b::c ... FAILED
test src/d.rs - e (line 3) ... FAILED
test result: FAILED. 4 passed; 3 failed; 0 ignored; 0 measured`;

Deno.test("seenIn() counts tests, and names each that failed once", () => {
  assertEquals(seenIn(DENO, "deno"), {
    ...{ passed: 15, failed: 2 },
    names: ["b => ./tests/b_test.ts:1:6", "e ... f => ./g.ts:20:3"],
  });
  assertEquals(seenIn(CARGO, "cargo"), {
    ...{ passed: 14, failed: 3 },
    names: ["b::c", "src/d.rs - e (line 3)"],
  });
  const unfinished = { passed: 0, failed: 0, names: [] };
  assertEquals(seenIn("running 3 tests\n", "deno"), unfinished);
});
