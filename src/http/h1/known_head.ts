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

const known = new DataView(new ArrayBuffer(KNOWN_BYTES_MAX));
/** The length of the known head; 0 while there is none. */
let knownLength = 0;
/** The length of the head that was offered last. */
let offeredLength = 0;

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
 * @returns Whether it is the known one now. Only a head that is as long as the
 * one offered before is taken: heads that all differ cost no copy.
 */
export function offerKnown(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): boolean {
  const length = end - start;
  const isTaken = length === offeredLength && length <= KNOWN_BYTES_MAX;
  offeredLength = length;
  if (!isTaken) return false;
  copyBytes(viewOf(bytes), start, known, 0, length);
  knownLength = length;
  return true;
}

/** Returns a copy of the known head. */
export function copyOfKnown(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(known.buffer.slice(0, knownLength));
}
