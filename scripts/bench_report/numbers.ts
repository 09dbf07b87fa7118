/**
 * Figures, ratios and dates as people read them.
 *
 * @module
 */

import {
  type FigureName,
  FIGURES,
  type Results,
  type Spread,
} from "../bench/results.ts";
import { SUBJECT } from "./peers.ts";

const BYTES_UNITS = ["B", "kB", "MB", "GB"];
const KILO = 1000;
/** From here on bytes are counted in larger units. */
const BYTES_MAX = 10_000;
/** More digits than this no run of the benchmark would give again. */
const DIGITS = 4;

/** Returns a number with as many digits as are worth reading. */
export function numberText(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.1) return String(Number(value.toPrecision(2)));
  if (size < 10) return value.toFixed(2);
  if (size < 100) return value.toFixed(1);
  if (size < KILO) return value.toFixed(0);
  return Number(value.toPrecision(DIGITS)).toLocaleString("en");
}

/** Returns bytes, in a unit that makes them short. */
export function bytesText(value: number): string {
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= (unit ? KILO : BYTES_MAX) && unit < 3) {
    rest /= KILO;
    unit++;
  }
  const digits = unit === 0
    ? Math.round(rest).toLocaleString("en")
    : numberText(rest);
  return `${digits} ${BYTES_UNITS[unit]}`;
}

/** Returns a figure without its unit, unless it is one of bytes. */
export function figureText(figure: FigureName, value: number): string {
  return FIGURES[figure].unit === "bytes"
    ? bytesText(value)
    : numberText(value);
}

/** Returns from where to where a figure went; the unit is said once. */
export function rangeText(figure: FigureName, { min, max }: Spread): string {
  const [low, high] = [min, max].map((value) => figureText(figure, value));
  const [, unit] = / (\S+)$/.exec(high!) ?? [];
  const isSame = unit !== undefined && low!.endsWith(` ${unit}`);
  const start = isSame ? low!.slice(0, -unit.length - 1) : low;
  return `${start}–${high}`;
}

/**
 * Whether a figure's unit is to be shown: bytes show theirs already, and of
 * what is counted per second, the name says so.
 */
export function isShown(figure: FigureName): boolean {
  return !["", "bytes", "1/s"].includes(FIGURES[figure].unit);
}

/** Keeps a unit on its number's line. */
const NO_BREAK = "\u00a0";

/** Returns a figure with its unit. */
export function fullText(figure: FigureName, value: number): string {
  const text = figureText(figure, value);
  const { unit } = FIGURES[figure];
  const whole = isShown(figure) ? `${text} ${unit}` : text;
  return whole.replace(" ", NO_BREAK);
}

/** Returns "0.66 of", or "1.13 times": what comes next is somebody's. */
export function shareText(ratio: number): string {
  return `${numberText(ratio)} ${ratio < 1 ? "of" : "times"}`;
}

/** Returns which denio was measured, when and for how long. */
export function ranText(
  { version, date, rounds, seconds }: Results,
): string {
  return `${SUBJECT} ${version}, ${dateText(date)}; ` +
    `medians of ${rounds} ${rounds === 1 ? "round" : "rounds"} of ${seconds} s`;
}

/** Returns the command that measures for as long as a run did. */
export function benchCommand({ rounds, seconds }: Results): string {
  return `deno task bench --rounds ${rounds} --seconds ${seconds}`;
}

/** Returns a date of ISO 8601 to the minute; what is none, as it is. */
export function dateText(date: string): string {
  const [, day, time] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)[\d:.]*Z$/.exec(date) ??
    [];
  return day === undefined ? date : `${day} ${time} UTC`;
}
