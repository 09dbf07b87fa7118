/**
 * The read buffer that all connections of a reactor share.
 *
 * An idle connection owns no buffer. Bytes that must outlive the call that
 * hands them over are kept by `retain`.
 *
 * @module
 */

/**
 * The most bytes of one read: enough that calls do not limit a bulk transfer,
 * few enough that they stay in the second-level cache.
 */
export const READ_BUFFER_BYTES = 65_536;

/** With less room than this behind retained bytes, a new buffer is made. */
export const READ_ROOM_MIN = 16_384;

/** The buffer that connections are read into. */
export class ReadBuffer {
  /** The bytes; those before `start` are retained. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(READ_BUFFER_BYTES);
  /** Where the next read begins. */
  start = 0;
  /** The end of retained bytes, while a batch is handed over; otherwise -1. */
  #retained = -1;

  /**
   * Promises that bytes before `end` are never overwritten, so that a protocol
   * may refer to them without a copy. Their memory is freed with the buffer,
   * when nothing refers to it any more.
   *
   * @param end An index in the buffer. Nothing changes when the bytes before
   * it are retained already.
   * @throws {RangeError} when it is no index in the buffer.
   */
  retain(end: number): void {
    if (!(end >= 0 && end <= this.bytes.byteLength && Number.isInteger(end))) {
      throw new RangeError(
        `Cannot retain the bytes before "${end}": it must be a whole number ` +
          `from 0 to ${this.bytes.byteLength}`,
      );
    }
    if (this.#retained >= 0) {
      if (end > this.#retained) this.#retained = end;
      return;
    }
    if (end <= this.start) return;
    this.start = end;
    if (this.bytes.byteLength - end >= READ_ROOM_MIN) return;
    this.bytes = new Uint8Array(READ_BUFFER_BYTES);
    this.start = 0;
  }

  /** Makes room for `size` bytes, or for a whole read when they are more. */
  makeRoom(size: number): void {
    const room = this.bytes.byteLength - this.start;
    if (room >= Math.min(size, READ_BUFFER_BYTES)) return;
    this.bytes = new Uint8Array(READ_BUFFER_BYTES);
    this.start = 0;
  }

  /**
   * Begins to hand over bytes that were read for several connections: until
   * `endBatch`, no byte of the batch is overwritten.
   */
  beginBatch(): void {
    this.#retained = this.start;
  }

  /** Ends the batch: the next read begins behind the bytes that it retained. */
  endBatch(): void {
    const end = this.#retained;
    this.#retained = -1;
    this.retain(end);
  }
}
