/**
 * Checks of the buffers and ranges that a caller passes to a read or a write.
 *
 * @module
 */

/** The most buffers that one vectored call takes. */
export const BUFFERS_MAX = 8;

/**
 * The largest end of a range, and the most bytes, of one native call. Native
 * code counts in 32 bits and returns signed numbers.
 */
export const CALL_BYTES_MAX: number = 2 ** 30;

type Buffer = Uint8Array<ArrayBuffer> | null;

/** The arguments of a vectored call: eight buffers, each with its length. */
export type Vector = [
  first: Buffer,
  firstLength: number,
  second: Buffer,
  secondLength: number,
  third: Buffer,
  thirdLength: number,
  fourth: Buffer,
  fourthLength: number,
  fifth: Buffer,
  fifthLength: number,
  sixth: Buffer,
  sixthLength: number,
  seventh: Buffer,
  seventhLength: number,
  eighth: Buffer,
  eighthLength: number,
];

/** Larger arrays are not remembered, since that keeps them in memory. */
const KNOWN_BYTES_MAX = 2 ** 20;

/**
 * The last two arrays that passed the check: a reactor reads into one and
 * writes from the other. Getting an array's `buffer` costs 20 ns.
 */
let known: Uint8Array | undefined;
let knownBefore: Uint8Array | undefined;

/**
 * Throws when another thread may share a buffer's memory: native code relies on
 * the fact that no other code writes to it during a call.
 *
 * @throws {TypeError} when it is a view of a `SharedArrayBuffer`.
 */
export function checkMemory(buffer: Uint8Array): void {
  if (buffer === known || buffer === knownBefore) return;
  const memory = buffer.buffer;
  if (!(memory instanceof ArrayBuffer)) {
    throw new TypeError(
      "Cannot use a view of a SharedArrayBuffer: another thread could write " +
        "to it during the call",
    );
  }
  if (memory.byteLength > KNOWN_BYTES_MAX) return;
  knownBefore = known;
  known = buffer;
}

/**
 * Throws unless the range from `start` to `end`, exclusive, lies inside a
 * buffer, and no other thread shares the buffer's memory. Native code cannot
 * see how long a buffer is.
 *
 * @throws {RangeError} when the range lies outside.
 * @throws {TypeError} when it is a view of a `SharedArrayBuffer`.
 */
export function checkRange(
  buffer: Uint8Array,
  start: number,
  end: number,
): void {
  // An object could be another number in the caller's `end - start`.
  const isNumber = typeof end === "number";
  if (isNumber && start >= 0 && start <= end && end <= buffer.byteLength) {
    return checkMemory(buffer);
  }
  throw new RangeError(
    `Cannot use bytes from "${start}" to "${end}": ` +
      `the buffer has ${buffer.byteLength}`,
  );
}

/**
 * Returns the beginning of a range that goes beyond {@linkcode CALL_BYTES_MAX},
 * as far as one call can process it. The call's count tells the caller how far.
 */
export function partOf(
  buffer: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  return buffer.subarray(start, Math.min(end, start + CALL_BYTES_MAX));
}

/**
 * Returns the beginning of several buffers: at most {@linkcode CALL_BYTES_MAX}
 * bytes together.
 */
export function partsOf(
  buffers: readonly Uint8Array<ArrayBuffer>[],
): Uint8Array<ArrayBuffer>[] {
  let left = CALL_BYTES_MAX;
  return buffers.map((buffer) => {
    const part = buffer.subarray(0, left);
    left -= part.byteLength;
    return part;
  });
}

/**
 * Returns the arguments of a vectored call: each buffer and its length, in
 * order, at most {@linkcode CALL_BYTES_MAX} bytes together.
 *
 * @throws {RangeError} when there are more than eight buffers.
 */
export function vector(buffers: readonly Uint8Array<ArrayBuffer>[]): Vector {
  if (buffers.length > BUFFERS_MAX) {
    throw new RangeError(
      `Cannot use "${buffers.length}" buffers at once: the most is ` +
        `${BUFFERS_MAX}`,
    );
  }
  let sum = 0;
  for (const buffer of buffers) {
    checkMemory(buffer);
    sum += buffer.byteLength;
  }
  const parts = sum > CALL_BYTES_MAX ? partsOf(buffers) : buffers;
  const args: (Buffer | number)[] = [];
  for (let index = 0; index < BUFFERS_MAX; index++) {
    const buffer = parts[index] ?? null;
    args.push(buffer, buffer === null ? 0 : buffer.byteLength);
  }
  return args as Vector;
}
