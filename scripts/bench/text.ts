/**
 * Results as text: figures as people read them, and a run's tables for a
 * terminal.
 *
 * @module
 */

import { bold, formatBytes, green, red } from "../packages/std.ts";
import { named, rows } from "../table.ts";
import { budgetsOf } from "./budgets.ts";
import {
  type FigureName,
  FIGURES,
  type Results,
  type Spread,
} from "./results.ts";
import { scenarioOf, SUBJECT } from "./scenarios.ts";

/** A second run would not give more digits again. */
const DIGITS = 3;
const PERCENT = 100;

/** Returns a number with as many digits as are worth reading; `NaN` as a dash. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return "–";
  const digits = {
    minimumSignificantDigits: DIGITS,
    maximumSignificantDigits: DIGITS,
  };
  return value.toLocaleString("en", digits);
}

/** Returns a figure without its unit, unless it is one of bytes. */
export function figureText(figure: FigureName, value: number): string {
  return FIGURES[figure].unit === "bytes" && !Number.isNaN(value)
    ? formatBytes(Math.round(value))
    : numberText(value);
}

/** Returns a figure's title with its unit, for the head of a column. */
export function headText(figure: FigureName): string {
  const { title, unit } = FIGURES[figure];
  return unit === "" || unit === "bytes" ? title : `${title}, ${unit}`;
}

/** Returns the lines of a whole report. */
export function reportLines(results: Results): string[] {
  const { version, date, machine, notes, missing } = results.run;
  return [
    `denio ${version}, ${date}`,
    ...named(Object.entries(machine)),
    ...notes.map((note) => `- ${note}`),
    ...Object.entries(missing).map(([peer, why]) =>
      `- without ${peer}: ${why}`
    ),
    ...results.scenarios().flatMap((name) => scenarioLines(results, name)),
    ...budgetLines(results),
  ];
}

/** A title, and a table with the best server first. */
function scenarioLines(results: Results, name: string): string[] {
  const { title, unit } = scenarioOf(name);
  const figures = results.figures(name);
  const main = figures[0]!;
  const peers = results.ranked(name, main);
  const [head, ...lines] = rows(
    ["", ...figures.map(headText), "to best", "spread"],
    peers.map((peer) => [
      peer,
      ...figures.map((figure) =>
        figureText(figure, results.median(name, peer, figure))
      ),
      numberText(results.toBest(name, peer, main)),
      spreadText(results.spread(name, peer, main)!),
    ]),
  );
  return [
    "",
    `${bold(`${name}: ${title}`)} (for each ${unit})`,
    head!,
    ...lines.map((line, row) => peers[row] === SUBJECT ? bold(line) : line),
  ];
}

/** How far apart the rounds were, in per cent of the median. */
function spreadText([median, min, max]: Spread): string {
  return min === max ? "-" : `${Math.round((max - min) / median * PERCENT)}%`;
}

function budgetLines(results: Results): string[] {
  const budgets = budgetsOf(results);
  const known = budgets.filter(({ measured }) => !Number.isNaN(measured));
  const [, ...lines] = rows(
    ["", ""],
    known.map(({ name, measured }) => [name, numberText(measured)]),
  );
  const unknown = budgets.length - known.length;
  return [
    "",
    bold("What is wanted"),
    ...lines.map((line, row) => {
      const { wanted, isMet } = known[row]!;
      return `${line}  ${wanted}: ${isMet ? green("met") : red("NOT MET")}`;
    }),
    ...unknown === 0 ? [] : [`  (${unknown} more that this run cannot show)`],
  ];
}
