/**
 * Says to people what was measured: a table for each scenario, and what is
 * wanted beside what there is.
 *
 * @module
 */

import { type Row, rows } from "../table.ts";
import { SUBJECT } from "./peers.ts";
import {
  type Budget,
  type CrossCheck,
  type FigureName,
  FIGURES,
  type PeerResult,
  type Results,
  type ScenarioResult,
} from "./results.ts";

const BYTES_PER_MIB = 1024 * 1024;
const KILO = 1_000;
const MEGA = 1_000_000;
const US_PER_MS = 1_000;
/** From here on milliseconds read better than microseconds. */
const US_MAX = 10_000;
const PERCENT = 100;

/** How words are made to stand out. */
export interface Style {
  /** For what matters. */
  readonly strong: (text: string) => string;
  /** For what is as it should be. */
  readonly good: (text: string) => string;
  /** For what is not. */
  readonly bad: (text: string) => string;
}

const as = (text: string) => text;
/** No colours, for files and programs. */
export const PLAIN: Style = { strong: as, good: as, bad: as };

const escape = (code: number) => (text: string) => `\x1b[${code}m${text}\x1b[m`;
/** For terminals. */
export const COLOURS: Style = {
  strong: escape(1),
  good: escape(32),
  bad: escape(31),
};

/** A column of a table. */
interface Column {
  readonly head: string;
  readonly cell: (result: PeerResult) => string;
}

/** A column with the median of a figure. */
function column(
  head: string,
  name: FigureName,
  write: (value: number) => string,
): Column {
  return {
    head,
    cell({ figures }) {
      const value = figures[name]?.median;
      return value === undefined ? "-" : write(value);
    },
  };
}

/** A column with a figure's ratio to the best of the others. */
function toBest(name: FigureName): Column {
  return {
    head: "to best",
    cell({ toBest }) {
      const ratio = toBest[name];
      return ratio === undefined ? "-" : ratio.toFixed(2);
    },
  };
}

/** A column with how far apart the rounds were, in per cent of the median. */
function spread(name: FigureName): Column {
  return {
    head: "spread",
    cell({ figures }) {
      const { median, min, max } = figures[name] ?? {};
      // Of one round there is none.
      if (!median || min === max) return "-";
      return `${Math.round((max! - min!) / median * PERCENT)}%`;
    },
  };
}

const LATENCIES: readonly Column[] = [
  column("p50", "p50Us", microseconds),
  column("p99", "p99Us", microseconds),
  column("p99.9", "p999Us", microseconds),
];
const CPU: readonly Column[] = [
  column("user", "userUs", digits),
  column("sys", "systemUs", digits),
  column("CPU", "cpuUs", digits),
  spread("cpuUs"),
];
const MEMORY = column("MiB", "residentBytes", mebibytes);
const CALLS = column("calls", "systemCalls", (value) => value.toFixed(2));

const BUSY_COLUMNS: readonly Column[] = [
  ...CPU,
  toBest("cpuUs"),
  column("/s", "perSecond", short),
  column("/CPU s", "perCpuSecond", short),
  ...LATENCIES,
  CALLS,
  MEMORY,
];

/** What each scenario shows, and what its rows are sorted by. */
interface Layout {
  readonly by: FigureName;
  readonly columns: readonly Column[];
}

const BUSY: Layout = { by: "cpuUs", columns: BUSY_COLUMNS };
const LATENCY: Layout = {
  by: "p50Us",
  columns: [...LATENCIES, spread("p50Us"), toBest("p50Us"), ...CPU, CALLS],
};
const BY_NAME: Readonly<Record<string, Layout>> = {
  "idle": {
    by: "bytesEach",
    columns: [
      column("bytes each", "bytesEach", (value) => value.toFixed(0)),
      spread("bytesEach"),
      toBest("bytesEach"),
      MEMORY,
    ],
  },
  "idle-busy": {
    by: "cpuUs",
    columns: [
      column("rate", "perSecond", (value) => value.toFixed(3)),
      spread("perSecond"),
      ...CPU,
      ...LATENCIES,
      MEMORY,
    ],
  },
  "start": {
    by: "startMs",
    columns: [
      column("ms", "startMs", (value) => value.toFixed(1)),
      spread("startMs"),
      toBest("startMs"),
    ],
  },
};

/** Returns the results as lines of text. */
export function reportLines(results: Results, style: Style = PLAIN): string[] {
  const { scenarios, crossCheck, budgets } = results;
  return [
    ...headLines(results),
    ...scenarios.flatMap((scenario) => ["", ...scenarioLines(scenario, style)]),
    ...crossCheckLines(crossCheck),
    ...budgetLines(budgets, style),
  ];
}

function headLines(
  { version, date, machine, notes, missing }: Results,
): string[] {
  const described = Object.entries(machine).map(([key, value]) => [key, value]);
  const width = Math.max(0, ...described.map(([key]) => key!.length));
  return [
    `denio ${version}, ${date}`,
    ...described.map(([key, value]) => `  ${key!.padEnd(width)}  ${value}`),
    ...notes.map((note) => `- ${note}`),
    ...missing.map(({ peer, reason }) => `- without ${peer}: ${reason}`),
  ];
}

/** A title, a table, and what denio is to the others. */
function scenarioLines(scenario: ScenarioResult, style: Style): string[] {
  const { by, columns } = layoutOf(scenario);
  const sorted = scenario.peers.toSorted((a, b) =>
    (a.figures[by]?.median ?? Infinity) - (b.figures[by]?.median ?? Infinity)
  );
  const head: Row = ["", ...columns.map(({ head }) => head)];
  const body = sorted.map((result): Row => [
    result.peer,
    ...columns.map(({ cell }) => cell(result)),
  ]);
  const [headLine, ...lines] = rows(head, body);
  return [
    style.strong(`${scenario.name}: ${scenario.title}`) + unitOf(scenario),
    headLine!,
    ...lines.map((line, row) =>
      sorted[row]!.peer === SUBJECT ? style.strong(line) : line
    ),
    ...sorted.filter(({ note }) => note !== undefined)
      .map(({ peer, note }) => `  ${peer}: ${note}`),
    ...ratioLines(sorted.find(({ peer }) => peer === SUBJECT)),
  ];
}

function layoutOf({ name, group }: ScenarioResult): Layout {
  return BY_NAME[name] ?? (group === "latency" ? LATENCY : BUSY);
}

function unitOf({ peers, unit }: ScenarioResult): string {
  const isTimed = peers.some(({ figures }) => figures.cpuUs !== undefined);
  return isTimed ? ` (µs a ${unit})` : "";
}

/** Each figure's ratio, which is what a run is for. */
function ratioLines(subject: PeerResult | undefined): string[] {
  const ratios = Object.entries(subject?.toBest ?? {}).map(([name, ratio]) =>
    `${FIGURES[name as FigureName].title} ${ratio.toFixed(2)}`
  );
  if (ratios.length === 0) return [];
  return wrapped(`${SUBJECT} to the best other: `, ratios);
}

const LINE_LENGTH_MAX = 96;

/** Returns words with commas between them, in lines that are not too long. */
function wrapped(head: string, words: readonly string[]): string[] {
  const lines = [];
  let line = `  ${head}${words[0]}`;
  for (const word of words.slice(1)) {
    line += ",";
    if (line.length + word.length >= LINE_LENGTH_MAX) {
      lines.push(line);
      line = `    ${word}`;
    } else line += ` ${word}`;
  }
  return [...lines, line];
}

function crossCheckLines(checks: readonly CrossCheck[]): string[] {
  if (checks.length === 0) return [];
  const body = checks.map(({ load, scenario, peer, cpuUs }): Row => [
    `${scenario} by ${load}, ${peer}`,
    digits(cpuUs),
  ]);
  return [
    "",
    "The same under other load generators (µs of CPU a request)",
    ...rows(["", "CPU"], body),
  ];
}

function budgetLines(budgets: readonly Budget[], style: Style): string[] {
  const known = budgets.filter(({ measured }) => measured !== null);
  const body = known.map(({ name, measured }): Row => [
    name,
    significant(measured!),
  ]);
  const [, ...lines] = rows(["", ""], body);
  const unknown = budgets.length - known.length;
  return [
    "",
    "What is wanted",
    ...lines.map((line, row) => {
      const { wanted, met } = known[row]!;
      const verdict = met ? style.good("met") : style.bad("NOT MET");
      return `${line}  ${wanted}: ${verdict}`;
    }),
    ...unknown === 0 ? [] : [`  (${unknown} more that this run cannot tell)`],
  ];
}

function digits(value: number): string {
  return value.toFixed(value < 100 ? 2 : 0);
}

function significant(value: number): string {
  return Math.abs(value) < 10 ? value.toFixed(3) : value.toFixed(1);
}

/** `141k`: a table has no room for more, and no use. */
function short(value: number): string {
  if (value >= MEGA) return `${(value / MEGA).toFixed(2)}M`;
  if (value >= KILO) return `${(value / KILO).toFixed(1)}k`;
  return value.toFixed(value < 100 ? 1 : 0);
}

function microseconds(value: number): string {
  return value < US_MAX
    ? value.toFixed(0)
    : `${(value / US_PER_MS).toFixed(0)}ms`;
}

function mebibytes(value: number): string {
  return (value / BYTES_PER_MIB).toFixed(0);
}
