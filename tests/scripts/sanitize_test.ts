import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UsageError } from "../../scripts/command_line.ts";
import { parseSanitizeOptions } from "../../scripts/sanitize.ts";
import { runProgram } from "../util/program.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

Deno.test("parseSanitizeOptions() takes both sanitizers, when none is named", () => {
  assertEquals(parseSanitizeOptions([]), {
    sanitizers: ["address", "thread"],
    tests: [],
    calls: 10_000,
    help: false,
  });
});

Deno.test("parseSanitizeOptions() takes sanitizers, tests and calls", () => {
  const args = ["thread", "--test", "ffi", "--test", "poll", "--calls", "5"];
  assertEquals(parseSanitizeOptions(args), {
    sanitizers: ["thread"],
    tests: ["ffi", "poll"],
    calls: 5,
    help: false,
  });
});

for (const args of [["memory"], ["--calls", "0"], ["--calls", "x"], ["--no"]]) {
  Deno.test(`parseSanitizeOptions() refuses "${args.join(" ")}"`, () => {
    assertThrows(() => parseSanitizeOptions(args), UsageError);
  });
}

function sanitize(...args: string[]) {
  const task = ["task", "--quiet", "--config", CONFIG, "sanitize"];
  return runProgram([Deno.execPath(), ...task, ...args]);
}

Deno.test("sanitize --help explains, and exits 0", async () => {
  const { code, stdout } = await sanitize("--help");
  assertMatch(stdout, /Usage: deno task sanitize \[SANITIZER\.\.\.\]/);
  assertEquals(code, 0);
});

Deno.test("sanitize exits 2 with one line, when there is no such sanitizer", async () => {
  const { code, stdout, stderr } = await sanitize("memory");
  assertEquals({ code, stdout }, { code: 2, stdout: "" });
  assertMatch(
    stderr,
    /^error: Cannot use sanitizer "memory": there are [^\n]+\n$/,
  );
});

Deno.test("sanitize says in one line how to get rustc, when there is none", async () => {
  const script = new URL("../../scripts/sanitize.ts", import.meta.url).pathname;
  const { code, stderr } = await runProgram(
    [Deno.execPath(), "run", "--quiet", "-A", script, "address"],
    { env: { PATH: "/nonexistent" } },
  );
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /^error: Cannot build: there is no rustc on PATH[^\n]+\n$/,
  );
});
