import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertThrows,
} from "@std/assert";
import {
  type Figures,
  figuresOf,
  median,
  ratiosOf,
} from "../scripts/bench/figures.ts";
import { parseCores } from "../scripts/bench/machine.ts";
import { parseBenchOptions } from "../scripts/bench/options.ts";
import { reportJson, reportLines } from "../scripts/bench/report.ts";
import { UsageError } from "../scripts/command_line.ts";
import { BUILD_DEADLINE_MS, runProgram } from "./util/program.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("median() is the middle, or between the two of them", () => {
  assertEquals(median([3]), 3);
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([4, 1, 3, 2]), 2.5);
});

Deno.test("figuresOf() takes medians, and user time of all rounds", () => {
  const sample = (userUs: number, systemUs: number, requests: number) => ({
    requests,
    seconds: 2,
    cpu: { userUs, systemUs },
  });
  const figures = figuresOf([
    sample(100, 900, 1000),
    sample(300, 700, 1000),
    // A round in which something else went on.
    sample(200, 7800, 1000),
  ]);
  assertEquals(figures.cpuUs, 1);
  assertAlmostEquals(figures.userUs, 600 / 10_000);
  assertAlmostEquals(figures.userUs + figures.systemUs, figures.cpuUs);
  assertEquals(figures.requestsPerSecond, 500);
  assertEquals(figures.requestsPerCpuSecond, 1_000_000);
});

const BASE: Figures = {
  userUs: 2,
  systemUs: 6,
  cpuUs: 8,
  requestsPerSecond: 100,
  requestsPerCpuSecond: 200,
};
const BETTER: Figures = {
  userUs: 1,
  systemUs: 1,
  cpuUs: 2,
  requestsPerSecond: 400,
  requestsPerCpuSecond: 800,
};

Deno.test("ratiosOf() is below 1 where less is better, and is", () => {
  assertEquals(ratiosOf(BETTER, BASE), {
    user: 0.5,
    cpu: 0.25,
    requestsPerCpuSecond: 4,
  });
});

const REPORT = {
  notes: ["a note"],
  load: new Map([
    ["GET", new Map([["denio", BETTER], ["Deno.serve", BASE]])],
  ]),
  idle: new Map([["denio", { connections: 15000, bytesPerConnection: 399 }]]),
};

Deno.test("the bench report tells people the figures and the ratios", () => {
  const text = reportLines(REPORT).join("\n");
  assertMatch(text, /^- a note$/m);
  assertMatch(text, /^ {2}denio +1\.00 +1\.00 +2\.00 +400 +800$/m);
  assertMatch(text, /denio \/ Deno.serve: user CPU 0\.50, CPU 0\.25, req.* 4/);
  assertMatch(text, /^ {2}denio +15,000 +399$/m);
  assert(!text.includes("bare loop"), "nobody ran it");
});

Deno.test("the bench report tells programs the same", () => {
  assertEquals(JSON.parse(JSON.stringify(reportJson(REPORT))), {
    notes: ["a note"],
    load: {
      GET: {
        "denio": {
          ...BETTER,
          toDenoServe: { user: 0.5, cpu: 0.25, requestsPerCpuSecond: 4 },
          toBareLoop: null,
        },
        "Deno.serve": {
          ...BASE,
          toDenoServe: { user: 1, cpu: 1, requestsPerCpuSecond: 1 },
          toBareLoop: null,
        },
      },
    },
    idle: { denio: { connections: 15000, bytesPerConnection: 399 } },
  });
});

Deno.test("parseCores() reads the kernel's lists", () => {
  assertEquals(parseCores("0"), [0]);
  assertEquals(parseCores("0-1"), [0, 1]);
  assertEquals(parseCores("2,4-6,9"), [2, 4, 5, 6, 9]);
});

Deno.test("parseBenchOptions() is brief, when it is to be quick", () => {
  const usual = parseBenchOptions(["--rounds", "7"]);
  assertEquals([usual.rounds, usual.seconds], [7, 3]);
  const quick = parseBenchOptions(["--quick", "--only", "get"]);
  assertEquals([quick.rounds, quick.seconds, quick.only], [1, 1, "get"]);
});

for (const args of [["--only", "gets"], ["--rounds", "0"], ["get"]]) {
  Deno.test(`parseBenchOptions() refuses "${args.join(" ")}"`, () => {
    assertThrows(() => parseBenchOptions(args), UsageError);
  });
}

Deno.test({
  name: "bench measures each server, and prints ratios",
  // It reads processor times from /proc.
  ignore: Deno.build.os !== "linux",
  async fn() {
    const config = new URL("deno.json", ROOT).pathname;
    const task = ["task", "--quiet", "--config", config, "bench"];
    const options = ["--quick", "--only", "get", "--json"];
    const command = [Deno.execPath(), ...task, ...options] as const;
    const { code, stdout, stderr } = await runProgram(command, {
      deadlineMs: BUILD_DEADLINE_MS,
    });
    assertEquals(code, 0, stderr);
    const servers = JSON.parse(stdout).load["GET, keep-alive"];
    const names = ["bare loop", "denio", "Deno.serve"];
    assertEquals(Object.keys(servers), names);
    for (const name of names) assert(servers[name].requestsPerSecond > 0);
    assert(servers.denio.toDenoServe.user > 0);
  },
});
