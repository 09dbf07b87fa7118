/**
 * Results of a benchmark that nobody has run: every scenario and every server,
 * with figures that could be. They are for tests of the report alone.
 *
 * @module
 */

import {
  type FigureName,
  FIGURES,
  type PeerResult,
  type Results,
  type ScenarioResult,
  type Spread,
} from "../../scripts/bench/results.ts";

type Medians = Partial<Record<FigureName, number>>;
type Cpu = readonly [userUs: number, systemUs: number];

const US_PER_SECOND = 1_000_000;
/** How far rounds lie apart. */
const LOW = 0.94;
const HIGH = 1.08;

/** User and system time of a request, by server. */
const HTTP: Readonly<Record<string, Cpu>> = {
  "bare loop": [0.15, 5.72],
  denio: [0.85, 5.8],
  Deno: [1.35, 5.64],
  node: [9.1, 9.03],
  Bun: [2.02, 5.61],
  uWebSockets: [1.1, 5.7],
  Go: [6.04, 8.1],
  nginx: [1.2, 5.63],
};
const TCP: Readonly<Record<string, Cpu>> = {
  "bare loop": [0.13, 5.5],
  denio: [0.36, 5.52],
  "denio fibers": [0.81, 5.53],
  Deno: [3.1, 5.6],
  node: [3.4, 5.9],
  Bun: [0.86, 5.5],
  Go: [1.02, 5.7],
};

/** In a pipeline these answer many requests in one write. */
const COALESCING = ["bare loop", "denio", "nginx"];
const COALESCED: Cpu = [0.25, 0.08];

/** Scenarios whose work is so many times that of a plain request's. */
const LOADS = [
  ["get", "GET, keep-alive", "http", 1, 1],
  ["pipeline", "GET, sixteen in a pipeline", "http", 0.8, 0.88],
  ["app", "a browser's GET, two headers read, JSON answered", "http", 4, 1.05],
  ["post", "POST of 1 KB JSON, parsed", "http", 6, 1.2],
  ["upload", "POST of 64 KiB, sent back", "http", 9, 6],
  ["big", "GET of 1 MiB", "http", 20, 60],
  [
    "sse",
    "server-sent events, 1,000 clients, 10 a second each",
    "http",
    1.4,
    0.8,
  ],
  ["churn", "connect, GET, close", "http", 5, 9],
  ["echo1", "TCP echo of 64 B, 1 connection", "tcp", 1.1, 1.2],
  ["echo64", "TCP echo of 64 B, 64 connections", "tcp", 1, 1],
  ["echo512", "TCP echo of 64 B, 512 connections", "tcp", 1, 1.1],
  ["echo64k", "TCP echo of 64 KiB, 64 connections", "tcp", 4, 7],
  [
    "idle-busy",
    "64 busy beside 15,000 idle: rate to that without them",
    "memory",
    1,
    1.04,
  ],
] as const;

const CONNECTIONS = [1, 8, 64, 512, 4096, 15_000];

const IDLE_BYTES: Readonly<Record<string, number>> = {
  "bare loop": 0,
  denio: 391,
  Deno: 18_300,
  node: 8_400,
  Bun: 901,
  uWebSockets: 512,
  Go: 15_806,
  nginx: 402,
};
const START_MS: Readonly<Record<string, number>> = {
  "bare loop": 1.2,
  denio: 48.3,
  Deno: 36.1,
  node: 41.7,
  Bun: 22.4,
  Go: 3.4,
  nginx: 6.1,
};

/** Returns the same results each time. */
export function sampleResults(): Results {
  return {
    format: 1,
    date: "2026-11-21T17:54:08.123Z",
    version: "0.0.0-sample",
    machine: {
      processor: "SAMPLE, no machine",
      cores: "2",
      system: "Linux 6.18.0 x86_64",
      Deno: "2.9.6 (V8 15.0.245.2)",
      Go: "1.24.4",
      nginx: "1.26.3",
    },
    rounds: 5,
    seconds: 3,
    notes: [
      "SAMPLE: these figures are made up, to see what a report looks like",
      "servers on core 0, load on core 1",
    ],
    missing: [{ peer: "h2o", reason: "it is not installed" }],
    scenarios: [...loads(), ...scaling(), ...others()],
    crossCheck: [
      { load: "wrk", scenario: "get", peer: "denio", cpuUs: 6.71 },
      { load: "wrk", scenario: "get", peer: "Deno", cpuUs: 7.05 },
      { load: "autocannon", scenario: "get", peer: "denio", cpuUs: 7.8 },
    ],
    budgets: [
      {
        name: "GET keep-alive: user CPU, of Deno's",
        wanted: "at most 0.45",
        measured: 0.63,
        met: false,
      },
      {
        name: "pipelined: requests per CPU second, times Deno's",
        wanted: "at least 8",
        measured: 9.42,
        met: true,
      },
      {
        name: "memory of an idle connection, bytes",
        wanted: "at most 400",
        measured: 391,
        met: true,
      },
      {
        name: "idle then request: p50 above Deno's, µs",
        wanted: "at most 60",
        measured: null,
        met: null,
      },
    ],
  };
}

function loads(): ScenarioResult[] {
  return LOADS.map(([name, title, group, user, system]) => {
    const costs = group === "tcp" ? TCP : HTTP;
    // nginx runs no handler.
    const hasHandler = !["app", "post", "upload", "sse"].includes(name);
    const peers = Object.entries(costs)
      .filter(([peer]) => hasHandler || peer !== "nginx")
      .map(([peer, [userUs, systemUs]]) => {
        const isOne = name === "pipeline" && COALESCING.includes(peer);
        const [byUser, bySystem] = isOne ? COALESCED : [user, system];
        const figures = loadOf(peer, userUs * byUser, systemUs * bySystem);
        // There it is a part of the rate without idle connections.
        const isKept = name === "idle-busy";
        return [peer, {
          ...figures,
          ...isKept && { perSecond: 1 - userUs / 90 },
        }] as const;
      });
    const unit = group === "tcp" ? "message" : "request";
    return scenario({ name, title, unit, group }, peers);
  });
}

function loadOf(peer: string, userUs: number, systemUs: number): Medians {
  const cpuUs = userUs + systemUs;
  const usesV8 = ["denio", "Deno", "node"].includes(peer);
  return {
    userUs,
    systemUs,
    cpuUs,
    perSecond: 0.5 * US_PER_SECOND / cpuUs,
    perCpuSecond: US_PER_SECOND / cpuUs,
    p50Us: 110 * cpuUs,
    p99Us: 190 * cpuUs,
    p999Us: 420 * cpuUs,
    systemCalls: systemUs / 2.8,
    residentBytes: 9_000_000 + 7_000_000 * userUs,
    ...usesV8 && { allocatedBytes: 240 * userUs },
  };
}

function scaling(): ScenarioResult[] {
  const byConnections = CONNECTIONS.map((connections) =>
    scenario(
      {
        name: `scale-${connections}`,
        title: `GET, ${connections.toLocaleString("en")} connections`,
        unit: "request",
        group: "scaling",
        connections,
      },
      Object.entries(HTTP).map(([peer, [userUs, systemUs]]) => {
        const more = 1 + Math.log10(connections) * 0.06 * userUs ** 0.5;
        return [peer, {
          ...loadOf(peer, userUs * more, systemUs * more),
          p99Us: (userUs + 9) * connections + 80,
        }];
      }),
    )
  );
  const byWorkers = [1, 2].map((workers) =>
    scenario(
      {
        name: `workers-${workers}`,
        title: workers === 1 ? "GET, 1 Worker" : "GET, 2 Workers",
        unit: "request",
        group: "scaling",
        connections: 64,
        workers,
      },
      ["denio", "Go"].map((peer) => {
        const [userUs, systemUs] = HTTP[peer]!;
        return [peer, { userUs, systemUs, ...workersOf(peer, workers) }];
      }),
    )
  );
  return [...byConnections, ...byWorkers];
}

function workersOf(peer: string, workers: number): Medians {
  const [userUs, systemUs] = HTTP[peer]!;
  const cpuUs = userUs + systemUs;
  return { cpuUs, perSecond: workers * 0.9 * US_PER_SECOND / cpuUs };
}

function others(): ScenarioResult[] {
  const lone = (p50Us: number) => ({
    p50Us,
    p99Us: p50Us * 1.9,
    p999Us: p50Us * 6.5,
  });
  return [
    scenario(
      {
        name: "latency",
        title: "one connection, one request after the other",
        unit: "request",
        group: "latency",
      },
      Object.entries(HTTP).map(([peer, [user]]) => [peer, lone(58 + 3 * user)]),
    ),
    ...[20, 50].map((intervalMs) =>
      scenario(
        {
          name: `latency-${intervalMs}ms`,
          title: `one connection, a request every ${intervalMs} ms`,
          unit: "request",
          group: "latency",
        },
        Object.entries(HTTP).map((
          [peer, [user]],
        ) => [peer, lone(165 + intervalMs * user)]),
      )
    ),
    scenario(
      {
        name: "idle",
        title: "memory of a connection that waits, 15,000 of them",
        unit: "connection",
        group: "memory",
      },
      Object.entries(IDLE_BYTES).map(([peer, bytesEach]) => [peer, {
        bytesEach,
        residentBytes: 9_000_000 + 15_000 * bytesEach,
      }]),
      { node: "only 12,000 connections: it ran out of descriptors" },
    ),
    scenario(
      {
        name: "start",
        title: "start to first answer",
        unit: "start",
        group: "start",
      },
      Object.entries(START_MS).map(([peer, startMs]) => [peer, { startMs }]),
    ),
  ];
}

/** Makes a scenario of the medians of its peers. */
function scenario(
  fields: Omit<ScenarioResult, "peers">,
  medians: readonly (readonly [peer: string, medians: Medians])[],
  notes: Readonly<Record<string, string>> = {},
): ScenarioResult {
  const peers = medians.map(([peer, own]): PeerResult => ({
    peer,
    figures: mapped(own, (value): Spread => ({
      median: rounded(value),
      min: rounded(value * LOW),
      max: rounded(value * HIGH),
    })),
    toBest: mapped(own, (value, figure) => {
      const others = medians.filter(([other]) =>
        other !== peer && other !== "bare loop"
      ).map(([, their]) => their[figure]).filter((theirs) =>
        theirs !== undefined
      );
      const best = FIGURES[figure].lessIsBetter
        ? Math.min(...others)
        : Math.max(...others);
      return others.length === 0 ? undefined : rounded(value / best);
    }),
    ...notes[peer] !== undefined && { note: notes[peer] },
  }));
  return { ...fields, peers };
}

function mapped<T>(
  medians: Medians,
  change: (value: number, figure: FigureName) => T | undefined,
): Partial<Record<FigureName, T>> {
  const entries = Object.entries(medians) as [FigureName, number][];
  return Object.fromEntries(
    entries.map(([figure, value]) => [figure, change(value, figure)])
      .filter(([, value]) => value !== undefined),
  );
}

function rounded(value: number): number {
  return Number(value.toPrecision(5));
}
