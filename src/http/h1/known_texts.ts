/**
 * Decodes parts of heads: a part with the bytes of an earlier one is the same
 * string. Most requests have the host, the agent and the language of another,
 * and a look-up costs a fifth of decoding.
 *
 * There is one table for all connections of a thread, of a fixed size. Each
 * text has one place: another text with the same place overwrites it.
 *
 * @module
 */

import { copyBytes, sameBytes, viewOf } from "../../bytes/words.ts";
import { decodeLatin1, writeLatin1 } from "../latin1.ts";

/** Longer parts are decoded each time: a cookie has a few hundred bytes. */
const TEXT_BYTES_MAX = 128;
const WORD_BYTES = 8;
/** Shorter parts have no whole word of eight bytes. */
const TEXT_BYTES_MIN = WORD_BYTES;
/** A power of two. */
const PLACES = 256;
const PLACE_SHIFT = 24;
/** Spreads sums of words over all places: 2 ** 32 by the golden ratio. */
const SPREAD = 0x9e37_79b1;

const texts: string[] = new Array(PLACES).fill("");
const known = new DataView(new ArrayBuffer(PLACES * TEXT_BYTES_MAX));

/**
 * Returns a part of a head as text, one character a byte.
 *
 * @param bytes What `start` and `end` refer to, without NUL between them.
 */
export function textOf(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): string {
  const length = end - start;
  if (length < TEXT_BYTES_MIN || length > TEXT_BYTES_MAX) {
    return length === 1
      ? String.fromCharCode(bytes[start]!)
      : decodeLatin1(bytes, start, end);
  }
  return lookUp(viewOf(bytes), bytes, start, length);
}

/** The origin of the URL that was asked for last, and behind it its target. */
const url = new Uint8Array(TEXT_BYTES_MAX + WORD_BYTES);
const urlView = new DataView(url.buffer);
let urlScheme = "";
let urlAuthority = "";
let originLength = 0;

/**
 * Returns a URL, or `undefined` when it is too long to be known.
 *
 * @param bytes Has the path and query from `start` to `end`, and the rest of
 * the head behind them: at least seven bytes more.
 */
export function urlTextOf(
  scheme: string,
  authority: string,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): string | undefined {
  const length = scheme.length + 3 + authority.length + end - start;
  if (length > TEXT_BYTES_MAX) return undefined;
  if (authority !== urlAuthority || scheme !== urlScheme) {
    originLength = writeLatin1(url, 0, `${scheme}://${authority}`);
    urlAuthority = authority;
    urlScheme = scheme;
  }
  const view = viewOf(bytes);
  for (let at = 0; at < end - start; at += WORD_BYTES) {
    const word = view.getFloat64(start + at, true);
    urlView.setFloat64(originLength + at, word, true);
  }
  return lookUp(urlView, url, 0, length);
}

/** Returns the known text of a range, which is the known one from now on. */
function lookUp(
  view: DataView,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
): string {
  const place = placeOf(view, start, length);
  const knownStart = place * TEXT_BYTES_MAX;
  const text = texts[place]!;
  if (
    text.length === length &&
    sameBytes(known, knownStart, view, start, length)
  ) return text;
  copyBytes(view, start, known, knownStart, length);
  return texts[place] = decodeLatin1(bytes, start, start + length);
}

/** Returns the place of a text: texts differ in their ends, or the middle. */
function placeOf(view: DataView, start: number, length: number): number {
  const sum = view.getInt32(start, true) +
    3 * view.getInt32(start + (length >> 1) - 2, true) +
    7 * view.getInt32(start + length - 4, true) + length;
  return Math.imul(sum, SPREAD) >>> PLACE_SHIFT;
}
