/**
 * What is wanted of denio (section 6 of its design, and the counts and
 * latencies that were asked for beside it), and whether a run has shown it.
 *
 * @module
 */

import { FIBERS } from "./figures.ts";
import { BASELINE, LIMIT, SUBJECT } from "./peers.ts";
import type { Budget, FigureName, ScenarioResult } from "./results.ts";

/** Returns a median of a run; NaN when it was not measured. */
type Ask = (scenario: string, peer: string, figure: FigureName) => number;

/** A limit, and how a run is asked for what it limits. */
interface Wanted {
  readonly name: string;
  readonly wanted: string;
  readonly measure: (ask: Ask) => number;
  readonly isMet: (measured: number) => boolean;
}

/** A figure that must be at most so much. */
function atMost(
  limit: number,
  unit: string,
): Pick<Wanted, "wanted" | "isMet"> {
  return {
    wanted: `at most ${limit}${unit}`,
    isMet: (measured) => measured <= limit,
  };
}

/** A figure that must be at least so much. */
function atLeast(
  limit: number,
  unit: string,
): Pick<Wanted, "wanted" | "isMet"> {
  return {
    wanted: `at least ${limit}${unit}`,
    isMet: (measured) => measured >= limit,
  };
}

/** denio's figure in units of another's. */
function ratio(
  scenario: string,
  figure: FigureName,
  { of = SUBJECT, to = BASELINE } = {},
): Wanted["measure"] {
  return (ask) => ask(scenario, of, figure) / ask(scenario, to, figure);
}

/** By how much denio's figure is above that of Deno's. */
function above(scenario: string, figure: FigureName): Wanted["measure"] {
  return (ask) =>
    ask(scenario, SUBJECT, figure) - ask(scenario, BASELINE, figure);
}

/** denio's figure as it is. */
function own(scenario: string, figure: FigureName): Wanted["measure"] {
  return (ask) => ask(scenario, SUBJECT, figure);
}

const OF_SERVE = " of Deno.serve's";
const OF_LISTEN = " of Deno.listen's";

const CPU: readonly Wanted[] = [
  {
    name: "GET: user CPU of a request",
    ...atMost(0.45, OF_SERVE),
    measure: ratio("get", "userUs"),
  },
  {
    name: "GET: CPU of a request",
    ...atMost(1.1, " of the bare loop's"),
    measure: ratio("get", "cpuUs", { to: LIMIT }),
  },
  {
    name: "sixteen in a pipeline: requests per CPU second",
    ...atLeast(8, OF_SERVE),
    measure: ratio("pipeline", "perCpuSecond"),
  },
  {
    name: "browser's GET: user CPU of a request",
    ...atMost(0.5, OF_SERVE),
    measure: ratio("app", "userUs"),
  },
  {
    name: "POST of JSON: user CPU of a request",
    ...atMost(0.5, OF_SERVE),
    measure: ratio("post", "userUs"),
  },
  {
    name: "echo, callbacks: user CPU of a message",
    ...atMost(0.15, OF_LISTEN),
    measure: ratio("echo64", "userUs"),
  },
  {
    name: "echo, fibers: user CPU of a message",
    ...atMost(0.3, OF_LISTEN),
    measure: ratio("echo64", "userUs", { of: FIBERS }),
  },
];

const REST: readonly Wanted[] = [
  {
    name: "memory of an idle connection",
    ...atMost(400, " bytes"),
    measure: own("idle", "bytesEach"),
  },
  {
    name: "rate beside 15,000 idle connections",
    ...atLeast(0.97, " of that without"),
    measure: own("idle-busy", "perSecond"),
  },
  {
    name: "start to first answer",
    ...atMost(15, " ms above Deno.serve's"),
    measure: above("start", "startMs"),
  },
  {
    name: "one connection: p50",
    ...atMost(1.1, OF_SERVE),
    measure: ratio("latency", "p50Us"),
  },
  {
    name: "a request every 20 ms: p50",
    ...atMost(60, " µs above Deno.serve's"),
    measure: above("latency-20ms", "p50Us"),
  },
  {
    name: "a request every 50 ms: p50",
    ...atMost(60, " µs above Deno.serve's"),
    measure: above("latency-50ms", "p50Us"),
  },
  {
    name: "GET: system calls of a request",
    ...atMost(2.1, ""),
    measure: own("get", "systemCalls"),
  },
  {
    name: "sixteen in a pipeline: system calls of a request",
    ...atMost(0.2, ""),
    measure: own("pipeline", "systemCalls"),
  },
];

/** Returns what is wanted, and what a run's scenarios say of it. */
export function budgetsOf(scenarios: readonly ScenarioResult[]): Budget[] {
  const ask: Ask = (scenario, peer, figure) => {
    const { peers = [] } = scenarios.find(({ name }) => name === scenario) ??
      {};
    const result = peers.find((result) => result.peer === peer);
    return result?.figures[figure]?.median ?? NaN;
  };
  return [...CPU, ...REST].map(({ name, wanted, measure, isMet }) => {
    const measured = measure(ask);
    return Number.isFinite(measured)
      ? { name, wanted, measured, met: isMet(measured) }
      : { name, wanted, measured: null, met: null };
  });
}
