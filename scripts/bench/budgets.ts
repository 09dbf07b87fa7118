/**
 * The limits that denio promises, and whether a run has shown them.
 *
 * Most budgets limit an **own part**: the whole CPU of a request without that
 * of the bare epoll loop in the same rounds, which is the kernel's work and
 * the same for all servers.
 *
 * @module
 */

import {
  BASELINE,
  BUN,
  FIBERS,
  LIMIT,
  onBackend,
  OVER_TCP,
  SUBJECT,
} from "./scenarios.ts";
import type { FigureName, Results } from "./results.ts";

/** A budget beside what a run has measured. */
export interface Budget {
  /** The figure that is limited. */
  readonly name: string;
  /** The limit, for people. */
  readonly wanted: string;
  /** The measured value, `NaN` when its scenarios were not run. */
  readonly measured: number;
  /** Whether that is within the limit. */
  readonly isMet: boolean;
}

/** The figure that denio's figure is compared with. */
interface Measure {
  /** The limit's unit, for people. */
  readonly unit: string;
  /** Returns the value, from the median of a server. */
  readonly of: (median: (peer: string) => number) => number;
  /** Whether the limit is the least that is allowed, and not the most. */
  readonly isLeast?: true;
}

const ratio = (unit: string, to = BASELINE, of = SUBJECT): Measure => ({
  unit: ` of ${unit}`,
  // In a noisy run the bare loop may need more than a server: no verdict then.
  of: (median) => median(to) > 0 ? median(of) / median(to) : NaN,
});
const above = (unit: string): Measure => ({
  unit: ` ${unit} above Deno.serve's`,
  of: (median) => median(SUBJECT) - median(BASELINE),
});
const plain = (unit: string): Measure => ({
  unit: ` ${unit}`,
  of: (median) => median(SUBJECT),
});

const SERVE = ratio("Deno.serve's");
const LISTEN = ratio("Deno.listen's");
const FIBERS_LISTEN = ratio("Deno.listen's", BASELINE, FIBERS);
const LOOP = ratio("the bare loop's", LIMIT);
const EPOLL = ratio("what it needs on epoll", onBackend("epoll"));
const BUNS = ratio("Bun's", BUN);
const TCP = ratio("its TCP echo's", OVER_TCP);
const CALLS = plain("a request");
const KEPT: Measure = { ...plain("of the rate without them"), isLeast: true };

/** Names, the scenario and the figure, the limit, and what it is a limit of. */
const BUDGETS: readonly (readonly [
  name: string,
  scenario: string,
  figure: FigureName,
  limit: number,
  measure: Measure,
])[] = [
  ["GET: own part", "get", "ownUs", 0.5, SERVE],
  ["GET: CPU", "get", "cpuUs", 1, LOOP],
  ["GET, 512 connections: CPU", "scale-512", "cpuUs", 0.9, LOOP],
  ["one connection: CPU", "latency", "cpuUs", 1, SERVE],
  ["one connection, beside epoll: CPU", "latency", "cpuUs", 1, EPOLL],
  ["16 in a pipeline: CPU", "pipeline", "cpuUs", 1 / 8, SERVE],
  ["16 in a pipeline, URL read: CPU", "pipeline-url", "cpuUs", 1 / 8, SERVE],
  ["a browser's GET: own part", "app", "ownUs", 0.5, SERVE],
  ["POST of JSON: own part", "post", "ownUs", 0.35, SERVE],
  ["echo, callbacks: own part", "echo64", "ownUs", 0.08, LISTEN],
  ["echo, callbacks: CPU", "echo64", "cpuUs", 0.95, LOOP],
  ["echo, fibers: own part", "echo64", "ownUs", 0.25, FIBERS_LISTEN],
  ["WebSocket echo, 64 connections: CPU", "ws-64", "cpuUs", 1, BUNS],
  ["WebSocket echo, 512 connections: CPU", "ws-512", "cpuUs", 1, BUNS],
  ["WebSocket echo beside TCP: CPU", "ws-64", "cpuUs", 1.15, TCP],
  ["message to 10,000 WebSockets: CPU", "ws-publish", "cpuUs", 0.7, BUNS],
  ["connect, GET, close: CPU", "churn", "cpuUs", 1, SERVE],
  ["memory of an idle connection", "idle", "bytesEach", 400, plain("bytes")],
  ["an idle WebSocket", "ws-idle", "bytesEach", 700, plain("bytes")],
  ["it, compressed", "ws-idle-deflate", "bytesEach", 1_000, plain("bytes")],
  ["rate beside 15,000 idle ones", "idle-busy", "rateKept", 0.97, KEPT],
  ["one connection: p50", "latency", "p50Us", 1.1, SERVE],
  ["a request every 20 ms: p50", "latency-20ms", "p50Us", 60, above("µs")],
  ["a request every 50 ms: p50", "latency-50ms", "p50Us", 60, above("µs")],
  ["beside 64 logins: worst answer", "logins", "maxUs", 2, SERVE],
  ["start to first answer", "start", "startMs", 15, above("ms")],
  ["GET: system calls", "get", "systemCalls", 2.1, CALLS],
  ["16 in a pipeline: system calls", "pipeline", "systemCalls", 0.2, CALLS],
];

/** Returns every budget, with the verdict of a run. */
export function budgetsOf(results: Results): Budget[] {
  return BUDGETS.map(([name, scenario, figure, limit, measure]) => {
    const { unit, of, isLeast } = measure;
    const measured = of((peer) => results.median(scenario, peer, figure));
    return {
      name,
      wanted: `at ${isLeast ? "least" : "most"} ${limit}${unit}`,
      measured,
      isMet: isLeast ? measured >= limit : measured <= limit,
    };
  });
}
