/**
 * What the benchmark writes and its report reads: medians and spreads of each
 * figure, by scenario and by server.
 *
 * @module
 */

import { Failure } from "../command_line.ts";

/** Median and spread over rounds. */
export interface Spread {
  /** The middle of the rounds. */
  readonly median: number;
  /** The smallest of them. */
  readonly min: number;
  /** The largest of them. */
  readonly max: number;
}

/** Names of what is measured. Units in the name. */
export type FigureName =
  | "userUs"
  | "systemUs"
  | "cpuUs"
  | "perSecond"
  | "perCpuSecond"
  | "p50Us"
  | "p99Us"
  | "p999Us"
  | "systemCalls"
  | "residentBytes"
  | "bytesEach"
  | "startMs"
  | "allocatedBytes";

/** One server in one scenario. */
export interface PeerResult {
  /** The server. */
  readonly peer: string;
  /** What was measured of it. */
  readonly figures: Partial<Record<FigureName, Spread>>;
  /**
   * The ratio to the best other peer than itself, the bare loop left out; 1 is
   * even.
   */
  readonly toBest: Partial<Record<FigureName, number>>;
  /** What a reader must know of it. */
  readonly note?: string;
}

/** One way to put load on every server. */
export interface ScenarioResult {
  /** What `--only` takes. */
  readonly name: string;
  /** What it is called for people. */
  readonly title: string;
  /** "request", "message", "event", "connection" or "start". */
  readonly unit: string;
  /** What kind of scenario it is. */
  readonly group: "http" | "tcp" | "latency" | "scaling" | "memory" | "start";
  /** Connections, in the group scaling. */
  readonly connections?: number;
  /** Workers, where they are what is varied. */
  readonly workers?: number;
  /** The servers that took part. */
  readonly peers: readonly PeerResult[];
}

/** What was promised, and what became of it. */
export interface Budget {
  /** What it is about. */
  readonly name: string;
  /** What was promised. */
  readonly wanted: string;
  /** What was found; `null` when it was not measured. */
  readonly measured: number | null;
  /** Whether the promise is kept; `null` when it was not measured. */
  readonly met: boolean | null;
}

/** A whole run. */
export interface Results {
  /** The version of this form. */
  readonly format: 1;
  /** When it began, as ISO 8601 has it. */
  readonly date: string;
  /** denio's version. */
  readonly version: string;
  /** The machine, by what is described. */
  readonly machine: Readonly<Record<string, string>>;
  /** How often each server was measured. */
  readonly rounds: number;
  /** How long each time. */
  readonly seconds: number;
  /** What a reader must know. */
  readonly notes: readonly string[];
  /** Servers that took no part, and why. */
  readonly missing: readonly {
    readonly peer: string;
    readonly reason: string;
  }[];
  /** What was measured. */
  readonly scenarios: readonly ScenarioResult[];
  /** The same by other load generators. */
  readonly crossCheck: readonly {
    readonly load: string;
    readonly scenario: string;
    readonly peer: string;
    readonly cpuUs: number;
  }[];
  /** What was promised. */
  readonly budgets: readonly Budget[];
}

/** What a figure is called, and how to read it. */
interface FigureTitle {
  /** What it is called for people. */
  readonly title: string;
  /** What it counts. */
  readonly unit: string;
  /** Whether less of it is better. */
  readonly lessIsBetter: boolean;
}

/** What each figure is called for people, its unit, and what is better. */
export const FIGURES: Readonly<Record<FigureName, FigureTitle>> = {
  userUs: { title: "user CPU", unit: "µs", lessIsBetter: true },
  systemUs: { title: "system CPU", unit: "µs", lessIsBetter: true },
  cpuUs: { title: "CPU", unit: "µs", lessIsBetter: true },
  perSecond: { title: "per second", unit: "", lessIsBetter: false },
  perCpuSecond: { title: "per CPU second", unit: "", lessIsBetter: false },
  p50Us: { title: "p50", unit: "µs", lessIsBetter: true },
  p99Us: { title: "p99", unit: "µs", lessIsBetter: true },
  p999Us: { title: "p99.9", unit: "µs", lessIsBetter: true },
  systemCalls: { title: "system calls", unit: "", lessIsBetter: true },
  residentBytes: { title: "memory", unit: "bytes", lessIsBetter: true },
  bytesEach: { title: "memory each", unit: "bytes", lessIsBetter: true },
  startMs: { title: "start", unit: "ms", lessIsBetter: true },
  allocatedBytes: { title: "allocated", unit: "bytes", lessIsBetter: true },
};

const GROUPS = ["http", "tcp", "latency", "scaling", "memory", "start"];

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown, where: string) => void;

/**
 * Returns the results that `text` is the JSON of.
 *
 * @throws {Failure} when it is something else, with the place that is wrong.
 */
export function parseResults(text: string): Results {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Failure(`it is no JSON: ${(error as Error).message}`);
  }
  const results = fieldsOf(value, "it");
  if (results.format !== 1) {
    throw wrong("format", results.format, "1");
  }
  for (const [name, check] of Object.entries(RESULTS)) {
    check(results[name], name);
  }
  return value as Results;
}

const isText: Check = (value, where) => {
  if (typeof value !== "string") throw wrong(where, value, "a text");
};

const isNumber: Check = (value, where) => {
  if (typeof value !== "number") throw wrong(where, value, "a number");
};

const isGroup: Check = (value, where) => {
  if (GROUPS.includes(value as string)) return;
  throw wrong(where, value, `one of ${GROUPS.join(", ")}`);
};

const isSpread: Check = (value, where) =>
  isRecord({ median: isNumber, min: isNumber, max: isNumber })(value, where);

const isPeer: Check = (value, where) =>
  isRecord({
    peer: isText,
    figures: isFigures(isSpread),
    toBest: isFigures(isNumber),
    note: maybe(isText),
  })(value, where);

const isScenario: Check = (value, where) =>
  isRecord({
    name: isText,
    title: isText,
    unit: isText,
    group: isGroup,
    connections: maybe(isNumber),
    workers: maybe(isNumber),
    peers: isList(isPeer),
  })(value, where);

const isMet: Check = (value, where) => {
  if (value === null || typeof value === "boolean") return;
  throw wrong(where, value, "true, false or null");
};

const isMeasured: Check = (value, where) => {
  if (value !== null) isNumber(value, where);
};

/** What results are made of. */
const RESULTS: Readonly<Record<string, Check>> = {
  date: isText,
  version: isText,
  machine: (value, where) => {
    for (const [name, text] of Object.entries(fieldsOf(value, where))) {
      isText(text, `${where}.${name}`);
    }
  },
  rounds: isNumber,
  seconds: isNumber,
  notes: isList(isText),
  missing: isList(isRecord({ peer: isText, reason: isText })),
  scenarios: isList(isScenario),
  crossCheck: isList(isRecord({
    load: isText,
    scenario: isText,
    peer: isText,
    cpuUs: isNumber,
  })),
  budgets: isList(isRecord({
    name: isText,
    wanted: isText,
    measured: isMeasured,
    met: isMet,
  })),
};

function isRecord(checks: Readonly<Record<string, Check>>): Check {
  return (value, where) => {
    const fields = fieldsOf(value, where);
    for (const [name, check] of Object.entries(checks)) {
      check(fields[name], `${where}.${name}`);
    }
  };
}

function isList(check: Check): Check {
  return (value, where) => {
    if (!Array.isArray(value)) throw wrong(where, value, "a list");
    value.forEach((item, index) => check(item, `${where}[${index}]`));
  };
}

function isFigures(check: Check): Check {
  return (value, where) => {
    for (const [name, item] of Object.entries(fieldsOf(value, where))) {
      if (!Object.hasOwn(FIGURES, name)) {
        throw new Failure(`${where} has an unknown figure "${name}"`);
      }
      check(item, `${where}.${name}`);
    }
  };
}

function maybe(check: Check): Check {
  return (value, where) => {
    if (value !== undefined) check(value, where);
  };
}

function fieldsOf(value: unknown, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Fields;
  }
  throw wrong(where, value, "an object");
}

function wrong(where: string, value: unknown, right: string): Failure {
  const shown = JSON.stringify(value)?.slice(0, 40) ?? "missing";
  return new Failure(`${where} is ${shown} and must be ${right}`);
}
