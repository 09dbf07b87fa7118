import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Poll } from "../../mod.ts";
import { parse } from "../../scripts/bench_poll/options.ts";
import { plots, tables } from "../../scripts/bench_poll/report.ts";
import { medians, sizesFor } from "../../scripts/bench_poll/results.ts";
import { UsageError } from "../../scripts/command_line.ts";
import { type Series, svg } from "../../scripts/plot/svg.ts";
import { BUILD_DEADLINE_MS, runProgram } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);

const figures = (poll: number) => ({
  register: 1,
  reregister: 2,
  deregister: 3,
  poll,
  transfer: 4,
});

const RESULTS = medians(
  new Map([
    ["epoll", new Map([[10, [figures(5)]], [2000, [figures(5)]]])],
    ["select", new Map([[10, [figures(9), figures(7), figures(8)]]])],
  ]),
);

Deno.test("sizesFor() ends with the most, and has no size twice", () => {
  assertEquals(sizesFor(20), [10, 20]);
  assertEquals(sizesFor(10), [10]);
  assertEquals(sizesFor(1000).at(-1), 1000);
});

Deno.test("the tables of bench:poll have medians, and gaps where there is none", () => {
  const text = tables(RESULTS).join("\n");
  assertMatch(text, /^A wait, one source of N ready\n +10 +2,000$/m);
  assertMatch(text, /^ {2}epoll +5\.00 +5\.00$/m);
  assertMatch(text, /^ {2}select +8\.00 +-$/m);
  assertEquals(text.match(/^ {2}epoll/gm)?.length, 5);
});

/** The places of a line, as an SVG path has them. */
function placesOf(document: string): number[][] {
  const [, path] = document.match(/<path d="([^"]+)"/) ?? [];
  return path!.split(/[ML]/).slice(1).map((pair) =>
    pair.split(" ").map(Number)
  );
}

function plotOf(...series: Series[]): string {
  return svg([{ title: "T", xLabel: "x", yLabel: "y", series }]);
}

Deno.test("svg() places what is ten times more as far, each time", () => {
  const points = [[1, 1], [10, 10], [100, 100]] as const;
  const places = placesOf(plotOf({ name: "line", points }));
  const [[x1, y1], [x2, y2], [x3, y3]] = places as [
    [number, number],
    [number, number],
    [number, number],
  ];
  assert(Math.abs(x3 - x2 - (x2 - x1)) <= 0.2 && x2 > x1);
  // Upwards is less in SVG.
  assert(Math.abs(y3 - y2 - (y2 - y1)) <= 0.2 && y2 < y1);
});

Deno.test("svg() leaves out what a logarithm has no place for", () => {
  const points = [[1, 0], [10, 5], [100, -1]] as const;
  assertEquals(placesOf(plotOf({ name: "line", points })).length, 1);
  assert(!plotOf({ name: "none", points: [] }).includes("<path"));
});

Deno.test("svg() names lines apart, when they end at one place", () => {
  const points = [[1, 1], [10, 10]] as const;
  const document = plotOf({ name: "one", points }, { name: "two", points });
  const [one, two] = ["one", "two"].map((name) =>
    Number(document.match(RegExp(` y="([\\d.]+)" style="[^"]+">${name}<`))![1])
  );
  assert(Math.abs(one! - two!) >= 13);
});

Deno.test("svg() escapes what is written, and draws each plot", () => {
  const document = svg(plots(RESULTS));
  assertEquals(document.match(/<g /g)?.length, 5);
  assertMatch(plotOf({ name: "a<b&c", points: [[1, 1]] }), /a&lt;b&amp;c</);
});

Deno.test("parse() of bench:poll takes backends by name, and is brief when it is to be quick", () => {
  const available = ["epoll", "select"] as const;
  assertEquals(parse([], available).backends, [...available]);
  const named = parse(["--backend", "select", "--max", "50"], available);
  assertEquals([named.backends, named.max], [["select"], 50]);
  assertEquals(parse(["--quick"], available).rounds, 1);
});

for (const args of [["--backend", "kqueue"], ["--max", "0"], ["--rounds"]]) {
  Deno.test(`parse() of bench:poll refuses "${args.join(" ")}"`, () => {
    assertThrows(() => parse(args, ["epoll"]), UsageError);
  });
}

Deno.test("bench:poll measures every backend, and says where its plot is", async () => {
  const config = new URL("deno.json", ROOT).pathname;
  const task = ["task", "--quiet", "--config", config, "bench:poll"];
  const options = ["--rounds", "1", "--max", "20"];
  const command = [Deno.execPath(), ...task, ...options] as const;
  const { code, stdout, stderr } = await runProgram(command, {
    deadlineMs: BUILD_DEADLINE_MS,
  });
  assertEquals(code, 0, stderr);
  for (const backend of Poll.backends()) {
    assertEquals(stdout.match(RegExp(`^  ${backend} `, "gm"))?.length, 5);
  }
  const [, path] = stdout.match(/^Plotted in (.+)$/m) ?? [];
  assertMatch(Deno.readTextFileSync(path!), /^<svg /);
});
