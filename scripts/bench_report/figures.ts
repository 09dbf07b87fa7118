/**
 * The page's small multiples: one plot a scenario, with what it says in words.
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
import { type Frame, lines, type Series } from "../plot/lines.ts";
import { lined, type Markup, tag } from "../plot/markup.ts";
import {
  type Bar,
  bars,
  type Drawing,
  logarithmicBars,
  type Reach,
  reaches,
  type Room,
} from "../plot/rows.ts";
import { comparison, medianOf, sortedBy } from "./comparison.ts";
import { figureText, fullText, numberText, rangeText } from "./numbers.ts";
import {
  absentFrom,
  barColour,
  isDashed,
  isOwn,
  kindOf,
  lineColour,
  peersOf,
} from "./peers.ts";

/** About what a phone has: wider screens have several plots side by side. */
const ROOM: Room = { width: 360, rowHeight: 22, nameWidth: 92 };
const LINES_HEIGHT = 340;
const FRAME = { left: 44, top: 10, right: 256, bottom: 296 };

/** The percentiles of a reach, the least first. */
const PERCENTILES = ["p50Us", "p99Us", "p999Us"] as const;

/** A plot that is asked for. */
export interface Wanted {
  /** Begins its id, so that each is the page's only one. */
  readonly section: string;
  readonly results: Results;
  readonly scenario: ScenarioResult;
  /** The scenario's own title when there is none. */
  readonly title?: string;
}

/** Returns the bars of a scenario: CPU in its two parts, or one figure. */
export function barsOf(
  scenario: ScenarioResult,
  figure: FigureName,
): Bar[] {
  return sortedBy(scenario, figure).map((result) => {
    const { peer, figures } = result;
    const { median, min, max } = figures[figure]!;
    return {
      name: peer,
      colour: barColour(peer),
      ...withKind(peer),
      parts: partsOf(result, figure),
      spread: [min, max],
      label: figureText(figure, median),
      words: barWords(result, figure),
    };
  });
}

/** Returns a figure with bars. */
export function barFigure(
  wanted: Wanted,
  figure: FigureName,
  options: {
    /** Said beside the figure. */
    second?: FigureName;
    /** Said instead of any comparison. */
    says?: string;
    isLogarithmic?: boolean;
  } = {},
): Markup {
  const { scenario } = wanted;
  const draw = options.isLogarithmic ? logarithmicBars : bars;
  const all = barsOf(scenario, figure);
  return panel(wanted, {
    drawing: draw(all, ROOM),
    says: options.says ?? comparison(scenario, figure, options.second),
    description: all.map(({ words }) => words).join("; "),
  });
}

/** Returns a figure with reaches from the median to the 99.9th percentile. */
export function latencyFigure(wanted: Wanted): Markup {
  const { scenario } = wanted;
  const all = sortedBy(scenario, "p50Us").map(reachOf)
    .filter(({ values }) => values.length > 0);
  return panel(wanted, {
    drawing: reaches(all, ROOM),
    says: comparison(scenario, "p50Us", "p999Us"),
    description: all.map(({ words }) => words).join("; "),
  });
}

/** Returns a figure with a line a peer, over scenarios of ever more. */
export function scalingFigure(
  scenarios: readonly ScenarioResult[],
  figure: FigureName,
  { title, isLinear }: { title: string; isLinear: boolean },
): Markup {
  const id = `scaling-${figure}`;
  const series = peersOf(scenarios).toSorted(ownLast).map((peer) =>
    seriesOf(scenarios, peer, figure)
  ).filter(({ points }) => points.length > 0);
  const frame: Frame = {
    ...FRAME,
    isLinear,
    xMarks: scenarios.map(({ connections }) => connections!),
  };
  return tag(
    "figure",
    {},
    tag("figcaption", {}, tag("h3", {}, title)),
    picture(id, title, describeLines(series), {
      markup: lined(...lines({ series, xLabel: "connections" }, frame)),
      height: LINES_HEIGHT,
    }),
  );
}

/** Returns a drawing as an image that says what it shows. */
function picture(
  id: string,
  title: string,
  description: string,
  { markup, height }: Drawing,
): Markup {
  return tag(
    "svg",
    {
      class: "plot",
      viewBox: `0 0 ${ROOM.width} ${height}`,
      role: "img",
      "aria-labelledby": `${id}-title ${id}-desc`,
    },
    tag("title", { id: `${id}-title` }, title),
    tag("desc", { id: `${id}-desc` }, description),
    markup,
  );
}

function panel(
  { section, scenario, results, title = scenario.title }: Wanted,
  { drawing, says, description }: {
    drawing: Drawing;
    says: string;
    description: string;
  },
): Markup {
  const absent = absentFrom(scenario, results);
  const id = idOf(scenario, results);
  return tag(
    "figure",
    {},
    tag(
      "figcaption",
      {},
      tag("h3", {}, tag("a", { href: `#${id}` }, title)),
      tag("p", {}, says),
    ),
    picture(`${section}-${id}`, title, description, drawing),
    absent.length > 0
      ? tag("p", { class: "aside" }, `Not measured: ${absent.join(", ")}.`)
      : undefined,
  );
}

/** A scenario's name may have letters that no id has. */
export function idOf(scenario: ScenarioResult, results: Results): string {
  const isPlain = /^[a-z0-9-]+$/.test(scenario.name);
  const place = results.scenarios.indexOf(scenario);
  return `scenario-${isPlain ? scenario.name : place}`;
}

/** User and system time end together where the whole of them does. */
function partsOf(
  { figures }: PeerResult,
  figure: FigureName,
): { kind: string; value: number }[] {
  const whole = figures[figure]!.median;
  const user = figures.userUs?.median;
  if (figure !== "cpuUs" || user === undefined) {
    return [{ kind: "whole", value: whole }];
  }
  return [
    { kind: "user", value: user },
    { kind: "system", value: Math.max(0, whole - user) },
  ];
}

function barWords(
  { peer, figures }: PeerResult,
  figure: FigureName,
): string {
  const whole = figures[figure]!;
  const { userUs, systemUs } = figures;
  const parts = figure === "cpuUs" && userUs && systemUs
    ? `, ${figureText(figure, userUs.median)} user and ` +
      `${figureText(figure, systemUs.median)} system`
    : "";
  const text = fullText(figure, whole.median);
  return `${peer}: ${text}${parts} (${rangeText(figure, whole)})`;
}

/** What is not above zero has no place on a logarithmic axis. */
function reachOf({ peer, figures }: PeerResult): Reach {
  const seen = PERCENTILES.filter((figure) =>
    (figures[figure]?.median ?? 0) > 0
  );
  const values = seen.map((figure) => figures[figure]!.median);
  const texts = seen.map((figure, index) => figureText(figure, values[index]!));
  const words = seen.map((figure, index) =>
    `${FIGURES[figure].title} ${fullText(figure, values[index]!)}`
  );
  return {
    name: peer,
    colour: barColour(peer),
    ...withKind(peer),
    values,
    labels: [texts[0] ?? "", texts.length > 1 ? texts.at(-1)! : ""],
    words: `${peer}: ${words.join(", ")}`,
  };
}

function seriesOf(
  scenarios: readonly ScenarioResult[],
  peer: string,
  figure: FigureName,
): Series {
  const points = scenarios.flatMap((scenario) => {
    const value = medianOf(scenario, peer, figure);
    return value === undefined ? [] : [[scenario.connections!, value] as const];
  });
  return {
    name: peer,
    points,
    colour: lineColour(peer),
    isStrong: isOwn(peer),
    isDashed: isDashed(peer),
  };
}

/** What is drawn last lies above all else. */
function ownLast(one: string, other: string): number {
  return Number(isOwn(one)) - Number(isOwn(other));
}

function describeLines(series: readonly Series[]): string {
  return series.map(({ name, points }) =>
    `${name}: ${
      points.map(([x, y]) => `${numberText(y)} at ${x.toLocaleString("en")}`)
        .join(", ")
    }`
  ).join("; ");
}

function withKind(peer: string): { kind?: string } {
  const kind = kindOf(peer);
  return kind === undefined ? {} : { kind };
}
