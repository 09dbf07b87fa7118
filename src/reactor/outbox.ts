/**
 * Bytes that the system had no room for, in order.
 *
 * A connection has one only while its peer is slower than we are.
 *
 * @module
 */

/** A queue of unsent bytes. */
export class Outbox {
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  #first = 0;
  #sent = 0;

  /** How many bytes wait. */
  byteLength = 0;
  /** Since when there are no fewer, on the reactor's clock. */
  sinceMs: number;

  /** @param nowMs The time. */
  constructor(nowMs: number = 0) {
    this.sinceMs = nowMs;
  }

  /**
   * Queues a copy of `bytes` from `start` to `end`.
   *
   * @throws {RangeError} when the range lies outside `bytes`.
   */
  push(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    if (!(start >= 0 && start <= end && end <= bytes.byteLength)) {
      throw new RangeError(
        `Cannot queue bytes from "${start}" to "${end}": ` +
          `there are ${bytes.byteLength}`,
      );
    }
    // A chunk of nothing would never be sent, nor those behind it.
    if (start === end) return;
    this.#chunks.push(bytes.slice(start, end));
    this.byteLength += end - start;
  }

  /**
   * Queues `bytes` from `start` as they are, which nobody changes any more.
   *
   * @throws {RangeError} when `start` lies outside `bytes`.
   */
  pushOwned(bytes: Uint8Array<ArrayBuffer>, start: number): void {
    const { byteLength } = bytes;
    if (!(start >= 0 && start <= byteLength)) {
      throw new RangeError(
        `Cannot queue bytes from "${start}": there are ${byteLength}`,
      );
    }
    if (start === byteLength) return;
    this.#chunks.push(bytes.subarray(start));
    this.byteLength += byteLength - start;
  }

  /** The chunk to send first; there is one while `byteLength` is not 0. */
  get chunk(): Uint8Array<ArrayBuffer> {
    return this.#chunks[this.#first]!;
  }

  /** Where in {@linkcode Outbox.chunk} unsent bytes begin. */
  get offset(): number {
    return this.#sent;
  }

  /** Forgets `count` bytes of the first chunk, which were sent. */
  shift(count: number): void {
    this.#sent += count;
    this.byteLength -= count;
    if (this.#sent < this.chunk.byteLength) return;
    this.#chunks[this.#first++] = EMPTY;
    this.#sent = 0;
    if (this.#first < COMPACT_AT) return;
    this.#chunks.splice(0, this.#first);
    this.#first = 0;
  }
}

const EMPTY = new Uint8Array(0);
/** Sent chunks that stay in the array, so that shifting is cheap on average. */
const COMPACT_AT = 64;
