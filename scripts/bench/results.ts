/**
 * What a run of the benchmark leaves behind: its types, and how they are read
 * back. `deno task bench` writes them, `deno task bench:report` reads them.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { arrayOf, Place, recordOf } from "./json_place.ts";

/** Median and spread over rounds. */
export interface Spread {
  /** The middle. */
  readonly median: number;
  /** The least. */
  readonly min: number;
  /** The most. */
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

/** What came of one server in one scenario. */
export interface PeerResult {
  /** The server. */
  readonly peer: string;
  /** What was measured of it. */
  readonly figures: Partial<Record<FigureName, Spread>>;
  /**
   * Each figure's ratio to that of the best peer other than itself, the bare
   * loop and denio's other face left out; 1 is even.
   */
  readonly toBest: Partial<Record<FigureName, number>>;
  /** What a reader must know beside the figures. */
  readonly note?: string;
}

/** What scenarios are about. */
export type Group =
  | "http"
  | "tcp"
  | "latency"
  | "scaling"
  | "memory"
  | "start";

/** What came of one scenario. */
export interface ScenarioResult {
  /** The name that `--only` takes. */
  readonly name: string;
  /** What it is, for people. */
  readonly title: string;
  /** What figures are counted for: a request, message, event and so on. */
  readonly unit: string;
  /** What it is about. */
  readonly group: Group;
  /** Connections, in the group scaling. */
  readonly connections?: number;
  /** Workers, where they are what is scaled. */
  readonly workers?: number;
  /**
   * The servers that took part. In `idle-busy`, `perSecond` is a ratio: the
   * rate beside idle connections to that without them, in the same round.
   */
  readonly peers: readonly PeerResult[];
}

/** What is wanted of denio, and whether this run has shown it. */
export interface Budget {
  /** What is limited. */
  readonly name: string;
  /** The limit, for people. */
  readonly wanted: string;
  /** What was measured, `null` when its scenarios were not run. */
  readonly measured: number | null;
  /** Whether that is within the limit. */
  readonly met: boolean | null;
}

/** CPU of a request under another load generator. */
export interface CrossCheck {
  /** The load generator. */
  readonly load: string;
  /** The scenario. */
  readonly scenario: string;
  /** The server. */
  readonly peer: string;
  /** Its CPU for a request. */
  readonly cpuUs: number;
}

/** A server that could not take part. */
export interface MissingPeer {
  /** The server. */
  readonly peer: string;
  /** Why. */
  readonly reason: string;
}

/** What came of a run. */
export interface Results {
  /** Changes when the shape does. */
  readonly format: 1;
  /** When the run began, in ISO 8601. */
  readonly date: string;
  /** denio's version. */
  readonly version: string;
  /** Where it ran, and the versions of what took part. */
  readonly machine: Readonly<Record<string, string>>;
  /** How often each server was measured in each scenario. */
  readonly rounds: number;
  /** How long each time. */
  readonly seconds: number;
  /** Under which conditions, and what went wrong. */
  readonly notes: readonly string[];
  /** Servers that could not take part. */
  readonly missing: readonly MissingPeer[];
  /** The scenarios that were completed. */
  readonly scenarios: readonly ScenarioResult[];
  /** The same under other load generators; empty when that was not asked. */
  readonly crossCheck: readonly CrossCheck[];
  /** What is wanted, beside what was measured. */
  readonly budgets: readonly Budget[];
}

/** What a figure is called. */
export interface FigureTitle {
  /** For people. */
  readonly title: string;
  /** What it is counted in. */
  readonly unit: string;
  /** Whether less is better. */
  readonly lessIsBetter: boolean;
}

const less = (title: string, unit: string): FigureTitle => ({
  title,
  unit,
  lessIsBetter: true,
});
const more = (title: string, unit: string): FigureTitle => ({
  title,
  unit,
  lessIsBetter: false,
});

/** What each figure is called for people, its unit, and which way is better. */
export const FIGURES: Readonly<Record<FigureName, FigureTitle>> = {
  userUs: less("user CPU", "µs"),
  systemUs: less("system CPU", "µs"),
  cpuUs: less("CPU", "µs"),
  perSecond: more("per second", "1/s"),
  perCpuSecond: more("per CPU second", "1/s"),
  p50Us: less("p50", "µs"),
  p99Us: less("p99", "µs"),
  p999Us: less("p99.9", "µs"),
  systemCalls: less("system calls", ""),
  residentBytes: less("resident memory", "bytes"),
  bytesEach: less("memory of a connection", "bytes"),
  startMs: less("start to first answer", "ms"),
  allocatedBytes: less("allocated", "bytes"),
};

const GROUPS: readonly Group[] = [
  "http",
  "tcp",
  "latency",
  "scaling",
  "memory",
  "start",
];

/**
 * Returns the results that `text` holds.
 *
 * @throws {Failure} when it holds none: the place, what is there, and what
 * should be.
 */
export function parseResults(text: string): Results {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Failure(`Cannot read results: ${(error as Error).message}`);
  }
  return resultsAt(new Place("results", value));
}

function resultsAt(place: Place): Results {
  const format = place.get("format");
  if (format.value !== 1) throw format.unlike("1, the format this reads");
  return {
    format: 1,
    date: place.get("date").text(),
    version: place.get("version").text(),
    machine: recordOf(place.get("machine"), (entry) => entry.text()),
    rounds: place.get("rounds").number(),
    seconds: place.get("seconds").number(),
    notes: arrayOf(place.get("notes"), (note) => note.text()),
    missing: arrayOf(place.get("missing"), (entry) => ({
      peer: entry.get("peer").text(),
      reason: entry.get("reason").text(),
    })),
    scenarios: arrayOf(place.get("scenarios"), scenarioAt),
    crossCheck: arrayOf(place.get("crossCheck"), (entry) => ({
      load: entry.get("load").text(),
      scenario: entry.get("scenario").text(),
      peer: entry.get("peer").text(),
      cpuUs: entry.get("cpuUs").number(),
    })),
    budgets: arrayOf(place.get("budgets"), budgetAt),
  };
}

function scenarioAt(place: Place): ScenarioResult {
  const connections = place.get("connections").optional((at) => at.number());
  const workers = place.get("workers").optional((at) => at.number());
  return {
    name: place.get("name").text(),
    title: place.get("title").text(),
    unit: place.get("unit").text(),
    group: place.get("group").oneOf(GROUPS),
    ...connections === undefined ? {} : { connections },
    ...workers === undefined ? {} : { workers },
    peers: arrayOf(place.get("peers"), peerAt),
  };
}

function peerAt(place: Place): PeerResult {
  const note = place.get("note").optional((at) => at.text());
  return {
    peer: place.get("peer").text(),
    figures: figuresAt(place.get("figures"), (figure) => ({
      median: figure.get("median").number(),
      min: figure.get("min").number(),
      max: figure.get("max").number(),
    })),
    toBest: figuresAt(place.get("toBest"), (ratio) => ratio.number()),
    ...note === undefined ? {} : { note },
  };
}

function figuresAt<T>(
  place: Place,
  read: (entry: Place) => T,
): Partial<Record<FigureName, T>> {
  return recordOf(place, (entry, key) => {
    if (Object.hasOwn(FIGURES, key)) return read(entry);
    throw entry.unlike(`absent: figures are ${Object.keys(FIGURES)}`);
  });
}

function budgetAt(place: Place): Budget {
  return {
    name: place.get("name").text(),
    wanted: place.get("wanted").text(),
    measured: place.get("measured").orNull((at) => at.number()),
    met: place.get("met").orNull((at) => at.boolean()),
  };
}
