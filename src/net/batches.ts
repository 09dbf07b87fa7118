/**
 * Reading from, and writing to, several streams in one native call.
 *
 * A turn of a server reads a little from many streams and writes a little to
 * many. One call for all is one crossing into native code instead of one a
 * stream, and what a program does between reading and writing stays in the
 * processor's caches.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { READ_BYTES, WRITE_BYTES } from "../native/symbols.ts";
import { CALL_BYTES_MAX, checkMemory, checkRange, partOf } from "./transfer.ts";

/**
 * What both batches lay out in memory, as native code reads it: each stream has
 * its handle, 8 bytes, then numbers of 4.
 */
const READ_HANDLES = READ_BYTES / Float64Array.BYTES_PER_ELEMENT;
const READ_WORDS = READ_BYTES / Int32Array.BYTES_PER_ELEMENT;
const READ_COUNT = 2;
const WRITE_HANDLES = WRITE_BYTES / Float64Array.BYTES_PER_ELEMENT;
const WRITE_WORDS = WRITE_BYTES / Int32Array.BYTES_PER_ELEMENT;
const WRITE_START = 2;
const WRITE_END = 3;
const WRITE_COUNT = 4;

/** Streams that are read in one call, one's bytes behind the other's. */
export class ReadBatch {
  /** How many streams there may be. */
  readonly capacity: number;
  /** How many streams there are; set to 0 to begin anew. */
  length = 0;
  readonly #words: Int32Array<ArrayBuffer>;
  /** The same memory. */
  readonly #handles: Float64Array<ArrayBuffer>;

  /**
   * Makes an empty batch.
   *
   * @param capacity How many streams there may be.
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

  /** Returns what reading stream `index` gave: see `Stream.tryRead`. */
  count(index: number): number {
    return this.#words[READ_WORDS * index + READ_COUNT]!;
  }

  /** Says what reading stream `index` gave: for who reads in native code's place. */
  setCount(index: number, count: number): void {
    this.#words[READ_WORDS * index + READ_COUNT] = count;
  }

  /**
   * Reads each stream once, in order, from `offset` of `bytes` on, and stops
   * before one that would have less than `roomMin` bytes.
   *
   * @returns How many streams were read.
   * @throws {RangeError} when `offset` lies outside `bytes`, or there are more
   * streams than there may be.
   */
  read(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    roomMin: number,
  ): number {
    const room = bytes.byteLength - offset;
    checkRange(bytes, offset, room);
    checkLength(this.length, this.#words.length / READ_WORDS);
    if (offset + room > CALL_BYTES_MAX) {
      return this.read(partOf(bytes, offset, room), 0, roomMin);
    }
    const count = native().denio_streams_read(
      bytes,
      offset,
      room,
      roomMin,
      this.#words,
      this.length,
    );
    return unwrap(count, "read from streams");
  }
}

/** Streams that are written to in one call, each a part of one buffer. */
export class WriteBatch {
  /** How many streams there may be. */
  readonly capacity: number;
  /** How many streams there are; set to 0 to begin anew. */
  length = 0;
  readonly #words: Int32Array<ArrayBuffer>;
  /** The same memory. */
  readonly #handles: Float64Array<ArrayBuffer>;

  /**
   * Makes an empty batch.
   *
   * @param capacity How many streams there may be.
   */
  constructor(capacity: number) {
    this.capacity = capacity;
    const memory = new ArrayBuffer(WRITE_BYTES * capacity);
    this.#words = new Int32Array(memory);
    this.#handles = new Float64Array(memory);
  }

  /**
   * Adds a stream by its handle, and which bytes it is to have; there must be
   * room for it.
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

  /** Returns where the bytes of stream `index` begin. */
  start(index: number): number {
    return this.#words[WRITE_WORDS * index + WRITE_START]!;
  }

  /** Returns where the bytes of stream `index` end. */
  end(index: number): number {
    return this.#words[WRITE_WORDS * index + WRITE_END]!;
  }

  /** Returns what writing to stream `index` gave: see `Stream.tryWrite`. */
  count(index: number): number {
    return this.#words[WRITE_WORDS * index + WRITE_COUNT]!;
  }

  /** Says what writing to stream `index` gave: for who writes in native code's place. */
  setCount(index: number, count: number): void {
    this.#words[WRITE_WORDS * index + WRITE_COUNT] = count;
  }

  /**
   * Writes to each stream once, in order, its part of `bytes`.
   *
   * @throws {RangeError} when there are more streams than there may be, or
   * `bytes` has more than a GiB.
   */
  write(bytes: Uint8Array<ArrayBuffer>): void {
    checkLength(this.length, this.#words.length / WRITE_WORDS);
    checkMemory(bytes);
    if (bytes.byteLength > CALL_BYTES_MAX) {
      throw new RangeError(
        `Cannot write parts of "${bytes.byteLength}" bytes: there may be ` +
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
 * Native code cannot see how long a batch may be: it is checked here, against
 * the memory that there is.
 */
function checkLength(length: number, capacity: number): void {
  if (length >= 0 && length <= capacity) return;
  throw new RangeError(
    `Cannot use "${length}" streams at once: there may be ${capacity}`,
  );
}
