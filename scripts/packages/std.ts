/**
 * The part of Deno's standard library that scripts use, from npm: not every
 * machine reaches JSR. `tests/packages/typescript.ts` says why packages are
 * imported here.
 *
 * The npm edition is JavaScript alone, so the types are written here. Its
 * `cli/unicode_width.js` cannot be imported: the package lacks the data file.
 *
 * @module
 */

import * as bytes from "npm:deno-std@1.4.0/fmt/bytes.js";
import * as colors from "npm:deno-std@1.4.0/fmt/colors.js";
import * as duration from "npm:deno-std@1.4.0/fmt/duration.js";
import * as html from "npm:deno-std@1.4.0/html/entities.js";

/** Returns a number of bytes as `15.3 kB`. */
export const formatBytes: (
  bytes: number,
  options?: { binary?: boolean; maximumFractionDigits?: number },
) => string = bytes.format;

/** Returns milliseconds as `1m 39s`. */
export const formatDuration: (
  ms: number,
  options?: { style?: "narrow" | "digital" | "full"; ignoreZero?: boolean },
) => string = duration.format;

/** Returns text in bold letters, unless colours are off. */
export const bold: (text: string) => string = colors.bold;
/** Returns text in green, unless colours are off. */
export const green: (text: string) => string = colors.green;
/** Returns text in red, unless colours are off. */
export const red: (text: string) => string = colors.red;
/** Switches colours on or off; without a call, `NO_COLOR` decides. */
export const setColorEnabled: (value: boolean) => void = colors.setColorEnabled;

/** Returns text with the characters that HTML reserves as entities. */
export const escapeHtml: (text: string) => string = html.escape;
