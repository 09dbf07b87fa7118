/**
 * Copies of received bytes, which belong to the program.
 *
 * V8 has no cheap small array: the memory of each is allocated outside of the
 * heap, which costs more than all else for a message of 64 bytes. So small
 * copies are views of a buffer that several share, as Node's `Buffer` has it.
 *
 * @module
 */

/** A program that keeps one message keeps all of its buffer. */
const SHARED_BYTES = 16_384;
/** Longer copies have a buffer to themselves. */
const SMALL_BYTES_MAX = 1_024;
/** Views of any number type may begin at each message. */
const ALIGNMENT = 8;

let shared = new ArrayBuffer(SHARED_BYTES);
let used = 0;

/** Returns a copy of some bytes; nothing writes to it again. */
export function ownBytes(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  const length = end - start;
  if (length > SMALL_BYTES_MAX) return bytes.slice(start, end);
  // A program may have transferred the buffer, which has no bytes then.
  if (used + length >= shared.byteLength) {
    shared = new ArrayBuffer(SHARED_BYTES);
    used = 0;
  }
  const copy = new Uint8Array(shared, used, length);
  used += (length + ALIGNMENT - 1) & -ALIGNMENT;
  // Without `subarray`, which costs as much as the rest.
  copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length));
  return copy;
}
