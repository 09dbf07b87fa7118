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

/** Longer heads are never known. Browsers send 500 to 1,500 bytes. */
const KNOWN_BYTES_MAX = 2_048;
const WORD_BYTES = 8;

const known = new DataView(new ArrayBuffer(KNOWN_BYTES_MAX));
/** The length of the known head; 0 while there is none. */
let knownLength = 0;
/** The length of the head that was offered last. */
let offeredLength = 0;

/** The array that was looked at last, and a view of the same bytes. */
let viewed: Uint8Array<ArrayBuffer> = new Uint8Array(0);
let view = new DataView(viewed.buffer);

/** Whether the bytes from `start` on begin with the known head. */
export function beginsKnown(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): boolean {
  if (knownLength === 0 || end - start < knownLength) return false;
  const view = viewOf(bytes);
  // As numbers of eight bytes, which compares fastest. Equal numbers are equal
  // bytes, except for 0 and -0: a head has no NUL, so it is neither. A number
  // that is NaN never counts as equal: that head is parsed again.
  const last = knownLength - WORD_BYTES;
  for (let at = 0; at < last; at += WORD_BYTES) {
    const word = known.getFloat64(at, true);
    if (word !== view.getFloat64(start + at, true)) return false;
  }
  return known.getFloat64(last, true) === view.getFloat64(start + last, true);
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
  const view = viewOf(bytes);
  const last = length - WORD_BYTES;
  for (let at = 0; at < last; at += WORD_BYTES) {
    known.setFloat64(at, view.getFloat64(start + at, true), true);
  }
  known.setFloat64(last, view.getFloat64(start + last, true), true);
  knownLength = length;
  return true;
}

/** Returns a copy of the known head. */
export function copyOfKnown(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(known.buffer.slice(0, knownLength));
}

function viewOf(bytes: Uint8Array<ArrayBuffer>): DataView<ArrayBuffer> {
  if (bytes === viewed) return view;
  viewed = bytes;
  return view = new DataView(
    bytes.buffer,
    bytes.byteOffset,
    bytes.byteLength,
  );
}
