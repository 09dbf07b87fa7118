/**
 * What is promised of denio, and whether a run has shown it.
 *
 * Most budgets limit an **own part**: the whole CPU of a request less that of
 * the bare epoll loop in the same rounds. The rest of it is the kernel's work,
 * which is the same for all servers.
 *
 * @module
 */

import { BASELINE, FIBERS, LIMIT, SUBJECT } from "./names.ts";
import type { FigureName, Results } from "./results.ts";

/** A budget beside what a run has measured. */
export interface Budget {
  /** What is limited. */
  readonly name: string;
  /** The limit, for people. */
  readonly wanted: string;
  /** What was measured, `NaN` when its scenarios were not run. */
  readonly measured: number;
  /** Whether that is within the limit. */
  readonly isMet: boolean;
}

/** A limit: its name, its value, its unit, and what is held against it. */
type Wanted = readonly [
  name: string,
  limit: number,
  unit: string,
  measure: (results: Results) => number,
];

const OF_SERVE = " of Deno.serve's";
const OF_LISTEN = " of Deno.listen's";
const OF_LIMIT = " of the bare loop's";
const ABOVE_SERVE = " above Deno.serve's";

type Measure = Wanted[3];

/** Returns denio's figure in units of another server's. */
function ratio(
  scenario: string,
  figure: FigureName,
  { of = SUBJECT, to = BASELINE } = {},
): Measure {
  return (run) =>
    run.median(scenario, of, figure) / run.median(scenario, to, figure);
}

/** Returns by how much denio's figure is above that of Deno. */
function above(scenario: string, figure: FigureName): Measure {
  return (run) =>
    run.median(scenario, SUBJECT, figure) -
    run.median(scenario, BASELINE, figure);
}

/** Returns denio's figure as it is. */
function plain(scenario: string, figure: FigureName): Measure {
  return (run) => run.median(scenario, SUBJECT, figure);
}

const AT_MOST: readonly Wanted[] = [
  ["GET: own part", 0.5, OF_SERVE, ratio("get", "ownUs")],
  ["GET: CPU", 1, OF_LIMIT, ratio("get", "cpuUs", { to: LIMIT })],
  [
    "GET, 512 connections: CPU",
    0.9,
    OF_LIMIT,
    ratio("scale-512", "cpuUs", { to: LIMIT }),
  ],
  ["one connection: CPU", 1, OF_SERVE, ratio("latency", "cpuUs")],
  ["sixteen in a pipeline: CPU", 1 / 8, OF_SERVE, ratio("pipeline", "cpuUs")],
  [
    "sixteen in a pipeline, URL read: CPU",
    1 / 8,
    OF_SERVE,
    ratio("pipeline-url", "cpuUs"),
  ],
  ["a browser's GET: own part", 0.5, OF_SERVE, ratio("app", "ownUs")],
  ["POST of JSON: own part", 0.35, OF_SERVE, ratio("post", "ownUs")],
  ["echo, callbacks: own part", 0.08, OF_LISTEN, ratio("echo64", "ownUs")],
  [
    "echo, fibers: own part",
    0.25,
    OF_LISTEN,
    ratio("echo64", "ownUs", { of: FIBERS }),
  ],
  ["connect, GET, close: CPU", 1, OF_SERVE, ratio("churn", "cpuUs")],
  ["memory of an idle connection", 400, " bytes", plain("idle", "bytesEach")],
  ["one connection: p50", 1.1, OF_SERVE, ratio("latency", "p50Us")],
  [
    "a request every 20 ms: p50",
    60,
    ` µs${ABOVE_SERVE}`,
    above("latency-20ms", "p50Us"),
  ],
  [
    "a request every 50 ms: p50",
    60,
    ` µs${ABOVE_SERVE}`,
    above("latency-50ms", "p50Us"),
  ],
  ["beside 64 logins: worst answer", 2, OF_SERVE, ratio("logins", "maxUs")],
  [
    "start to first answer",
    15,
    ` ms${ABOVE_SERVE}`,
    above("start", "startMs"),
  ],
  ["GET: system calls", 2.1, " a request", plain("get", "systemCalls")],
  [
    "sixteen in a pipeline: system calls",
    0.2,
    " a request",
    plain("pipeline", "systemCalls"),
  ],
];

const AT_LEAST: readonly Wanted[] = [
  [
    "beside 15,000 idle connections: rate",
    0.97,
    " of the rate without them",
    plain("idle-busy", "rateKept"),
  ],
];

/** Returns every budget, and what a run says of it. */
export function budgetsOf(results: Results): Budget[] {
  const judged = (
    [name, limit, unit, measure]: Wanted,
    words: string,
    isWithin: (measured: number) => boolean,
  ) => {
    const measured = measure(results);
    const wanted = `${words} ${limit}${unit}`;
    return { name, wanted, measured, isMet: isWithin(measured) };
  };
  return [
    ...AT_MOST.map((wanted) =>
      judged(wanted, "at most", (measured) => measured <= wanted[1])
    ),
    ...AT_LEAST.map((wanted) =>
      judged(wanted, "at least", (measured) => measured >= wanted[1])
    ),
  ];
}
