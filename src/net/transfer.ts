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

/** Memory that is kept from the garbage collector by being known: a MiB. */
const KNOWN_BYTES_MAX = 2 ** 20;

/**
 * The last two arrays whose memory is no other thread's: a reactor reads into
 * one and writes from one, and asking for an array's buffer costs 20 ns.
 */
let known: Uint8Array | undefined;
let knownBefore: Uint8Array | undefined;

/**
 * Returns when no other thread has a buffer's memory. Native code takes for
 * granted that nobody else writes to it during a call.
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
 * Returns when a range lies in a buffer, whose memory is no other thread's.
 * Native code cannot see how long a buffer is: it is checked here.
 *
 * @throws {RangeError} when it lies outside.
 * @throws {TypeError} when it is a view of a `SharedArrayBuffer`.
 */
export function checkRange(
  buffer: Uint8Array,
  offset: number,
  length: number,
): void {
  if (offset >= 0 && length >= 0 && offset + length <= buffer.byteLength) {
    return checkMemory(buffer);
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
