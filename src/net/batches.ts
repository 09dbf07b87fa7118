/**
 * Reading from, and writing to, several streams in one native call.
 *
 * In one turn a server reads a little from many streams and writes a little to
 * many. One call for all streams crosses into native code once instead of once
 * a stream, and the program's own data stays in the processor's caches.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { READ_BYTES, WRITE_BYTES } from "../native/symbols.ts";
import { CALL_BYTES_MAX, checkMemory, checkRange, partOf } from "./transfer.ts";

/**
 * The layout of both batches in memory, which native code shares: for each
 * stream its handle (8 bytes), then numbers of 4 bytes.
 */
const READ_HANDLES = READ_BYTES / Float64Array.BYTES_PER_ELEMENT;
const READ_WORDS = READ_BYTES / Int32Array.BYTES_PER_ELEMENT;
const READ_COUNT = 2;
const READ_ROOM = 3;
const WRITE_HANDLES = WRITE_BYTES / Float64Array.BYTES_PER_ELEMENT;
const WRITE_WORDS = WRITE_BYTES / Int32Array.BYTES_PER_ELEMENT;
const WRITE_START = 2;
const WRITE_END = 3;
const WRITE_COUNT = 4;

/** Streams that one call reads, the bytes of each behind those of the last. */
export class ReadBatch {
  /** The most streams that the batch holds. */
  readonly capacity: number;
  /** The number of streams in the batch; set it to 0 to begin anew. */
  length = 0;
  readonly #words: Int32Array<ArrayBuffer>;
  /** The same memory. */
  readonly #handles: Float64Array<ArrayBuffer>;

  /**
   * Makes an empty batch.
   *
   * @param capacity The most streams that the batch holds.
   */
  constructor(capacity: number) {
    this.capacity = capacity;
    const memory = new ArrayBuffer(READ_BYTES * capacity);
    this.#words = new Int32Array(memory);
    this.#handles = new Float64Array(memory);
  }

  /** Adds a stream by its handle; there must be room for it. */
  add(handle: number): void {
    this.#handles[READ_HANDLES * this.length++] = handle;
  }

  /** Returns the handle of stream `index`. */
  handle(index: number): number {
    return this.#handles[READ_HANDLES * index]!;
  }

  /** Returns the result of reading stream `index`: see `Stream.tryRead`. */
  count(index: number): number {
    return this.#words[READ_WORDS * index + READ_COUNT]!;
  }

  /**
   * Returns how many bytes of stream `index` there was room for. A stream that
   * gave fewer had no more.
   */
  room(index: number): number {
    return this.#words[READ_WORDS * index + READ_ROOM]!;
  }

  /** Sets the result of reading stream `index`: for a `System` in memory. */
  setCount(index: number, count: number, room: number): void {
    this.#words[READ_WORDS * index + READ_COUNT] = count;
    this.#words[READ_WORDS * index + READ_ROOM] = room;
  }

  /**
   * Reads each stream once, in order, into `bytes` from `start` on. Stops
   * before a stream for which less than `roomMin` bytes of room are left. A
   * stream may be given less room than is left: see `room`.
   *
   * @returns How many streams were read.
   * @throws {RangeError} when `start` lies outside `bytes`, or the batch is
   * longer than its capacity.
   */
  read(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    roomMin: number,
  ): number {
    const end = bytes.byteLength;
    checkRange(bytes, start, end);
    checkLength(this.length, this.#words.length / READ_WORDS);
    if (end > CALL_BYTES_MAX) {
      return this.read(partOf(bytes, start, end), 0, roomMin);
    }
    const count = native().denio_streams_read(
      bytes,
      start,
      end - start,
      roomMin,
      this.#words,
      this.length,
    );
    return unwrap(count, "read from streams");
  }
}

/** Streams that one call writes to: each gets a part of one buffer. */
export class WriteBatch {
  /** The most streams that the batch holds. */
  readonly capacity: number;
  /** The number of streams in the batch; set it to 0 to begin anew. */
  length = 0;
  readonly #words: Int32Array<ArrayBuffer>;
  /** The same memory. */
  readonly #handles: Float64Array<ArrayBuffer>;

  /**
   * Makes an empty batch.
   *
   * @param capacity The most streams that the batch holds.
   */
  constructor(capacity: number) {
    this.capacity = capacity;
    const memory = new ArrayBuffer(WRITE_BYTES * capacity);
    this.#words = new Int32Array(memory);
    this.#handles = new Float64Array(memory);
  }

  /**
   * Adds a stream by its handle, and the range of bytes to write to it; there
   * must be room for it.
   */
  add(handle: number, start: number, end: number): void {
    const index = this.length++;
    this.#handles[WRITE_HANDLES * index] = handle;
    this.#words[WRITE_WORDS * index + WRITE_START] = start;
    this.#words[WRITE_WORDS * index + WRITE_END] = end;
  }

  /** Returns the handle of stream `index`. */
  handle(index: number): number {
    return this.#handles[WRITE_HANDLES * index]!;
  }

  /** Returns the start of the range of stream `index`. */
  start(index: number): number {
    return this.#words[WRITE_WORDS * index + WRITE_START]!;
  }

  /** Returns the end of the range of stream `index`. */
  end(index: number): number {
    return this.#words[WRITE_WORDS * index + WRITE_END]!;
  }

  /** Returns the result of writing to stream `index`: see `Stream.tryWrite`. */
  count(index: number): number {
    return this.#words[WRITE_WORDS * index + WRITE_COUNT]!;
  }

  /** Sets the result of writing to stream `index`: for a `System` in memory. */
  setCount(index: number, count: number): void {
    this.#words[WRITE_WORDS * index + WRITE_COUNT] = count;
  }

  /**
   * Writes to each stream once, in order, its part of `bytes`.
   *
   * @throws {RangeError} when the batch is longer than its capacity, or `bytes`
   * is larger than a GiB.
   */
  write(bytes: Uint8Array<ArrayBuffer>): void {
    checkLength(this.length, this.#words.length / WRITE_WORDS);
    checkMemory(bytes);
    if (bytes.byteLength > CALL_BYTES_MAX) {
      throw new RangeError(
        `Cannot write parts of "${bytes.byteLength}" bytes: the most is ` +
          `${CALL_BYTES_MAX}`,
      );
    }
    const code = native().denio_streams_write(
      bytes,
      bytes.byteLength,
      this.#words,
      this.length,
    );
    unwrap(code, "write to streams");
  }
}

/**
 * Checks a batch's length against its memory, since native code cannot see how
 * large the memory is.
 */
function checkLength(length: number, capacity: number): void {
  if (length >= 0 && length <= capacity) return;
  throw new RangeError(
    `Cannot use "${length}" streams at once: the most is ${capacity}`,
  );
}
