import { assertEquals, assertThrows } from "@std/assert";
import { parseResults, type Results } from "../../scripts/bench/results.ts";
import { Failure } from "../../scripts/command_line.ts";

const spread = { median: 2, min: 1, max: 3 };

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
      title: "GET",
      unit: "request",
      group: "http",
      peers: [
        {
          peer: "denio",
          figures: { userUs: spread, p999Us: spread },
          toBest: { userUs: 0.5 },
          note: "another note",
        },
        { peer: "Deno", figures: {}, toBest: {} },
      ],
    },
    {
      name: "scale-8",
      title: "eight",
      unit: "request",
      group: "scaling",
      connections: 8,
      workers: 2,
      peers: [],
    },
  ],
  crossCheck: [{ load: "wrk", scenario: "get", peer: "denio", cpuUs: 8 }],
  budgets: [
    { name: "GET", wanted: "at most 1", measured: 0.9, met: true },
    { name: "POST", wanted: "at most 1", measured: null, met: null },
  ],
};

Deno.test("parseResults() gives back what was written", () => {
  assertEquals(parseResults(JSON.stringify(RESULTS)), RESULTS);
});

Deno.test("parseResults() leaves out what it does not know", () => {
  const more = { ...RESULTS, weather: "fine" };
  assertEquals(parseResults(JSON.stringify(more)), RESULTS);
});

/** Changes that make results wrong, and what is said of them. */
const WRONG: readonly [change: (results: Wrong) => void, message: string][] = [
  [
    (results) => results.format = 2,
    "results.format is 2, and must be 1, the format this reads",
  ],
  [
    (results) => delete results.date,
    "results.date is missing, and must be a text",
  ],
  [
    (results) => results.machine.cores = 2,
    "results.machine.cores is 2, and must be a text",
  ],
  [
    (results) => results.notes = "none",
    'results.notes is "none", and must be an array',
  ],
  [
    (results) => results.scenarios[0].group = "https",
    'results.scenarios[0].group is "https", and must be one of http, tcp, ' +
    "latency, scaling, memory, start",
  ],
  [
    (results) => results.scenarios[1].connections = "8",
    'results.scenarios[1].connections is "8", and must be a number',
  ],
  [
    (results) => results.scenarios[0].peers[0].figures.userUs.max = null,
    "results.scenarios[0].peers[0].figures.userUs.max is null, and must be " +
    "a number",
  ],
  [
    (results) => results.scenarios[0].peers[1].toBest = [],
    "results.scenarios[0].peers[1].toBest is [], and must be an object",
  ],
  [
    (results) => results.budgets[1].met = "no",
    'results.budgets[1].met is "no", and must be true or false',
  ],
  [
    (results) => results.missing = [null],
    "results.missing[0] is null, and must be an object",
  ],
];

// deno-lint-ignore no-explicit-any -- it is to be made wrong
type Wrong = any;

for (const [change, message] of WRONG) {
  Deno.test(`parseResults() says that ${message}`, () => {
    const results = structuredClone(RESULTS);
    change(results);
    assertThrows(
      () => parseResults(JSON.stringify(results)),
      Failure,
      `Cannot read results: ${message}`,
    );
  });
}

Deno.test("parseResults() knows its figures", () => {
  const results: Wrong = structuredClone(RESULTS);
  results.scenarios[0].peers[0].figures.speed = spread;
  assertThrows(
    () => parseResults(JSON.stringify(results)),
    Failure,
    'figures.speed is {"median":2,"min":1,"max":3}, and must be absent',
  );
});

Deno.test("parseResults() refuses what is no JSON", () => {
  assertThrows(() => parseResults("{"), Failure, "Cannot read results: ");
  assertThrows(() => parseResults("3"), Failure, "results is 3, and must be");
});
