import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { budgetsOf } from "../../scripts/bench/budgets.ts";
import { cpuWithin } from "../../scripts/bench/cpu_watch.ts";
import {
  figuresOf,
  median,
  type Sample,
  spreadOf,
  withRatios,
} from "../../scripts/bench/figures.ts";
import type {
  FigureName,
  ScenarioResult,
  Spread,
} from "../../scripts/bench/results.ts";
import { SCENARIOS } from "../../scripts/bench/scenarios.ts";

const at = (value: number): Spread => spreadOf([value]);

Deno.test("median() is the middle, or between the two of them", () => {
  assertEquals(median([3]), 3);
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([4, 1, 3, 2]), 2.5);
});

Deno.test("spreadOf() is the median, the least and the most", () => {
  assertEquals(spreadOf([9, 1, 5]), { median: 5, min: 1, max: 9 });
});

function sample(userUs: number, systemUs: number, p50Us?: number): Sample {
  return {
    requests: 1000,
    seconds: 2,
    cpu: { userUs, systemUs, totalUs: userUs + systemUs },
    latencyUs: p50Us === undefined
      ? {}
      : { p50Us, p99Us: 2 * p50Us, p999Us: 3 * p50Us },
  };
}

Deno.test("figuresOf() takes medians, and user time of all rounds", () => {
  const figures = figuresOf([
    sample(100, 900, 10),
    sample(300, 700, 30),
    // A round in which something else went on.
    sample(200, 7800, 50),
  ]);
  assertEquals(figures.cpuUs, { median: 1, min: 1, max: 8 });
  const { userUs, systemUs } = figures;
  assertAlmostEquals(userUs!.median, 600 / 10_000);
  assertAlmostEquals(userUs!.max, 8 * 600 / 10_000);
  assertAlmostEquals(userUs!.median + systemUs!.median, 1);
  assertEquals(figures.perSecond, at(500));
  assertEquals(figures.perCpuSecond?.median, 1_000_000);
  assertEquals(figures.p50Us, { median: 30, min: 10, max: 50 });
  assertEquals(figures.p999Us?.median, 90);
});

Deno.test("figuresOf() leaves out what a load did not say", () => {
  const names = Object.keys(figuresOf([sample(1, 2)]));
  assert(!names.includes("p50Us"), names.join());
  assert(names.includes("cpuUs"), names.join());
});

Deno.test("withRatios() compares each with the best of its rivals", () => {
  const peers = withRatios([
    { peer: "bare loop", figures: { cpuUs: at(1), perSecond: at(900) } },
    { peer: "denio", figures: { cpuUs: at(3), perSecond: at(300) } },
    { peer: "denio fibers", figures: { cpuUs: at(2), perSecond: at(400) } },
    { peer: "Deno", figures: { cpuUs: at(6), perSecond: at(150) } },
    { peer: "Go", figures: { cpuUs: at(12), perSecond: at(200) } },
  ]);
  const ratios = Object.fromEntries(
    peers.map(({ peer, toBest }) => [peer, toBest]),
  );
  assertEquals(ratios, {
    // Nobody is compared with what nobody can be better than.
    "bare loop": { cpuUs: 1 / 2, perSecond: 900 / 400 },
    // Nor one face of denio with the other.
    "denio": { cpuUs: 3 / 6, perSecond: 300 / 200 },
    "denio fibers": { cpuUs: 2 / 6, perSecond: 400 / 200 },
    "Deno": { cpuUs: 6 / 2, perSecond: 150 / 400 },
    "Go": { cpuUs: 12 / 2, perSecond: 200 / 400 },
  });
});

Deno.test("withRatios() says nothing, where there is nothing to divide by", () => {
  const [denio, nginx] = withRatios([
    { peer: "denio", figures: { bytesEach: at(400), cpuUs: at(1) } },
    { peer: "nginx", figures: { bytesEach: at(-3) }, note: "small" },
  ]);
  assertEquals(denio!.toBest, {});
  assertEquals(nginx!.toBest, { bytesEach: -3 / 400 });
  assertEquals(nginx!.note, "small");
});

Deno.test("cpuWithin() finds what was used between looks", () => {
  const look = (atMs: number, userUs: number, systemUs: number) => ({
    atMs,
    cpu: { userUs, systemUs, totalUs: 2 * userUs },
  });
  const looks = [look(0, 100, 0), look(10, 110, 40), look(20, 150, 60)];
  const all = { userUs: 50, systemUs: 60, totalUs: 100 };
  assertEquals(cpuWithin(looks, 0, 20), all);
  // Half of the first part and half of the second.
  const half = { userUs: 25, systemUs: 30, totalUs: 50 };
  assertEquals(cpuWithin(looks, 5, 15), half);
  // Nobody looked before the first, or after the last.
  assertEquals(cpuWithin(looks, -Infinity, 99), all);
});

/** A scenario in which each server has one figure. */
function scenario(
  name: string,
  figure: FigureName,
  peers: Readonly<Record<string, number>>,
): ScenarioResult {
  return {
    name,
    title: name,
    unit: "request",
    group: "http",
    peers: Object.entries(peers).map(([peer, value]) => ({
      peer,
      figures: { [figure]: at(value) },
      toBest: {},
    })),
  };
}

function budget(name: string, scenarios: readonly ScenarioResult[]) {
  const found = budgetsOf(scenarios).find((budget) => budget.name === name);
  assert(found !== undefined, `there is a budget "${name}"`);
  return [found.measured, found.met];
}

Deno.test("budgetsOf() divides denio's figure by the other's", () => {
  const name = "GET: user CPU of a request";
  const get = (
    denio: number,
  ) => [scenario("get", "userUs", { denio, Deno: 2 })];
  assertEquals(budget(name, get(0.9)), [0.45, true]);
  assertEquals(budget(name, get(1)), [0.5, false]);
});

Deno.test("budgetsOf() wants more, where more is better", () => {
  const name = "sixteen in a pipeline: requests per CPU second";
  const run = (denio: number) => [
    scenario("pipeline", "perCpuSecond", { denio, Deno: 100 }),
  ];
  assertEquals(budget(name, run(799)), [7.99, false]);
  assertEquals(budget(name, run(800)), [8, true]);
});

Deno.test("budgetsOf() subtracts, and takes figures as they are", () => {
  const scenarios = [
    scenario("latency-20ms", "p50Us", { denio: 330, Deno: 271 }),
    scenario("start", "startMs", { denio: 60, Deno: 44 }),
    scenario("idle", "bytesEach", { denio: 401, Deno: 18_000 }),
    scenario("idle-busy", "perSecond", { denio: 0.98 }),
    scenario("echo64", "userUs", { "denio fibers": 3, "Deno": 10 }),
  ];
  assertEquals(budget("a request every 20 ms: p50", scenarios), [59, true]);
  assertEquals(budget("start to first answer", scenarios), [16, false]);
  assertEquals(budget("memory of an idle connection", scenarios), [401, false]);
  const beside = "rate beside 15,000 idle connections";
  assertEquals(budget(beside, scenarios), [0.98, true]);
  const fibers = "echo, fibers: user CPU of a message";
  assertEquals(budget(fibers, scenarios), [0.3, true]);
});

Deno.test("budgetsOf() has no verdict on what was not run", () => {
  // Nor on what only one of the two took part in.
  const scenarios = [scenario("get", "userUs", { denio: 1 })];
  for (const { measured, met } of budgetsOf(scenarios)) {
    assertEquals([measured, met], [null, null]);
  }
});

Deno.test("budgetsOf() speaks of figures that scenarios give", () => {
  const names = new Set(SCENARIOS.map(({ name }) => name));
  assertEquals(names.size, SCENARIOS.length, "no name is given twice");
  const everywhere = SCENARIOS.map(({ name }) => ({
    ...scenario(name, "cpuUs", {}),
    peers: ["denio", "denio fibers", "Deno", "bare loop"].map((peer) => ({
      peer,
      figures: {
        userUs: at(1),
        cpuUs: at(1),
        perSecond: at(1),
        perCpuSecond: at(1),
        p50Us: at(1),
        systemCalls: at(1),
        bytesEach: at(1),
        startMs: at(1),
      },
      toBest: {},
    })),
  }));
  const silent = budgetsOf(everywhere).filter(({ met }) => met === null);
  assertEquals(silent, []);
});
