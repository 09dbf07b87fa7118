/**
 * What a reactor has done and what it holds, in numbers.
 *
 * @module
 */

import type { CloseReason } from "../stream/close_reason.ts";

/**
 * How long the reactor was away from its poll, since it was made.
 *
 * Each turn is measured from the end of its wait to the end of the next, less
 * what the next was asked to wait for; one that ends in parking, until then. So
 * it counts handlers, timers, microtasks, and what Deno's loop did between two
 * turns: what an event had to wait that came in the worst moment. It is short
 * by a millisecond at the most, where a poll returned before its time.
 * Percentiles are rounded up to a power of two of microseconds.
 */
export interface LagStats {
  /** Turns that were measured. */
  readonly count: number;
  /** Milliseconds that half of the turns did not exceed. */
  readonly p50Ms: number;
  /** Milliseconds that nine turns in ten did not exceed. */
  readonly p90Ms: number;
  /** Milliseconds that 99 turns in a hundred did not exceed. */
  readonly p99Ms: number;
  /** Milliseconds of the longest, not rounded. */
  readonly maxMs: number;
  /**
   * Turns by their microseconds: at index 0 those below 1, at index n those
   * below 2 to the n that are not before. Two snapshots can be subtracted.
   */
  readonly buckets: number[];
}

/** What a reactor has done since it was made, and what it holds now. */
export interface ReactorStats {
  /** Turns of the loop, each with one poll that returned. */
  readonly turns: number;
  /** Waits: the polls of turns, and parks. */
  readonly polls: number;
  /** Waits on another thread, while nothing came. */
  readonly parks: number;
  /** Events that polls have returned. */
  readonly events: number;
  /** System calls that read, also those that brought nothing. */
  readonly reads: number;
  /** System calls that wrote, also those that took nothing. */
  readonly writes: number;
  /** Bytes that were read. */
  readonly bytesIn: number;
  /** Bytes that the system took. */
  readonly bytesOut: number;
  /** Connections that listeners have accepted. */
  readonly accepted: number;
  /**
   * Connections that had failed while they waited to be accepted, or that a
   * firewall refused, and that listeners have passed over: `accept(2)`.
   */
  readonly acceptsFailed: number;
  /** Connections that `connect` has begun. */
  readonly connected: number;
  /** Connections that have closed, by why. */
  readonly closed: Record<CloseReason, number>;
  /** Connections that are open now. */
  readonly open: number;
  /** Listeners that are open now. */
  readonly listeners: number;
  /** Timers that wait now, the reactor's own among them. */
  readonly timers: number;
  /**
   * Memory, in bytes, that connections take now: for what peers have not taken
   * yet, for what was read and not handed over, and for what users of
   * connections say that they keep. `memoryBytesMax` bounds it.
   */
  readonly memoryBytes: number;
  /** How long turns took. */
  readonly lag: LagStats;
}

/** Microseconds in a millisecond. */
const US = 1_000;
/** Enough for any 31-bit number of microseconds, some 36 minutes. */
const BUCKETS = 32;
const US_MAX = 0x7fff_ffff;

/** Durations, counted by powers of two. */
export class Histogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #maxMs = 0;

  /** Counts a duration; below zero is zero. */
  add(ms: number): void {
    if (ms > this.#maxMs) this.#maxMs = ms;
    const us = ms > 0 ? Math.min(ms * US, US_MAX) | 0 : 0;
    this.#buckets[BUCKETS - Math.clz32(us)]!++;
    this.#count++;
  }

  /** Returns what there is. */
  read(): LagStats {
    return {
      count: this.#count,
      p50Ms: this.#percentile(0.5),
      p90Ms: this.#percentile(0.9),
      p99Ms: this.#percentile(0.99),
      maxMs: this.#maxMs,
      buckets: [...this.#buckets],
    };
  }

  #percentile(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (left === 0) return 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#buckets[bucket]!;
      if (left <= 0) return Math.min(2 ** bucket / US, this.#maxMs);
    }
    return this.#maxMs;
  }
}
