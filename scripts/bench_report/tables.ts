/**
 * The page's tables: beside each group of plots, and a whole one for each
 * scenario.
 *
 * @module
 */

import {
  type FigureName,
  FIGURES,
  type PeerResult,
  type Results,
  type ScenarioResult,
} from "../bench/results.ts";
import { type Child, lined, type Markup, tag } from "../plot/markup.ts";
import { KEPT, scenarioOf } from "./catalogue.ts";
import { medianOf, sortedBy } from "./comparison.ts";
import { figureText, isShown, numberText, rangeText } from "./numbers.ts";
import { isOwn, peersOf } from "./peers.ts";

const FIGURE_NAMES = Object.keys(FIGURES) as FigureName[];

/** Said once below a table that has such cells. */
const NONE = tag("abbr", { title: "not measured" }, "–");

/** A table's parts; the first cell of each row names it. */
export interface TableParts {
  /** Above it. */
  readonly caption: Child;
  /** Over its columns. */
  readonly head: readonly Child[];
  /** A row each. */
  readonly rows: readonly (readonly Child[])[];
  /** The rows that are denio's, by number. */
  readonly own?: (row: number) => boolean;
  /** The columns that are denio's, by number. */
  readonly ownColumn?: (column: number) => boolean;
  /** "prose" when cells are words and not figures, "dense" when there are many. */
  readonly kind?: "prose" | "dense";
}

/** Returns a table that scrolls by itself where it is too wide. */
export function table(parts: TableParts): Markup {
  const { caption, head, rows, own, ownColumn } = parts;
  const classOf = (column: number) => ownColumn?.(column) ? "own" : undefined;
  return tag(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": "table" },
    tag(
      "table",
      { class: parts.kind },
      tag("caption", {}, tag("span", {}, caption)),
      tag(
        "thead",
        {},
        rowOf(
          head.map((cell, column) =>
            tag("th", { scope: "col", class: classOf(column) }, cell)
          ),
        ),
      ),
      tag(
        "tbody",
        {},
        lined(
          "",
          ...rows.map((cells, row) =>
            rowOf(
              cells.map((cell, column) =>
                column === 0
                  ? tag("th", { scope: "row" }, cell)
                  : tag("td", { class: classOf(column) }, cell)
              ),
              own?.(row) ? "own" : undefined,
            )
          ),
        ),
      ),
    ),
  );
}

function rowOf(cells: readonly Markup[], kind?: string): Markup {
  return tag("tr", { class: kind }, ...cells);
}

/** Returns a table of scenarios by peers, with something of each. */
export function matrix(
  caption: string,
  scenarios: readonly ScenarioResult[],
  cell: (scenario: ScenarioResult, peer: string) => Child,
): Markup {
  const peers = peersOf(scenarios).filter((peer) =>
    scenarios.some((scenario) => cell(scenario, peer) !== undefined)
  );
  const rows = scenarios.map((scenario) => [
    scenario.title,
    ...peers.map((peer) => cell(scenario, peer) ?? NONE),
  ]);
  const isWhole = rows.every((cells) => !cells.includes(NONE));
  return table({
    caption: isWhole ? caption : `${caption}; –: not measured`,
    head: ["", ...peers],
    rows,
    ownColumn: (column) => column > 0 && isOwn(peers[column - 1]!),
  });
}

/** Returns the cell of one figure, for a matrix. */
export function figureCell(
  figure: FigureName,
): (scenario: ScenarioResult, peer: string) => Child {
  return (scenario, peer) => {
    const value = medianOf(scenario, peer, figure);
    return value === undefined ? undefined : figureText(figure, value);
  };
}

/** Returns the cell that shows processor time with its two parts. */
export function cpuCell(scenario: ScenarioResult, peer: string): Child {
  const [whole, user, system] = (["cpuUs", "userUs", "systemUs"] as const)
    .map((figure) => figureCell(figure)(scenario, peer));
  if (whole === undefined || user === undefined) return whole;
  return [
    tag("b", {}, whole),
    " ",
    tag("span", { class: "small" }, user, " + ", system),
  ];
}

/** Returns the cell that shows three percentiles. */
export function latencyCell(scenario: ScenarioResult, peer: string): Child {
  const [p50, ...others] = (["p50Us", "p99Us", "p999Us"] as const)
    .map((figure) => figureCell(figure)(scenario, peer));
  if (p50 === undefined) return undefined;
  return [
    tag("b", {}, p50),
    ...others.map((text) => [
      " ",
      tag("span", { class: "small" }, text ?? NONE),
    ]),
  ];
}

/** Returns all that is known of a scenario, the cheapest peer first. */
export function wholeTable(scenario: ScenarioResult): Markup {
  const figures = FIGURE_NAMES.filter((figure) =>
    scenario.peers.some((peer) => peer.figures[figure] !== undefined)
  );
  const peers = bestFirst(scenario, figures[0]);
  return table({
    caption: `For each ${scenario.unit}: ratio to the best of the other ` +
      "servers, median, smallest and largest round",
    head: ["", ...figures.map((figure) => headOf(scenario, figure))],
    rows: peers.map((result) => [
      result.peer,
      ...figures.map((figure) => wholeCell(result, figure)),
    ]),
    own: (row) => isOwn(peers[row]!.peer),
    kind: "dense",
  });
}

/** By the whole CPU where it is known; who lacks that comes last. */
function bestFirst(
  scenario: ScenarioResult,
  first: FigureName | undefined,
): PeerResult[] {
  const hasCpu = scenario.peers.some(({ figures }) => figures.cpuUs);
  const figure = hasCpu ? "cpuUs" : first;
  const sorted = figure === undefined ? [] : sortedBy(scenario, figure);
  return [
    ...sorted,
    ...scenario.peers.filter((result) => !sorted.includes(result)),
  ];
}

function headOf({ name }: ScenarioResult, figure: FigureName): string {
  if (name === KEPT && figure === "perSecond") return "rate kept";
  const { title, unit } = FIGURES[figure];
  return isShown(figure) ? `${title}, ${unit}` : title;
}

function wholeCell({ figures, toBest }: PeerResult, figure: FigureName): Child {
  const spread = figures[figure];
  if (spread === undefined) return NONE;
  const ratio = toBest[figure];
  return [
    ratio === undefined
      ? undefined
      : tag("span", { class: "ratio" }, `×${numberText(ratio)}`),
    " ",
    tag("b", {}, figureText(figure, spread.median)),
    " ",
    tag("span", { class: "small" }, rangeText(figure, spread)),
  ];
}

/** Returns what the budgets are, and whether each is kept. */
export function budgetTable({ budgets }: Results): Markup {
  return table({
    caption: "What was promised, and what this run found",
    head: ["", "wanted", "measured", "verdict"],
    rows: budgets.map(({ name, wanted, measured, met }) => [
      name,
      wanted,
      measured === null ? NONE : numberText(measured),
      verdict(measured === null ? null : met),
    ]),
    kind: "prose",
  });
}

function verdict(met: boolean | null): Markup {
  if (met === null) return tag("span", { class: "unknown" }, "– not measured");
  return met
    ? tag("span", { class: "met" }, "✓ met")
    : tag("span", { class: "unmet" }, "✗ not met");
}

/** Returns what other load generators found, beside what this one did. */
export function crossCheckTable(results: Results): Markup {
  return table({
    caption: "Processor time, µs, under another load generator and under the " +
      "benchmark's own",
    head: ["scenario", "server", "load", "CPU", "by its own", "ratio"],
    rows: results.crossCheck.map(({ load, scenario, peer, cpuUs }) => {
      const found = scenarioOf(results, scenario);
      const own = found && medianOf(found, peer, "cpuUs");
      return [
        found?.title ?? scenario,
        peer,
        load,
        numberText(cpuUs),
        own === undefined ? NONE : numberText(own),
        own ? numberText(cpuUs / own) : NONE,
      ];
    }),
  });
}
