/**
 * The README's picture: the main scenarios, a few bars each.
 *
 * It has its own ground, so that it can be read on a light page and on a dark
 * one, and stands in a file of its own.
 *
 * @module
 */

import type { Results, ScenarioResult } from "../bench/results.ts";
import { type Child, lined, Markup, tag } from "../plot/markup.ts";
import { bars, type Room } from "../plot/rows.ts";
import { PLOT_STYLE } from "../plot/style.ts";
import { MAIN, scenarioOf } from "./catalogue.ts";
import { barsOf } from "./figures.ts";
import { dateText } from "./numbers.ts";
import { barColour, SUBJECT } from "./peers.ts";

const WIDTH = 800;
const MARGIN = 16;
const ROOM: Room = { width: 376, rowHeight: 18, nameWidth: 92 };
/** Where the first panel begins, below the picture's own title. */
const TOP = 54;
const PANEL_TITLE = 22;
const PANEL_GAP = 20;

/** `deno fmt` would put each element on lines of its own. */
const NO_FMT = "<!-- deno-fmt-ignore-file -->\n";

const TITLE = "Processor time a request, microseconds";

/** Returns the picture as a document. */
export function picture(results: Results): string {
  const rows = pairs(MAIN.flatMap((name) => {
    const scenario = scenarioOf(results, name);
    return scenario === undefined ? [] : [scenario];
  }));
  let y = TOP;
  const panels = rows.flatMap((row) => {
    const at = y;
    y += Math.max(...row.map(heightOf)) + PANEL_GAP;
    return row.map((scenario, column) =>
      panel(scenario, MARGIN + column * WIDTH / 2, at)
    );
  });
  return `${NO_FMT}${frame(results, panels, y)}\n`;
}

/** Returns what the picture shows, in words. */
function pictureText(results: Results): string {
  return MAIN.map((name) => {
    const scenario = scenarioOf(results, name);
    if (scenario === undefined) return `${name}: not run`;
    const all = barsOf(scenario, "cpuUs")
      .map((bar) => `${bar.name} ${bar.label}`);
    return `${scenario.title}: ${all.join(", ")}`;
  }).join("; ");
}

function frame(
  results: Results,
  panels: readonly Markup[],
  height: number,
): Markup {
  return tag(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${WIDTH} ${height}`,
      width: WIDTH,
      height,
      role: "img",
      "aria-labelledby": "title desc",
    },
    lined(
      "",
      tag("title", { id: "title" }, TITLE),
      tag("desc", { id: "desc" }, pictureText(results)),
      tag("style", {}, new Markup(PLOT_STYLE)),
      tag("rect", { width: WIDTH, height, rx: 8, fill: "#fdfdfb" }),
      text(MARGIN, 28, TITLE, "title"),
      ...key(results),
      ...panels,
      "",
    ),
  );
}

/** What the two parts of a bar are, and of which run they are. */
function key({ version, date }: Results): Markup[] {
  const style = `--c:${barColour(SUBJECT)}`;
  const part = (kind: string, x: number) =>
    tag("rect", { class: kind, x, y: 19, width: 20, height: 10, style });
  return [
    part("user", 360),
    text(386, 28, "user", "faint"),
    part("system", 424),
    text(450, 28, "system", "faint"),
    tag(
      "text",
      { x: WIDTH - MARGIN, y: 28, class: "faint", "text-anchor": "end" },
      `${SUBJECT} ${version}, ${dateText(date)}`,
    ),
  ];
}

function panel(scenario: ScenarioResult, x: number, y: number): Markup {
  const { markup } = bars(barsOf(scenario, "cpuUs"), ROOM);
  return tag(
    "g",
    { transform: `translate(${x} ${y})` },
    text(0, 10, scenario.title, "strong"),
    tag("g", { transform: `translate(0 ${PANEL_TITLE})` }, markup),
  );
}

function heightOf(scenario: ScenarioResult): number {
  return barsOf(scenario, "cpuUs").length * ROOM.rowHeight + PANEL_TITLE;
}

function pairs<T>(all: readonly T[]): T[][] {
  return all.flatMap((_, index) =>
    index % 2 === 0 ? [all.slice(index, index + 2)] : []
  );
}

function text(x: number, y: number, words: Child, kind: string): Markup {
  return tag("text", { x, y, class: kind }, words);
}
