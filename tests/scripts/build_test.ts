import { assertEquals, assertMatch } from "@std/assert";
import { BUILD_DEADLINE_MS, runProgram, runTask } from "../util/program.ts";

/** Runs in another folder: nothing may depend on it. */
function runBuild(args: string[], env: Record<string, string> = {}) {
  const script = new URL("../../scripts/build.ts", import.meta.url).pathname;
  return runProgram(
    [Deno.execPath(), "run", "--quiet", "-A", script, ...args],
    { cwd: "/", env, deadlineMs: BUILD_DEADLINE_MS },
  );
}

Deno.test("build --if-stale says nothing, when all is built", async () => {
  // The first may have to build, which other steps of the gate do as well.
  await runBuild(["--if-stale"]);
  const nothing = { code: 0, stdout: "", stderr: "" };
  assertEquals(await runBuild(["--if-stale"]), nothing);
  assertEquals(await runTask("built", []), nothing);
  // The library is there, and needs no cargo.
  const env = { PATH: "/nonexistent" };
  assertEquals(await runBuild(["--if-stale"], env), nothing);
});

Deno.test("build says in one line how to get cargo, when there is none", async () => {
  const { code, stderr } = await runBuild([], { PATH: "/nonexistent" });
  assertMatch(stderr, /^error: [^\n]+ get Rust 1.85 or newer from [^\n]+\n$/);
  assertEquals(code, 1);
});
