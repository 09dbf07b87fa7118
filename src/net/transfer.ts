/**
 * What one may hand to a read or a write, of a socket or of a pipe.
 *
 * @module
 */

/** Buffers that one vectored call takes at the most. */
export const BUFFERS_MAX = 8;

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
 * Returns the arguments of a vectored call, which native code takes in order.
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
  const args: (Buffer | number)[] = [];
  for (let index = 0; index < BUFFERS_MAX; index++) {
    const buffer = buffers[index] ?? null;
    args.push(buffer, buffer === null ? 0 : buffer.byteLength);
  }
  return args as Vector;
}
