/**
 * The outbox: bytes that the system had no room for, in order.
 *
 * A connection has an outbox only while its peer is slower than the program.
 *
 * @module
 */

import { type ArrayLedger, ByteQueue } from "./byte_queue.ts";

/** Runs that one vectored send takes. */
const RUNS_MAX = 8;

/** The reactor's clock and memory, as an outbox needs them. */
export interface OutboxMemory {
  /** The time, on the reactor's clock. */
  readonly nowMs: number;
  /** Counts arrays that are sent without a copy. */
  readonly memory: ArrayLedger;
  /** Counts other memory. */
  countMemory(delta: number): void;
}

/** A queue of unsent bytes. */
export class Outbox {
  readonly #host: OutboxMemory;
  readonly #queue: ByteQueue;
  #counted = 0;
  /** When a byte was last seen to move, on the reactor's clock. */
  #sinceMs: number;
  /** Looks since then. */
  #looks = 0;
  /** Bytes that the peer had not acknowledged at the last look. */
  #unackedBytes = Infinity;

  /** @param host The reactor's clock and memory. */
  constructor(host: OutboxMemory) {
    this.#host = host;
    this.#queue = new ByteQueue(host.memory);
    this.#sinceMs = host.nowMs;
  }

  /** How many bytes wait. */
  get byteLength(): number {
    return this.#queue.byteLength;
  }

  /** When a byte was last seen to move, on the reactor's clock. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** The bytes to send first, in order. */
  get views(): Uint8Array<ArrayBuffer>[] {
    return this.#queue.views(RUNS_MAX);
  }

  /**
   * Queues a copy of `bytes` from `start` to `end`.
   *
   * @throws {RangeError} when the range lies outside `bytes`.
   */
  push(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    this.#queue.push(bytes, start, end);
    this.#count();
  }

  /**
   * Queues `bytes` from `start`, which must not change any more: long pieces
   * are not copied.
   *
   * @throws {RangeError} when `start` lies outside `bytes`.
   */
  pushOwned(bytes: Uint8Array<ArrayBuffer>, start: number): void {
    this.#queue.pushOwned(bytes, start, bytes.byteLength);
    this.#count();
  }

  /** Forgets the first `count` bytes, which were sent. */
  shift(count: number): void {
    this.#queue.shift(count);
    this.#move();
    this.#count();
  }

  /** Forgets all bytes. */
  clear(): void {
    this.#queue.clear();
    this.#count();
  }

  /**
   * Looks whether bytes have moved since the last look.
   *
   * @param unackedBytes How many sent bytes the peer has not acknowledged,
   * where the system knows. Fewer than before mean that the peer reads,
   * although the system may have no room for more yet.
   * @returns How many looks in a row have seen no byte move.
   */
  look(unackedBytes: number | undefined): number {
    if (unackedBytes !== undefined && unackedBytes < this.#unackedBytes) {
      this.#move();
    }
    this.#unackedBytes = unackedBytes ?? Infinity;
    return this.#looks++;
  }

  #move(): void {
    this.#sinceMs = this.#host.nowMs;
    this.#looks = 0;
  }

  #count(): void {
    const { memoryBytes } = this.#queue;
    if (memoryBytes === this.#counted) return;
    this.#host.countMemory(memoryBytes - this.#counted);
    this.#counted = memoryBytes;
  }
}
