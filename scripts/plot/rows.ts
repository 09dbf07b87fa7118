/**
 * Plots of one row a name: bars, and ranges on a logarithmic axis.
 *
 * What is drawn begins at the top left of where it is put.
 *
 * @module
 */

import { type Child, lined, type Markup, tag } from "./markup.ts";
import {
  around,
  decades,
  linear,
  logarithmic,
  logarithmicMarks,
  marked,
  type Range,
  round,
  type Scale,
} from "./scale.ts";

/** What every row has. */
export interface Row {
  /** Written before it. */
  readonly name: string;
  /** As CSS has it. */
  readonly colour: string;
  /** Classes of the name: "strong", "limit". */
  readonly kind?: string;
  /** All of its figures in words, for whoever points at it. */
  readonly words: string;
}

/** A bar of one or more parts. */
export interface Bar extends Row {
  /** One after the other, each with its class: "user", "system", "whole". */
  readonly parts: readonly { readonly kind: string; readonly value: number }[];
  /** From where to where the whole of it varied. */
  readonly spread: Range;
  /** Written behind it. */
  readonly label: string;
}

/** From a median to what is rare, on one line. */
export interface Reach extends Row {
  /** The least first: a dot, a ring and a stroke. */
  readonly values: readonly number[];
  /** Written before the first and behind the last. */
  readonly labels: Readonly<[first: string, last: string]>;
}

/** How much room there is. */
export interface Room {
  /** In all. */
  readonly width: number;
  /** Of a row. */
  readonly rowHeight: number;
  /** Of the names; what is longer is cut, and whole in its row's words. */
  readonly nameWidth: number;
}

/** What was drawn, and how high it is. */
export interface Drawing {
  readonly markup: Markup;
  readonly height: number;
}

/** What a character takes, in the widest of usual fonts. */
const CHARACTER_WIDTH = 7.6;
const GAP = 6;
/** Room for the marks below a logarithmic axis. */
const AXIS_HEIGHT = 20;
/** How much of a row its bar is high. */
const BAR_SHARE = 0.6;
const CAP = 3;
/** How high the stroke is that ends a reach. */
const STROKE = 5;

/** Returns bars with their labels, on a scale from zero. */
export function bars(all: readonly Bar[], room: Room): Drawing {
  const area = barArea(all, room);
  const high = Math.max(...all.flatMap(({ spread }) => spread), 0);
  const scale = linear([0, high], area);
  return {
    markup: lined(...all.map((bar, index) => barRow(bar, index, room, scale))),
    height: all.length * room.rowHeight,
  };
}

/**
 * Returns bars of one part on a logarithmic scale, which begins at a power of
 * ten; what is not above zero has no bar.
 */
export function logarithmicBars(all: readonly Bar[], room: Room): Drawing {
  const area = barArea(all, room);
  const marks = decades(all.flatMap(({ spread }) => spread));
  const ends = [marks[0]!, marks.at(-1)!] as const;
  const scale = logarithmic(ends, area);
  const bounded = (value: number) => scale(Math.max(value, ends[0]));
  const height = all.length * room.rowHeight;
  return {
    markup: lined(
      ...grid(marks, scale, height),
      ...all.map((bar, index) => barRow(bar, index, room, bounded)),
    ),
    height: height + AXIS_HEIGHT,
  };
}

/** Returns reaches on a logarithmic scale. */
export function reaches(all: readonly Reach[], room: Room): Drawing {
  const width = (which: 0 | 1) =>
    widest(all.map(({ labels }) => labels[which])) + 2 * GAP;
  const ends = around(all.flatMap(({ values }) => values));
  const start = room.nameWidth + GAP + width(0);
  const scale = logarithmic(ends, [start, room.width - width(1)]);
  const height = all.length * room.rowHeight;
  return {
    markup: lined(
      ...grid(logarithmicMarks(ends), scale, height),
      ...all.map((reach, index) => reachRow(reach, index, room, scale)),
    ),
    height: height + AXIS_HEIGHT,
  };
}

/** Labels stand behind the longest bar as well. */
function barArea(all: readonly Bar[], room: Room): Range {
  const labels = widest(all.map(({ label }) => label));
  return [room.nameWidth + GAP, room.width - labels - 2 * GAP];
}

function barRow(
  bar: Bar,
  index: number,
  room: Room,
  scale: Scale,
): Markup {
  const height = room.rowHeight * BAR_SHARE;
  const middle = (index + 0.5) * room.rowHeight;
  let end = 0;
  const parts = bar.parts.map(({ kind, value }) => {
    const from = scale(end);
    const to = scale(end += value);
    return tag("rect", {
      class: kind,
      x: round(from),
      y: round(middle - height / 2),
      width: round(Math.max(0, to - from)),
      height: round(height),
    });
  });
  const labelX = Math.max(scale(end), scale(bar.spread[1])) + GAP;
  return row(bar, middle, room, [
    ...parts,
    whisker(bar.spread, middle, scale),
    text(labelX, middle, bar.label, { class: nameClass(bar) }),
  ]);
}

/** A spread too small to see is left out: it would only thicken the end. */
function whisker(
  [low, high]: Range,
  middle: number,
  scale: Scale,
): Markup | undefined {
  const [from, to] = [round(scale(low)), round(scale(high))];
  if (to - from < 1) return undefined;
  const [top, bottom] = [round(middle - CAP), round(middle + CAP)];
  const y = round(middle);
  return tag("path", {
    class: "whisker",
    d: `M${from} ${top}V${bottom}M${from} ${y}H${to}M${to} ${top}V${bottom}`,
  });
}

function reachRow(
  reach: Reach,
  index: number,
  room: Room,
  scale: Scale,
): Markup {
  const middle = round((index + 0.5) * room.rowHeight);
  const places = reach.values.map((value) => round(scale(value)));
  const [first, last] = [places[0]!, places.at(-1)!];
  const [before, behind] = reach.labels;
  return row(reach, middle, room, [
    tag("line", { class: "span", x1: first, x2: last, y1: middle, y2: middle }),
    tag("line", {
      class: "span",
      x1: last,
      x2: last,
      y1: middle - STROKE,
      y2: middle + STROKE,
    }),
    ...places.slice(1, -1).map((cx) =>
      tag("circle", { class: "ring", cx, cy: middle, r: 3.5 })
    ),
    tag("circle", { class: "dot", cx: first, cy: middle, r: 4 }),
    text(first - 8, middle, before, {
      class: nameClass(reach),
      "text-anchor": "end",
    }),
    text(last + GAP, middle, behind, { class: nameClass(reach) }),
  ]);
}

function row(
  { name, colour, kind, words }: Row,
  middle: number,
  { nameWidth }: Room,
  shapes: readonly Child[],
): Markup {
  return tag(
    "g",
    { style: `--c:${colour}` },
    tag("title", {}, words),
    text(nameWidth, middle, cut(name, nameWidth), {
      class: kind,
      "text-anchor": "end",
    }),
    shapes,
  );
}

function grid(
  marks: readonly number[],
  scale: Scale,
  height: number,
): Markup[] {
  return marked(marks, scale).flatMap(({ place: x, text: words }) =>
    [
      tag("line", { class: "grid", x1: x, x2: x, y1: 0, y2: height }),
      words === undefined ? [] : text(x, height + AXIS_HEIGHT / 2, words, {
        class: "faint",
        "text-anchor": "middle",
      }),
    ].flat()
  );
}

function nameClass({ kind }: Row): string | undefined {
  return kind === "strong" ? kind : undefined;
}

function cut(name: string, width: number): string {
  const characters = [...name];
  const most = Math.floor(width / CHARACTER_WIDTH);
  return characters.length <= most
    ? name
    : `${characters.slice(0, most - 1).join("")}…`;
}

/** Returns what the longest of some texts takes. */
function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => text.length * CHARACTER_WIDTH));
}

/** Letters are centred on a row by their height, of which this is half. */
const HALF_LETTER = 4;

function text(
  x: number,
  middle: number,
  words: string,
  more: Readonly<Record<string, string | undefined>>,
): Markup {
  return tag(
    "text",
    { x: round(x), y: round(middle + HALF_LETTER), ...more },
    words,
  );
}
