/**
 * Recognises a head that repeats an earlier one byte for byte: a client that
 * asks again often sends the same head, which need not be parsed again then.
 *
 * One head is known at a time, for all connections of a thread, so that a
 * connection keeps nothing for its next head. Its bytes are a copy: a read
 * buffer could be overwritten.
 *
 * @module
 */

import { copyBytes, sameBytes, viewOf } from "../../bytes/words.ts";

/** Longer heads are never known. Browsers send 500 to 1,500 bytes. */
const KNOWN_BYTES_MAX = 2_048;

/** Where most targets begin, behind `GET /`. */
const TARGET_AT = 5;
/** The last four bytes of a value, and two line ends. */
const VALUE_BEFORE = 8;
const FACTOR = 31;

const known = new DataView(new ArrayBuffer(KNOWN_BYTES_MAX));
/** The length of the known head; 0 while there is none. */
let knownLength = 0;
/** The sum of a few bytes of the head that was offered last. */
let offered = 0;

/** Whether the bytes from `start` on begin with the known head. */
export function beginsKnown(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): boolean {
  if (knownLength === 0 || end - start < knownLength) return false;
  // A head has no NUL, so no word of it is 0.
  return sameBytes(known, 0, viewOf(bytes), start, knownLength);
}

/**
 * Offers a parsed head, from `start` to `end`, as the known one.
 *
 * @returns Whether it is the known one now. Only a head that looks like the one
 * offered before is taken: heads that differ cost no copy.
 */
export function offerKnown(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): boolean {
  const view = viewOf(bytes);
  const length = end - start;
  const sum = sumOf(view, start, end);
  const isTaken = sum === offered && length <= KNOWN_BYTES_MAX;
  offered = sum;
  if (!isTaken) return false;
  copyBytes(view, start, known, 0, length);
  knownLength = length;
  return true;
}

/** Sums what differs most: a part of the target, the last value, the length. */
function sumOf(view: DataView, start: number, end: number): number {
  const target = view.getInt32(start + TARGET_AT, true);
  const value = view.getInt32(end - VALUE_BEFORE, true);
  return Math.imul(target, FACTOR) + value + end - start | 0;
}

/** Returns a copy of the known head. */
export function copyOfKnown(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(known.buffer.slice(0, knownLength));
}
