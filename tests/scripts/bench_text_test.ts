import { assert, assertEquals, assertMatch } from "@std/assert";
import { spreadOf } from "../../scripts/bench/figures.ts";
import { COLOURS, reportLines } from "../../scripts/bench/report.ts";
import type {
  FigureName,
  PeerResult,
  Results,
} from "../../scripts/bench/results.ts";

const FIGURES: Readonly<Record<string, number>> = {
  userUs: 1.25,
  systemUs: 6.5,
  perSecond: 45_123,
  perCpuSecond: 1_234_567,
  p50Us: 812,
  p99Us: 5_120,
  p999Us: 12_345,
  systemCalls: 2.01,
  residentBytes: 60 * 1024 * 1024,
};

function busy(peer: string, cpuUs: number, toBest = {}): PeerResult {
  const figures = Object.fromEntries(
    Object.entries(FIGURES).map(([name, value]) => [name, spreadOf([value])]),
  );
  const cpu = { median: cpuUs, min: cpuUs, max: 1.1 * cpuUs };
  return { peer, figures: { ...figures, cpuUs: cpu }, toBest };
}

function one(peer: string, name: FigureName, value: number): PeerResult {
  return { peer, figures: { [name]: spreadOf([value]) }, toBest: {} };
}

const RESULTS: Results = {
  format: 1,
  date: "2026-11-21T10:00:00.000Z",
  version: "0.3.0",
  machine: { processor: "a fast one", cores: "2" },
  rounds: 5,
  seconds: 3,
  notes: ["a note"],
  missing: [{ peer: "nginx", reason: "there is no nginx on PATH" }],
  scenarios: [
    {
      name: "get",
      title: "GET, keep-alive",
      unit: "request",
      group: "http",
      peers: [
        busy("uWebSockets", 9.5),
        busy("denio", 7.75, { cpuUs: 0.816, p99Us: 1.5 }),
        busy("denio fibers", 8.5),
      ],
    },
    {
      name: "latency",
      title: "one connection",
      unit: "request",
      group: "latency",
      peers: [busy("Deno", 20, { p50Us: 1 })],
    },
    {
      name: "idle",
      title: "idle connections",
      unit: "connection",
      group: "memory",
      peers: [one("denio", "bytesEach", 399.6)],
    },
    {
      name: "idle-busy",
      title: "beside idle ones",
      unit: "request",
      group: "memory",
      peers: [{ ...one("denio", "perSecond", 0.981), note: "slow" }],
    },
    {
      name: "start",
      title: "start",
      unit: "start",
      group: "start",
      peers: [one("denio", "startMs", 61.25)],
    },
  ],
  crossCheck: [{ load: "wrk", scenario: "get", peer: "denio", cpuUs: 8 }],
  budgets: [
    { name: "GET", wanted: "at most 0.45", measured: 0.4321, met: true },
    { name: "idle", wanted: "at most 400 bytes", measured: 401, met: false },
    { name: "POST", wanted: "at most 0.5", measured: null, met: null },
  ],
};

const LINES = reportLines(RESULTS);
const TEXT = LINES.join("\n");

Deno.test("the bench report says where it ran, and who is missing", () => {
  assertMatch(TEXT, /^denio 0\.3\.0, 2026-11-21T/);
  assertMatch(TEXT, /^ {2}processor +a fast one$/m);
  assertMatch(TEXT, /^- a note$/m);
  assertMatch(TEXT, /^- without nginx: there is no nginx on PATH$/m);
});

Deno.test("the bench report has the best server first", () => {
  const title = LINES.indexOf("get: GET, keep-alive (µs a request)");
  const names = LINES.slice(title + 2, title + 5)
    .map((line) => /^ {2}(\S+(?: \S+)?)/.exec(line)?.[1]);
  assertEquals(names, ["denio", "denio fibers", "uWebSockets"]);
});

Deno.test("the bench report has every figure, and room for it", () => {
  assertMatch(
    TEXT,
    / {2}denio +1\.25 +6\.50 +7\.75 +10% +0\.82 +45\.1k +1\.23M +812 +5120 +12ms +2\.01 +60$/m,
  );
  assertMatch(TEXT, /denio to the best other: CPU 0\.82, p99 1\.50$/m);
  const long = LINES.filter((line) => line.length > 100);
  assertEquals(long, []);
});

Deno.test("the bench report shows what each scenario is about", () => {
  assertMatch(TEXT, /^ +p50 +p99 +p99\.9 +spread +to best/m);
  assertMatch(TEXT, /^ {2}denio +400 +- +- +-$/m);
  assertMatch(TEXT, /^ {2}denio +0\.981 +-/m);
  assertMatch(TEXT, /^ {2}denio: slow$/m);
  assertMatch(TEXT, /^ {2}denio +61\.3 +- +-$/m);
  assertMatch(TEXT, /^ {2}get by wrk, denio +8\.00$/m);
});

Deno.test("the bench report ends with what is wanted", () => {
  assertMatch(TEXT, /^ {2}GET +0\.432 {2}at most 0\.45: met$/m);
  assertMatch(TEXT, /^ {2}idle +401\.0 {2}at most 400 bytes: NOT MET$/m);
  assertMatch(TEXT, /^ {2}\(1 more that this run cannot tell\)$/m);
});

Deno.test("the bench report has colours only when it is asked for them", () => {
  assert(!TEXT.includes("\x1b"));
  assert(reportLines(RESULTS, COLOURS).join("\n").includes("\x1b[31mNOT MET"));
});
