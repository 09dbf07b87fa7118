import { assertEquals, assertMatch } from "@std/assert";
import { Poll } from "../../src/poll.ts";
import { Proactor } from "../../src/proactor.ts";
import { BUILD_DEADLINE_MS, runTask } from "../util/program.ts";

Deno.test("bench:poll measures every backend and policy, and plots them", async () => {
  const words = ["--rounds", "1", "--max", "20"];
  const { code, stdout, stderr } = await runTask("bench:poll", words, {
    deadlineMs: BUILD_DEADLINE_MS,
  });
  assertEquals(code, 0, stderr);
  for (const backend of Poll.backends()) {
    assertEquals(stdout.match(RegExp(`^  ${backend} `, "gm"))?.length, 5);
  }
  assertMatch(stdout, /^A wait, one source of N ready\n +10 +20$/m);
  const [, path] = stdout.match(/^Plotted in (.+)$/m) ?? [];
  const plots = Deno.readTextFileSync(path!).match(/<svg /g);
  const hasRing = Proactor.refusal === undefined;
  assertEquals(plots?.length, hasRing ? 9 : 5);
  // Exact: sixteen operations a system call, and one wait for all of them.
  const calls =
    /^Operations a system call\n.*\n.*\n +count\(16\) .* 16.00 +16.00$/m;
  assertMatch(stdout, hasRing ? calls : /^No proactor: /m);
});
