/**
 * The plots of the lab's page.
 *
 * @module
 */

import { Html } from "../../html.ts";
import { decades, drawn, Plot, WIDTH } from "../../plot.ts";
import type { FigureName } from "../results.ts";
import { type Run, textOf } from "./figures.ts";

const ROW = 22;
const LINES_HEIGHT = 270;
/** So far apart are the names of lines, in pixels. */
const NAMES_APART = 14;
const MARGIN = { top: 16, left: 54, right: 104, bottom: 38 };
/** A scale with equal steps would press smaller values together. */
const LINEAR_RATIO_MAX = 20;

/** A line does not lie on the axis. */
const ROOM_BELOW = 0.8;

const BLUE = "var(--denio,#0072b2)";
const ORANGE = "var(--deno,#d55e00)";
const GREEN = "var(--met,#00684b)";
const INK = "var(--ink,#1b1b1b)";
const GREY = "var(--other,#767676)";

/** Returns the colour of a model: those that wait alike have the same. */
export function colourOf(model: string): string {
  if (/^(epoll|kqueue|timers)/.test(model)) return BLUE;
  if (model === "busy-loop") return INK;
  if (model === "select") return GREY;
  if (/^poll/.test(model)) return ORANGE;
  if (/^(blocking|threads)/.test(model)) return GREEN;
  return BLUE;
}

/** What a plot shows. */
export interface Shown {
  /** Its title. */
  readonly title: string;
  /** The figure. */
  readonly figure: FigureName;
  /** The models, those that the run has. */
  readonly models: readonly string[];
}

/** Returns a bar for each model under one load; `undefined` for no figure. */
export function bars(
  run: Run,
  { title, figure, models }: Shown,
  connections: number,
): Html | undefined {
  const all = models.map((model) => {
    const value = run.value(model, connections, figure);
    return {
      model,
      value,
      label: value === undefined ? "" : textOf(figure, value),
    };
  }).filter(({ value }) => value !== undefined);
  if (all.length === 0) return undefined;
  return new Html(drawn({
    ariaLabel: title,
    ariaDescription: all.map(({ model, label }) => `${model} ${label}`)
      .join(", "),
    width: WIDTH,
    height: ROW * all.length + 4,
    marginTop: 2,
    marginBottom: 2,
    marginLeft: 92,
    marginRight: 72,
    style: { fontSize: "12px" },
    x: {
      axis: null,
      domain: [0, Math.max(...all.map(({ value }) => value!)) || 1],
    },
    y: {
      domain: all.map(({ model }) => model),
      label: null,
      tickSize: 0,
      padding: 0,
    },
    marks: [
      Plot.barX(all, {
        ...{ x: "value", y: "model", insetTop: 4, insetBottom: 4 },
        fill: ({ model }: { model: string }) => colourOf(model),
      }),
      Plot.text(all, {
        ...{ y: "model", text: "label", frameAnchor: "right" },
        ...{ textAnchor: "start", dx: 6 },
      }),
    ],
  }));
}

interface Point {
  readonly model: string;
  readonly x: number;
  readonly y: number;
}

/** Returns a line for each model, over the loads, with its name at its end. */
export function lines(
  run: Run,
  { title, figure, models }: Shown,
  width = WIDTH,
): Html | undefined {
  const loads = run.results.connections;
  const points = models.flatMap((model) =>
    loads.map((x) => ({ model, x, y: run.value(model, x, figure) ?? 0 }))
  ).filter(({ y }) => y > 0);
  if (points.length === 0 || loads.length < 2) return undefined;
  const values = points.map(({ y }) => y);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const isLog = most / least > LINEAR_RATIO_MAX;
  const domain = isLog ? [least * ROOM_BELOW, most] : [0, most];
  const stroke = ({ model }: Point) => colourOf(model);
  const place = { x: "x", y: "y", z: "model", stroke };
  const tickFormat = (value: number) => value.toLocaleString("en");
  const labels = named(points, domain as [number, number], isLog);
  return new Html(drawn({
    ariaLabel: title,
    ariaDescription: points.map(({ model, x, y }) =>
      `${model} ${textOf(figure, y)} at ${x}`
    ).join(", "),
    width,
    height: LINES_HEIGHT,
    marginTop: MARGIN.top,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    style: { fontSize: "12px" },
    x: {
      type: "point",
      domain: loads,
      tickFormat,
      label: "connections",
      labelOffset: 32,
      padding: 0.2,
    },
    y: {
      ...{ type: isLog ? "log" : "linear", domain, grid: true, label: null },
      ...{ ticks: isLog ? decades(least, most) : 4, tickFormat },
    },
    marks: [
      Plot.line(points, { ...place, strokeWidth: 2 }),
      Plot.dot(points, { ...place, fill: stroke, r: 3 }),
      Plot.text(labels, {
        ...{ frameAnchor: "right", textAnchor: "start", dx: 8, y: "y" },
        text: ({ model, value }: Label) => `${model} ${textOf(figure, value)}`,
        fill: ({ model }: Label) => colourOf(model),
      }),
    ],
  }));
}

interface Label {
  readonly model: string;
  /** The value at the end of the line. */
  readonly value: number;
  /** Where its name is: not on another one. */
  y: number;
}

/** Returns names for the ends of lines, moved apart. */
function named(
  points: readonly Point[],
  [low, high]: readonly [number, number],
  isLog: boolean,
): Label[] {
  const scale = isLog ? Math.log : (value: number) => value;
  const back = isLog ? Math.exp : (value: number) => value;
  const height = LINES_HEIGHT - MARGIN.top - MARGIN.bottom;
  const unit = (scale(high) - scale(low)) / height;
  const labels = new Map<string, Label>();
  for (const { model, y } of points) labels.set(model, { model, value: y, y });
  const sorted = [...labels.values()].toSorted((a, b) => a.value - b.value);
  const places = sorted.map(({ value }) => (scale(value) - scale(low)) / unit);
  let free = -Infinity;
  for (const [index, place] of places.entries()) {
    free = Math.max(place, free) + NAMES_APART;
    places[index] = free - NAMES_APART;
  }
  // Names that were moved out at the top move down again.
  free = height;
  for (let index = places.length - 1; index >= 0; index--) {
    places[index] = Math.min(places[index]!, free);
    free = places[index]! - NAMES_APART;
    sorted[index]!.y = back(places[index]! * unit + scale(low));
  }
  return sorted;
}

/** Returns which loads each model has held: a full circle, or where it ended. */
export function held(run: Run, title: string): Html {
  const { rows, models, connections } = run.results;
  const all = rows.map(({ model, connections, figures, cannot }) => ({
    ...{ model, connections: `${connections}`, isHeld: figures !== undefined },
    label: figures !== undefined
      ? ""
      : cannot?.held === null || cannot === undefined
      ? "✗"
      : `✗ ${cannot.held.toLocaleString("en")}`,
  }));
  type Cell = typeof all[number];
  return new Html(drawn({
    ariaLabel: title,
    ariaDescription: all.filter(({ isHeld }) => !isHeld)
      .map(({ model, connections, label }) =>
        `${model} of ${connections}: ${label}`
      ).join(", ") || "every model has held every load",
    width: WIDTH,
    height: ROW * models.length + 44,
    marginTop: 2,
    marginBottom: 42,
    marginLeft: 92,
    marginRight: 12,
    style: { fontSize: "12px" },
    x: {
      domain: connections.map(String),
      label: "connections",
      labelOffset: 36,
      tickFormat: (text: string) => Number(text).toLocaleString("en"),
      tickSize: 0,
    },
    y: { domain: models.map(({ name }) => name), label: null, tickSize: 0 },
    marks: [
      Plot.dot(all, {
        ...{
          filter: ({ isHeld }: Cell) => isHeld,
          x: "connections",
          y: "model",
        },
        ...{ r: 5, fill: ({ model }: Cell) => colourOf(model) },
      }),
      Plot.text(all, {
        ...{ filter: ({ isHeld }: Cell) => !isHeld, x: "connections" },
        ...{
          y: "model",
          text: "label",
          fontSize: 11,
          fill: "var(--unmet,#a84300)",
        },
      }),
    ],
  }));
}
