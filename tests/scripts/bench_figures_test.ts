import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { budgetsOf } from "../../scripts/bench/budgets.ts";
import { usWithin } from "../../scripts/bench/cpu.ts";
import { seenBy } from "../../scripts/bench/load.ts";
import { parseCores } from "../../scripts/bench/machine.ts";
import { figuresOf } from "../../scripts/bench/measure.ts";
import {
  FIGURE_NAMES,
  type FigureName,
  Results,
  spreadOf,
} from "../../scripts/bench/results.ts";
import { inTurns, orderOf } from "../../scripts/bench/rounds.ts";
import { SCENARIOS } from "../../scripts/bench/scenarios.ts";
import { parsePerf } from "../../scripts/bench/system_calls.ts";
import { Failure } from "../../scripts/command_line.ts";

/** Results with the same figures in each scenario. */
function resultsOf(
  peers: Readonly<Record<string, Partial<Record<FigureName, number>>>>,
): Results {
  const results = new Results({
    ...{ date: "", version: "", machine: {}, notes: [], missing: {} },
    ...{ rounds: 1, seconds: 1 },
  });
  for (const { name } of SCENARIOS) {
    for (const [peer, figures] of Object.entries(peers)) {
      const spreads = Object.entries(figures).map(([figure, value]) =>
        [figure, spreadOf([value])] as const
      );
      results.add(name, peer, Object.fromEntries(spreads));
    }
  }
  return results;
}

Deno.test("budgetsOf() divides, subtracts, and takes figures as they are", () => {
  const every = (value: number) =>
    Object.fromEntries(FIGURE_NAMES.map((figure) => [figure, value]));
  const results = resultsOf({
    "bare loop": every(2),
    "denio (epoll)": every(1),
    "denio": { ...every(1), p50Us: 330, rateKept: 0.98 },
    "denio fibers": every(0.5),
    "denio TCP": every(1),
    "Bun": every(2),
    "Deno": { ...every(4), p50Us: 271 },
  });
  const budgets = budgetsOf(results);
  const of = (name: string) => {
    const { measured, isMet } = budgets.find((each) => each.name === name)!;
    return [measured, isMet];
  };
  assertEquals(of("GET: own part"), [0.25, true]);
  assertEquals(of("GET: CPU"), [0.5, true]);
  assertEquals(of("echo, fibers: own part"), [0.125, true]);
  assertEquals(of("echo, callbacks: own part"), [0.25, false]);
  assertEquals(of("a request every 20 ms: p50"), [59, true]);
  assertEquals(of("WebSocket echo, 64 connections: CPU"), [0.5, true]);
  assertEquals(of("memory of an idle connection"), [1, true]);
  assertEquals(of("rate beside 15,000 idle ones"), [0.98, true]);
  // Every budget is about something that is measured.
  assert(budgets.every(({ measured }) => !Number.isNaN(measured)));
  const noisy = resultsOf({ denio: { ownUs: 1 }, Deno: { ownUs: -1 } });
  assertEquals(budgetsOf(noisy)[0]!.measured, NaN);
  for (const { measured, isMet } of budgetsOf(resultsOf({}))) {
    assertEquals([measured, isMet], [NaN, false]);
  }
});

Deno.test("figuresOf() takes medians, and own parts round by round", () => {
  const rounds = (...times: number[]) => times.map((cpuUs) => ({ cpuUs }));
  const figures = figuresOf(rounds(3, 9, 4), rounds(1, 6, 3));
  assertEquals(figures, { cpuUs: [4, 3, 9], ownUs: [2, 1, 3] });
  // What the load did not say is left out.
  assertEquals(figuresOf(rounds(1)), { cpuUs: [1, 1, 1] });
});

Deno.test("Results compare with the best other server, and come back from their text", () => {
  const results = resultsOf({
    "bare loop": { cpuUs: 1 },
    "bare ring": { cpuUs: 0.5 },
    "denio (poll)": { cpuUs: 2.5 },
    "denio": { cpuUs: 3, perSecond: 300 },
    "denio fibers": { cpuUs: 2, perSecond: 400 },
    "Deno": { cpuUs: 6, perSecond: 150 },
    "Go": { cpuUs: 12, perSecond: 200 },
  });
  const ratio = (peer: string, figure: FigureName) =>
    results.toBest("get", peer, figure);
  assertEquals(ratio("denio", "cpuUs"), 3 / 6);
  assertEquals(ratio("denio", "perSecond"), 300 / 200);
  assertEquals(ratio("Deno", "cpuUs"), 6 / 2);
  assertEquals(ratio("bare loop", "cpuUs"), 1 / 2);
  assertEquals(ratio("denio", "startMs"), NaN);
  assertEquals(results.ranked("get", "perSecond")[0], "denio fibers");

  const text = results.toText();
  assertEquals(Results.parse(text).toText(), text);
  const lines = text.split("\n");
  assert(lines.includes('["get","Go","cpuUs",12,12,12],'), lines[1]);
  for (
    const wrong of [
      "no JSON",
      "{}",
      text.replace('"format":2', '"format":1'),
      text.replace('"notes"', '"remarks"'),
      text.replace('"get"', '"got"'),
      text.replace("cpuUs", "userUs"),
      text.replace("12,12,12", "12,12,null"),
    ]
  ) assertThrows(() => Results.parse(wrong), Failure, "Cannot read results: ");
});

Deno.test("usWithin() finds what was used between looks", () => {
  const looks = [[0, 100], [10, 110], [20, 150]].map(([atMs, us]) => (
    { atMs: atMs!, us: us! }
  ));
  assertEquals(usWithin(looks, 0, 20), 50);
  // Half of the first part and half of the second.
  assertEquals(usWithin(looks, 5, 15), 25);
  // There is no reading before the first, or after the last.
  assertEquals(usWithin(looks, -Infinity, Infinity), 50);
});

Deno.test("orderOf() has none always after the same one, nor always first", () => {
  const orders = Array.from(
    { length: 6 },
    (_, r) => orderOf(["a", "b", "c"], r),
  );
  assertEquals(new Set(orders.map(([first]) => first)).size, 3);
  assertEquals(new Set(orders.map((order) => order.join(""))).size, 6);
  assertEquals(orderOf([], 3), []);
});

Deno.test("inTurns() drops a server that fails, but hides no bug", async () => {
  const dropped: string[] = [];
  const turns = {
    rounds: 2,
    warmUp: (peer: string) =>
      peer === "cold" ? Promise.reject(new Failure("cold")) : Promise.resolve(),
    measure: (peer: string, round: number) =>
      peer === "late" && round === 1
        ? Promise.reject(new Failure("late"))
        : Promise.resolve(`${peer}${round}`),
    drop: (peer: string) => void dropped.push(peer),
  };
  const samples = await inTurns(["a", "cold", "late"], turns);
  assertEquals([...samples], [["a", ["a0", "a1"]]]);
  assertEquals(dropped, ["cold", "late"]);
  const bug = { ...turns, measure: () => Promise.reject(new TypeError("bug")) };
  await assertRejects(() => inTurns(["a"], bug), TypeError);
});

Deno.test("seenBy() reads each load generator, and refuses wrong answers", () => {
  const own = '{"requests":9,"seconds":1.5,"secondsSince":0.5,"failures":0,' +
    '"firstFailure":null,"p50Us":1.0,"p99Us":2.0,"p999Us":3.0,"maxUs":4.0}\n';
  const latency = { p50Us: 1, p99Us: 2, p999Us: 3, maxUs: 4 };
  assertEquals(seenBy(own, 1000), {
    ...{ requests: 9, seconds: 1.5, endedMs: 500, latency },
  });
  const wrk = "Running 1s test\n  228123 requests in 3.05s, 30.00MB read\n";
  const { requests, seconds, endedMs } = seenBy(wrk, 1000);
  assertEquals([requests, seconds, endedMs], [228_123, 3.05, 1000]);
  for (
    const wrong of [
      own.replace('"failures":0', '"failures":1'),
      own.replace('"requests":9', '"requests":0'),
      `${wrk}  Non-2xx or 3xx responses: 7\n`,
      "wrk did not start",
    ]
  ) assertThrows(() => seenBy(wrong, 0), Failure, "requests failed and");
});

Deno.test("what the system prints is read", () => {
  assertEquals(parseCores("0-3,8"), [0, 1, 2, 3, 8]);
  assertEquals(parsePerf("12345,,raw_syscalls:sys_enter,9,100.00,,\n"), 12_345);
  assertEquals(parsePerf("<not counted>,,raw_syscalls:sys_enter,"), undefined);
});
