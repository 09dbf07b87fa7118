/**
 * Lines over a pair of axes, each named where it ends.
 *
 * @module
 */

import { type Child, type Markup, tag } from "./markup.ts";
import {
  around,
  decades,
  linear,
  linearMarks,
  logarithmic,
  marked,
  markText,
  type Range,
  round,
  type Scale,
} from "./scale.ts";
import { COLOURS } from "./style.ts";

/** One line. */
export interface Series {
  /** Written at its end. */
  readonly name: string;
  /** Pairs of x and y; those that are not above zero have no place. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** As CSS has it; the next of the palette when there is none. */
  readonly colour?: string;
  /** Whether it is drawn bolder than others. */
  readonly isStrong?: boolean;
  /** Whether it is dashed. */
  readonly isDashed?: boolean;
}

/** Lines over one pair of axes. */
export interface Plot {
  /** Written above, unless the page does it. */
  readonly title?: string;
  /** What x counts. */
  readonly xLabel: string;
  /** What y counts, unless the page says it. */
  readonly yLabel?: string;
  /** The lines. */
  readonly series: readonly Series[];
}

/** Where a plot lies, and how its axes are divided. */
export interface Frame {
  /** Where the axes lie, with room for what is written around them. */
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** Marks on x; powers of ten when there are none. */
  readonly xMarks?: readonly number[];
  /** Whether y begins at zero and is linear; else it is logarithmic. */
  readonly isLinear?: boolean;
}

/** What a name takes, with some air. */
const NAME_WIDTH = 60;
const NAME_HEIGHT = 13;
/** A name this far from its line needs something that leads there. */
const LEADER_MIN = 6;
const PALETTE = Object.values(COLOURS);

type Place = readonly [x: number, y: number];

/** A line in the picture. */
interface Drawn {
  readonly series: Series;
  readonly colour: string;
  readonly places: readonly Place[];
}

/** A line's name in the picture. */
interface Named {
  readonly line: Drawn;
  readonly x: number;
  readonly y: number;
}

/** An axis: its scale and its marks. */
interface Axis {
  readonly scale: Scale;
  readonly marks: readonly number[];
}

/** Returns what a plot consists of. */
export function lines(plot: Plot, frame: Frame): Markup[] {
  const seen = plot.series.map((series, index) => ({
    series,
    colour: series.colour ?? PALETTE[index % PALETTE.length]!,
    points: series.points.filter(([x, y]) => x > 0 && y > 0),
  })).filter(({ points }) => points.length > 0);
  const all = seen.flatMap(({ points }) => points);
  const x = xAxis(all.map(([x]) => x), frame);
  const y = yAxis(all.map(([, y]) => y), frame);
  const drawn = seen.map(({ points, ...line }) => ({
    ...line,
    places: points.map(([a, b]) =>
      [round(x.scale(a)), round(y.scale(b))] as const
    ),
  }));
  return [
    ...titleOf(plot, frame),
    ...verticalMarks(x, frame),
    ...y.marks.flatMap((mark) => horizontalMark(y.scale(mark), mark, frame)),
    ...axisLabels(plot, frame),
    ...drawn.flatMap(path),
    ...apart(drawn, frame).flatMap(nameOf),
  ];
}

function titleOf({ title }: Plot, { left }: Frame): Markup[] {
  return title === undefined ? [] : [text(left, 24, title, { class: "title" })];
}

function xAxis(values: readonly number[], frame: Frame): Axis {
  const { left, right } = frame;
  const marks = frame.xMarks ?? decades(values);
  const ends = frame.xMarks ? around(marks) : endsOf(marks);
  return { marks, scale: logarithmic(ends, [left, right]) };
}

function yAxis(values: readonly number[], frame: Frame): Axis {
  const places = [frame.bottom, frame.top] as const;
  if (frame.isLinear) {
    const marks = linearMarks(Math.max(...values, 0));
    return { marks, scale: linear(endsOf(marks), places) };
  }
  const marks = decades(values);
  return { marks, scale: logarithmic(endsOf(marks), places) };
}

function endsOf(marks: readonly number[]): Range {
  return [marks[0]!, marks.at(-1)!];
}

function axisLabels({ xLabel, yLabel }: Plot, frame: Frame): Markup[] {
  const middle = (frame.top + frame.bottom) / 2;
  const x = text(frame.right, frame.bottom + 36, xLabel, {
    "text-anchor": "end",
  });
  if (yLabel === undefined) return [x];
  const y = text(16, middle, yLabel, {
    "text-anchor": "middle",
    transform: `rotate(-90 16 ${middle})`,
  });
  return [x, y];
}

function verticalMarks({ scale, marks }: Axis, frame: Frame): Markup[] {
  const { top, bottom } = frame;
  return marked(marks, scale).flatMap(({ place: x, text: words }) => {
    const ends = { x1: x, x2: x, y1: top, y2: bottom };
    const rule = tag("line", { class: "grid", ...ends });
    return words === undefined ? [rule] : [
      rule,
      text(x, bottom + 18, words, {
        class: "faint",
        "text-anchor": "middle",
      }),
    ];
  });
}

function horizontalMark(at: number, mark: number, frame: Frame): Markup[] {
  const { left, right } = frame;
  const y = round(at);
  return [
    tag("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }),
    text(left - 8, y + 4, markText(mark), {
      class: "faint",
      "text-anchor": "end",
    }),
  ];
}

function path({ series, colour, places }: Drawn): Markup[] {
  const steps = places.map(([a, b], i) => `${i === 0 ? "M" : "L"}${a} ${b}`);
  const style = `--c:${colour}`;
  const kind = (series.isStrong ? " strong" : "") +
    (series.isDashed ? " dashed" : "");
  return [
    tag("path", { d: steps.join(""), class: `line${kind}`, style }),
    ...places.map(([cx, cy]) =>
      tag("circle", { cx, cy, r: series.isStrong ? 4 : 3, class: "dot", style })
    ),
  ];
}

/** Where each line ends, which is where it is named: no two names too near. */
function apart(drawn: readonly Drawn[], { bottom }: Frame): Named[] {
  const names = drawn.map((line) => {
    const [x, y] = line.places.at(-1)!;
    return { line, x, y };
  });
  const columns = Map.groupBy(
    names,
    (name) => names.find(({ x }) => Math.abs(x - name.x) < NAME_WIDTH)!,
  );
  return [...columns.values()].flatMap((column) => spread(column, bottom));
}

/** Names that touch become a block, which stands where they are on average. */
function spread(column: readonly Named[], bottom: number): Named[] {
  const blocks: Named[][] = [];
  for (const name of column.toSorted((one, other) => one.y - other.y)) {
    let block = [name];
    while (blocks.length > 0 && endOf(blocks.at(-1)!) > startOf(block)) {
      block = [...blocks.pop()!, ...block];
    }
    blocks.push(block);
  }
  return blocks.flatMap((block) => {
    const length = (block.length - 1) * NAME_HEIGHT;
    const start = Math.min(startOf(block), bottom - length);
    return block.map((name, i) => ({ ...name, y: start + i * NAME_HEIGHT }));
  });
}

/** The place of a block's first name. */
function startOf(block: readonly Named[]): number {
  const sum = block.reduce((sum, { y }) => sum + y, 0);
  return sum / block.length - (block.length - 1) * NAME_HEIGHT / 2;
}

/** Where a block's next name would be. */
function endOf(block: readonly Named[]): number {
  return startOf(block) + block.length * NAME_HEIGHT;
}

/** Ink, since a palette's colours are too pale for letters. */
function nameOf({ line, x, y }: Named): Markup[] {
  const [endX, endY] = line.places.at(-1)!;
  const weight = line.series.isStrong ? ";font-weight:700" : "";
  const leader = Math.abs(y - endY) < LEADER_MIN ? [] : [
    tag("line", {
      class: "leader",
      x1: endX + 4,
      y1: endY,
      x2: round(x + 11),
      y2: round(y),
    }),
  ];
  return [
    ...leader,
    text(x + 12, y + 4, line.series.name, {
      style: `fill:var(--ink,#222)${weight}`,
    }),
  ];
}

function text(
  x: number,
  y: number,
  words: Child,
  more: Readonly<Record<string, string>>,
): Markup {
  return tag("text", { x: round(x), y: round(y), ...more }, words);
}
