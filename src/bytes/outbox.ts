/**
 * Bytes that the system had no room for, in order.
 *
 * A connection has one only while its peer is slower than we are.
 *
 * @module
 */

import { type ArrayLedger, ByteQueue } from "./byte_queue.ts";

/** Runs that one send is given: what a vectored call takes. */
const RUNS_MAX = 8;

/** Where memory that unsent bytes take is counted. */
export interface OutboxMemory {
  /** The time, on the reactor's clock. */
  readonly nowMs: number;
  /** Counts arrays that are sent as they are. */
  readonly memory: ArrayLedger;
  /** Counts other memory. */
  countMemory(delta: number): void;
}

/** A queue of unsent bytes, which counts the memory that it takes. */
export class Outbox {
  readonly #host: OutboxMemory;
  readonly #queue: ByteQueue;
  #counted = 0;
  /** Since when no byte is known to have moved, on the reactor's clock. */
  #sinceMs: number;
  /** Looks since then. */
  #looks = 0;
  /** Bytes that the system had and the peer had not, when it was last asked. */
  #unackedBytes = Infinity;

  /** @param host Where memory is counted. */
  constructor(host: OutboxMemory) {
    this.#host = host;
    this.#queue = new ByteQueue(host.memory);
    this.#sinceMs = host.nowMs;
  }

  /** How many bytes wait. */
  get byteLength(): number {
    return this.#queue.byteLength;
  }

  /** Since when no byte has moved, as far as is known. */
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
   * Queues `bytes` from `start` as they are, which nobody changes any more.
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
   * @param unackedBytes How many sent bytes the peer's side has not
   * acknowledged, where that is known: when there are fewer than before, it
   * reads, though the system may have no room for more yet.
   * @returns How many looks, one after the other, have found nothing moved.
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
