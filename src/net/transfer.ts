/**
 * What one may hand to a read or a write, of a socket or of a pipe.
 *
 * @module
 */

/** Buffers that one vectored call takes at the most. */
export const BUFFERS_MAX = 8;

/**
 * How far from its beginning one call goes in an array, and how many bytes it
 * takes in all: native code counts in 32 bits, and its answers have a sign.
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

/**
 * Returns when a range lies in a buffer. Native code cannot see how long a
 * buffer is: it is checked here.
 *
 * @throws {RangeError} when it lies outside.
 */
export function checkRange(
  buffer: Uint8Array,
  offset: number,
  length: number,
): void {
  if (offset >= 0 && length >= 0 && offset + length <= buffer.byteLength) {
    return;
  }
  throw new RangeError(
    `Cannot use ${length} bytes from offset ${offset}: ` +
      `the buffer has ${buffer.byteLength}`,
  );
}

/**
 * Returns what one call can take of a range that goes beyond
 * {@linkcode CALL_BYTES_MAX}: its beginning. A call that takes a part of what it
 * was given says so by its count.
 */
export function partOf(
  buffer: Uint8Array<ArrayBuffer>,
  offset: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  return buffer.subarray(offset, offset + Math.min(length, CALL_BYTES_MAX));
}

/**
 * Returns the beginning of several buffers, of {@linkcode CALL_BYTES_MAX} bytes
 * at the most.
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
 * Returns the arguments of a vectored call, which native code takes in order.
 * Of more than {@linkcode CALL_BYTES_MAX} bytes they are the beginning.
 *
 * @throws {RangeError} when there are more than eight buffers.
 */
export function vector(buffers: readonly Uint8Array<ArrayBuffer>[]): Vector {
  if (buffers.length > BUFFERS_MAX) {
    throw new RangeError(
      `Cannot use "${buffers.length}" buffers at once: there may be ` +
        `${BUFFERS_MAX}`,
    );
  }
  let sum = 0;
  for (const { byteLength } of buffers) sum += byteLength;
  const parts = sum > CALL_BYTES_MAX ? partsOf(buffers) : buffers;
  const args: (Buffer | number)[] = [];
  for (let index = 0; index < BUFFERS_MAX; index++) {
    const buffer = parts[index] ?? null;
    args.push(buffer, buffer === null ? 0 : buffer.byteLength);
  }
  return args as Vector;
}
