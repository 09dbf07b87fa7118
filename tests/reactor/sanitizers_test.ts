/** A user's suite under Deno's sanitizers, on a machine that is busy. */

import { assertEquals, assertMatch } from "@std/assert";
import { BUILD_DEADLINE_MS, runProgram } from "../util/program.ts";
import { BusyCores } from "../util/busy_cores.ts";

const SUITE =
  new URL("../fixtures/sanitized_suite.ts", import.meta.url).pathname;

Deno.test("nothing of denio's is pending in Deno after shutdown(), finished and drain(), when all cores are busy", async () => {
  await using _busy = new BusyCores();
  const { code, stdout, stderr } = await runProgram(
    [Deno.execPath(), "test", "-A", "--no-check", "--quiet", SUITE],
    { env: { NO_COLOR: "1" }, deadlineMs: BUILD_DEADLINE_MS },
  );
  assertEquals({ code, stderr }, { code: 0, stderr: "" }, stdout);
  assertMatch(stdout, /\d+ passed \| 0 failed/);
});
