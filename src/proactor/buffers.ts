/**
 * Buffers that programs give to operations.
 *
 * @module
 */

import { checkMemory } from "../net/transfer.ts";
import { BYTES_MAX } from "./pump.ts";

/**
 * Throws unless native code may use a buffer.
 *
 * @throws {TypeError} when it is no `Uint8Array`, has been transferred, or is a
 * view of a `SharedArrayBuffer`.
 */
export function checkBuffer(buffer: Uint8Array): void {
  if (!(buffer instanceof Uint8Array)) {
    throw new TypeError(`Cannot use buffer "${buffer}": no Uint8Array`);
  }
  checkMemory(buffer);
  const isEmpty = buffer.byteLength === 0;
  if (isEmpty && (buffer.buffer as ArrayBuffer).detached) {
    throw new TypeError("Cannot use a buffer that was transferred");
  }
}

/**
 * Throws unless bytes still fit into a buffer.
 *
 * @throws {TypeError} when it was transferred or made smaller.
 */
export function checkRoom(buffer: Uint8Array, bytes: Uint8Array): void {
  if (buffer.byteLength >= bytes.byteLength) return;
  throw new TypeError(
    `Cannot store ${bytes.byteLength} bytes: the buffer was transferred or ` +
      "made smaller meanwhile",
  );
}

/** Takes bytes that were kept into a buffer, and returns how many. */
export function takeKept(kept: Uint8Array[], buffer: Uint8Array): number {
  const first = kept[0]!;
  const count = Math.min(first.byteLength, buffer.byteLength);
  buffer.set(first.subarray(0, count));
  if (count === first.byteLength) kept.shift();
  else kept[0] = first.subarray(count);
  return count;
}

/**
 * Returns arrays as parts that one operation takes each: small neighbours are
 * joined, large arrays are cut.
 */
export function* partsOf(
  arrays: readonly Uint8Array[],
): Generator<Uint8Array<ArrayBuffer>, void> {
  arrays.forEach(checkBuffer);
  let joined: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for (const array of arrays) {
    for (let start = 0; start < array.byteLength;) {
      const end = Math.min(start + BYTES_MAX - length, array.byteLength);
      // `checkBuffer` has refused shared memory.
      joined.push(array.subarray(start, end) as Uint8Array<ArrayBuffer>);
      length += end - start;
      start = end;
      if (length < BYTES_MAX) continue;
      yield join(joined, length);
      joined = [];
      length = 0;
    }
  }
  if (length > 0) yield join(joined, length);
}

function join(
  arrays: readonly Uint8Array<ArrayBuffer>[],
  length: number,
): Uint8Array<ArrayBuffer> {
  if (arrays.length === 1) return arrays[0]!;
  const bytes = new Uint8Array(length);
  let end = 0;
  for (const array of arrays) {
    bytes.set(array, end);
    end += array.byteLength;
  }
  return bytes;
}
