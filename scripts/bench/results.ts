/**
 * The results of a run of the benchmark. `deno task bench` writes them, `deno
 * task bench:report` reads them.
 *
 * The file is JSON with one line a figure, so that two runs can be compared
 * with `diff` and searched with `grep`. Readers compute ratios and budgets from
 * the figures.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { isBare, isOwn, SCENARIOS } from "./scenarios.ts";

/** Raised when the format changes. */
const FORMAT = 2;
/** A second run would not give more digits again. */
const DIGITS = 5;

const less = (title: string, unit = "") => ({ title, unit, sign: 1 });
const more = (title: string, unit = "") => ({ title, unit, sign: -1 });

/** A figure: its title, its unit, and whether less is better. */
export const FIGURES = {
  cpuUs: less("CPU", "µs"),
  ownUs: less("own part", "µs"),
  perSecond: more("rate", "/s"),
  rateKept: more("rate kept"),
  p50Us: less("p50", "µs"),
  p99Us: less("p99", "µs"),
  p999Us: less("p99.9", "µs"),
  maxUs: less("worst answer", "µs"),
  systemCalls: less("system calls"),
  bytesEach: less("memory of a connection", "bytes"),
  residentBytes: less("resident memory", "bytes"),
  startMs: less("start to first answer", "ms"),
};

/** The name of a figure, with its unit. */
export type FigureName = keyof typeof FIGURES;

/** Every figure's name, in the order of the tables. */
export const FIGURE_NAMES = Object.keys(FIGURES) as FigureName[];

/** Median, least and most over the rounds. */
export type Spread = readonly [median: number, min: number, max: number];

/** The figures of one server in one scenario. */
export type Figures = Partial<Record<FigureName, Spread>>;

/** A line of the file. */
type Line = readonly [
  scenario: string,
  peer: string,
  figure: FigureName,
  ...Spread,
];

/** The conditions of a run. */
export interface Run {
  /** When it began, in ISO 8601. */
  readonly date: string;
  /** denio's version. */
  readonly version: string;
  /** The machine, and the versions of the programs. */
  readonly machine: Readonly<Record<string, string>>;
  /** How often each server was measured in each scenario. */
  readonly rounds: number;
  /** How long each time. */
  readonly seconds: number;
  /** Lines about its conditions and failures. */
  readonly notes: readonly string[];
  /** Servers that could not take part, and why. */
  readonly missing: Readonly<Record<string, string>>;
}

const RUN_KEYS: readonly (keyof Run)[] = [
  ...["date", "version", "machine", "rounds"] as const,
  ...["seconds", "notes", "missing"] as const,
];

/** A run and its figures. */
export class Results {
  /** Its conditions. */
  readonly run: Run;
  readonly #figures = new Map<string, Map<string, Figures>>();

  /** Begins without a figure. */
  constructor(run: Run) {
    this.run = run;
  }

  /** Adds the figures of a server in a scenario. */
  add(scenario: string, peer: string, figures: Figures): void {
    const peers = this.#figures.get(scenario) ?? new Map<string, Figures>();
    this.#figures.set(scenario, peers);
    peers.set(peer, { ...peers.get(peer), ...figures });
  }

  /** Returns the scenarios that have figures, in the benchmark's order. */
  scenarios(): string[] {
    return SCENARIOS.map(({ name }) => name)
      .filter((name) => this.#figures.has(name));
  }

  /** Returns the servers that took part in a scenario. */
  peers(scenario: string): string[] {
    return [...this.#figures.get(scenario)?.keys() ?? []];
  }

  /** Returns the servers that have a figure, the best one first. */
  ranked(scenario: string, figure: FigureName): string[] {
    const { sign } = FIGURES[figure];
    const of = (peer: string) => this.median(scenario, peer, figure) * sign;
    return this.peers(scenario).filter((peer) => !Number.isNaN(of(peer)))
      .toSorted((one, other) => of(one) - of(other));
  }

  /** Returns a figure, if it was measured. */
  spread(
    scenario: string,
    peer: string,
    figure: FigureName,
  ): Spread | undefined {
    return this.#figures.get(scenario)?.get(peer)?.[figure];
  }

  /** Returns the median of a figure, `NaN` when it was not measured. */
  median(scenario: string, peer: string, figure: FigureName): number {
    return this.spread(scenario, peer, figure)?.[0] ?? NaN;
  }

  /** Returns the figures that a scenario's servers have. */
  figures(scenario: string): FigureName[] {
    return FIGURE_NAMES.filter((figure) =>
      this.peers(scenario).some((peer) => this.spread(scenario, peer, figure))
    );
  }

  /**
   * Returns the ratio of a server's figure to that of the best other server,
   * `NaN` when there is none. A bare loop is no server, and denio's faces are
   * not compared with each other.
   */
  toBest(scenario: string, peer: string, figure: FigureName): number {
    const best = this.ranked(scenario, figure).find((other) =>
      other !== peer && !isBare(other) && !(isOwn(peer) && isOwn(other))
    );
    const to = best === undefined ? 0 : this.median(scenario, best, figure);
    // A ratio to zero or less has no meaning.
    return to > 0 ? this.median(scenario, peer, figure) / to : NaN;
  }

  /** Returns the text of the file. */
  toText(): string {
    const head = JSON.stringify({ format: FORMAT, ...this.run });
    const lines = [...this.#lines()].map((line) => JSON.stringify(line));
    return `${head.slice(0, -1)},"figures":[\n${lines.join(",\n")}\n]}\n`;
  }

  /**
   * Returns the results that a text holds.
   *
   * @throws {Failure} when it holds none that this version can read.
   */
  static parse(text: string): Results {
    let value;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new Failure(`Cannot read results: ${(error as Error).message}`);
    }
    if (value?.format !== FORMAT) {
      throw new Failure(
        `Cannot read results: their format is "${value?.format}" and must be ` +
          `"${FORMAT}"; "deno task bench" writes them anew`,
      );
    }
    const absent = RUN_KEYS.find((key) => !Object.hasOwn(value, key));
    if (absent !== undefined || !Array.isArray(value.figures)) {
      const what = absent ?? "figures";
      throw new Failure(`Cannot read results: they have no "${what}"`);
    }
    const { format: _, figures, ...run } = value;
    const results = new Results(run);
    for (const line of figures) results.#addLine(line);
    return results;
  }

  #addLine(line: Line): void {
    const [scenario, peer, figure, ...spread] = line;
    const isKnown = SCENARIOS.some(({ name }) => name === scenario) &&
      Object.hasOwn(FIGURES, figure) && typeof peer === "string" &&
      spread.length === 3 && spread.every(Number.isFinite);
    if (isKnown) return this.add(scenario, peer, { [figure]: spread });
    throw new Failure(
      `Cannot read results: "${JSON.stringify(line)}" is no figure`,
    );
  }

  *#lines(): Generator<Line> {
    for (const scenario of this.scenarios()) {
      for (const peer of this.peers(scenario)) {
        for (const figure of FIGURE_NAMES) {
          const spread = this.spread(scenario, peer, figure);
          if (spread === undefined) continue;
          const [median, min, max] = spread.map((value) =>
            Number(value.toPrecision(DIGITS))
          );
          yield [scenario, peer, figure, median!, min!, max!];
        }
      }
    }
  }
}

/** Returns the median, the least and the most of some numbers, at least one. */
export function spreadOf(values: readonly number[]): Spread {
  return [median(values), Math.min(...values), Math.max(...values)];
}

/** Returns the middle of some numbers, of which there is at least one. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
