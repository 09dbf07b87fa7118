/**
 * Where values lie along an axis, and which of them are marked there.
 *
 * @module
 */

/** Maps a value to a place along an axis. */
export type Scale = (value: number) => number;

/** A lower and an upper end. */
export type Range = readonly [low: number, high: number];

/** More marks than this crowd an axis. */
const MARKS_MAX = 5;
/** How much of a logarithmic axis is left free at each end. */
const AIR = 1.12;

/** Returns a scale on which equal differences are equally far. */
export function linear([low, high]: Range, [start, end]: Range): Scale {
  return (value) => start + (value - low) / (high - low || 1) * (end - start);
}

/** Returns a scale on which equal ratios are equally far. */
export function logarithmic([low, high]: Range, places: Range): Scale {
  const scale = linear([Math.log10(low), Math.log10(high)], places);
  return (value) => scale(Math.log10(value));
}

/** Returns the powers of ten around the values, at least a decade of them. */
export function decades(values: readonly number[]): number[] {
  const logs = positive(values).map(Math.log10);
  if (logs.length === 0) return [1, 10];
  const first = Math.floor(Math.min(...logs));
  const last = Math.ceil(Math.max(...logs));
  const count = Math.max(1, last - first);
  return Array.from({ length: count + 1 }, (_, index) => 10 ** (first + index));
}

/** Returns a logarithmic axis that the values fill. */
export function around(values: readonly number[]): Range {
  const above = positive(values);
  if (above.length === 0) return [1, 10];
  return [Math.min(...above) / AIR, Math.max(...above) * AIR];
}

/** Returns round values on a logarithmic axis: few, and evenly spread. */
export function logarithmicMarks([low, high]: Range): number[] {
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const marks = decades([low, high])
      .flatMap((decade) => steps.map((step) => decade * step))
      .filter((mark) => mark >= low && mark <= high);
    if (marks.length <= MARKS_MAX) return marks;
  }
  return decades([low, high]).filter((mark) => mark >= low && mark <= high);
}

/** Returns round values from zero to at least `high`. */
export function linearMarks(high: number): number[] {
  if (!(high > 0)) return [0, 1];
  const decade = 10 ** Math.floor(Math.log10(high));
  const steps = [0.2, 0.5, 1, 2].map((step) => step * decade);
  const step = steps.find((step) => high / step <= MARKS_MAX) ?? steps.at(-1)!;
  const count = Math.ceil(high / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => tidy(index * step));
}

/** What a character of a mark takes, with its share of air. */
const MARK_WIDTH = 6.8;

/** A mark on an axis. */
export interface Mark {
  /** Where it is. */
  readonly place: number;
  /** What is written there; nothing where it would touch the one before. */
  readonly text: string | undefined;
}

/** Returns an axis's marks, with what is written at each. */
export function marked(values: readonly number[], scale: Scale): Mark[] {
  let free = -Infinity;
  return values.map((value) => {
    const place = round(scale(value));
    const text = markText(value);
    const half = text.length * MARK_WIDTH / 2;
    if (place - half < free) return { place, text: undefined };
    free = place + half;
    return { place, text };
  });
}

/** Returns a mark as an axis has it: in few characters. */
export function markText(value: number): string {
  if (value >= 1e6) return `${tidy(value / 1e6)}M`;
  if (value >= 1e4 || value >= 1e3 && value % 1e3 === 0) {
    return `${tidy(value / 1e3)}k`;
  }
  return value >= 1 ? value.toLocaleString("en") : String(tidy(value));
}

/** Returns a place with a tenth of a pixel: finer is not seen. */
export function round(place: number): number {
  return Math.round(place * 10) / 10;
}

/** 0.1 times 3 is 0.3, whatever binary fractions make of it. */
function tidy(value: number): number {
  return Number(value.toPrecision(6));
}

function positive(values: readonly number[]): number[] {
  return values.filter((value) => value > 0);
}
