/**
 * The table that fills while the lab runs: on a terminal that is wide enough
 * each step is drawn over the last one, elsewhere each row is printed once.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { rows } from "../table.ts";
import type { Model } from "./models.ts";
import type { FigureName, Figures, LabResults, Row } from "./results.ts";

const MB = 1_000_000;
const KB = 1_000;
/** Behind the name of a model. */
const GAP = 2;
const UP = (lines: number) => `\x1b[${lines}A`;
const CLEAR_LINE = "\r\x1b[K";

const plain = (figure: number) => shown(figure);
const whole = (figure: number) => figure.toLocaleString("en");
const share = (figure: number) => `${Math.round(figure * 100)}%`;
const by = (unit: number) => (figure: number) => shown(figure / unit);

/** The columns behind the name: title, width, figure, and how it is shown. */
const COLUMNS: readonly [string, number, FigureName, typeof plain][] = [
  ["msg/s", 8, "perSecond", plain],
  ["p50", 7, "p50Us", plain],
  ["p99", 7, "p99Us", plain],
  ["CPU", 6, "cpuUs", plain],
  ["user", 6, "userUs", plain],
  ["kernel", 6, "systemUs", plain],
  ["rest", 5, "restShare", share],
  ["RAM", 6, "residentBytes", by(MB)],
  ["each", 5, "connectionBytes", by(KB)],
  ["threads", 7, "threads", whole],
  ["wait", 5, "voluntary", plain],
  ["taken", 5, "involuntary", plain],
  ["calls", 5, "systemCalls", plain],
];

/** Prints what the lab has measured. */
export class View {
  readonly #names: readonly string[];
  /** How wide the names are. */
  readonly #width: number;
  /** Whether a line can be drawn over: it must not wrap. */
  readonly #redraws: boolean;
  #lines: string[] = [];

  /** Makes a view of rows of these models. */
  constructor(models: readonly Model[]) {
    this.#names = models.map(({ name }) => name);
    this.#width = Math.max(...this.#names.map(({ length }) => length)) + GAP;
    const figures = COLUMNS.map(([, width]) => width + 1);
    const all = figures.reduce((sum, width) => sum + width, this.#width);
    this.#redraws = Deno.stdout.isTerminal() &&
      Deno.consoleSize().columns >= all;
  }

  /** Begins the table of a number of connections. */
  begin(connections: number, busy: number): void {
    const count = connections.toLocaleString("en");
    console.log(
      `\n${count} connection${connections === 1 ? "" : "s"}, ${
        busy === connections ? "all" : busy.toLocaleString("en")
      } busy`,
    );
    const head = COLUMNS.map(([title, width]) => title.padStart(width));
    this.#lines = ["", ...this.#names];
    this.#lines[0] = " ".repeat(this.#width) + head.join(" ");
    for (const line of this.#lines) {
      if (this.#redraws || line === this.#lines[0]) console.log(line);
    }
  }

  /** Shows what a model is doing. */
  step(model: string, step: string): void {
    if (this.#redraws) this.#draw(model, step);
  }

  /** Shows what a model has done. */
  done(row: Row): void {
    const { figures, cannot } = row;
    const text = figures === undefined
      ? `cannot: ${cannot?.seen}`
      : cellsOf(figures);
    if (this.#redraws) this.#draw(row.model, text);
    else console.log(row.model.padEnd(this.#width) + text);
  }

  /** Says why models could not hold the load. */
  end(rows: readonly Row[]): void {
    for (const { model, cannot } of rows) {
      if (cannot === undefined) continue;
      const why = cannot.why === null ? "" : `; it cannot hold ${cannot.why}`;
      console.log(`  ${model}: ${cannot.seen}${why}`);
    }
  }

  /** Draws the line of a model again. */
  #draw(model: string, text: string): void {
    const place = this.#names.indexOf(model) + 1;
    this.#lines[place] = model.padEnd(this.#width) + text;
    const up = this.#lines.length - place;
    const line = UP(up) + CLEAR_LINE + fit(this.#lines[place]!) +
      `\x1b[${up}B\r`;
    Deno.stdout.writeSync(new TextEncoder().encode(line));
  }
}

/** Returns lines with what a message costs, by model and connections. */
export function summaryLines(results: LabResults): string[] {
  const { connections, models } = results;
  if (connections.length < 2) return [];
  const head = ["", ...connections.map((count) => count.toLocaleString("en"))];
  const cell = (model: string, count: number, figure: FigureName) => {
    const row = results.rows.find((row) =>
      row.model === model && row.connections === count
    );
    if (row?.figures === undefined) return "cannot";
    const value = row.figures[figure];
    return value === null ? "-" : shown(value);
  };
  const table = (title: string, figure: FigureName) => {
    if (results.rows.every(({ figures }) => !figures?.[figure])) return [];
    const body = models.map(({ name }) => [
      name,
      ...connections.map((count) => cell(name, count, figure)),
    ]);
    return ["", title, ...rows(head, body)];
  };
  return [
    ...table("Processor time of a message, µs, by connections", "cpuUs"),
    ...table("Memory, bytes that a connection adds", "connectionBytes"),
  ];
}

function cellsOf(figures: Figures): string {
  return COLUMNS.map(([, width, name, show]) => {
    const figure = figures[name];
    return (figure === null ? "-" : show(figure)).padStart(width);
  }).join(" ");
}

/** Returns a number with the three digits that mean something. */
export function shown(figure: number): string {
  const digits = figure >= 100 ? 0 : figure >= 10 ? 1 : 2;
  const both = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return figure.toLocaleString("en", both);
}

/** Cuts a line that the terminal would wrap. */
function fit(line: string): string {
  return line.slice(0, Deno.consoleSize().columns - 1);
}
