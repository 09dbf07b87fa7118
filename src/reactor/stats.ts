/**
 * Figures of a reactor: what it has done, and what it holds.
 *
 * @module
 */

import type { CloseReason } from "../stream/close_reason.ts";

/**
 * How long each turn kept the reactor away from its poll. An event that comes
 * in the worst moment waits for that long.
 *
 * A turn is measured from the end of its wait to the end of the next wait, less
 * the time that the next poll was asked to wait; or to the begin of a park. So
 * it includes handlers, timers, microtasks, and the work of Deno's loop between
 * two turns. A value may be too small by a millisecond, where a poll returned
 * early. Percentiles are rounded up to a power of two of microseconds.
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
   * Turns by their microseconds: index 0 counts turns below 1, index n turns
   * from 2 to the n-1 to below 2 to the n. Two snapshots can be subtracted.
   */
  readonly buckets: number[];
}

/** What a reactor has done since it was made, and what it holds now. */
export interface ReactorStats {
  /** Turns of the loop, each with one poll. */
  readonly turns: number;
  /** Waits: the polls of turns, and parks. */
  readonly polls: number;
  /** Parks: waits without holding the thread. */
  readonly parks: number;
  /** Events that polls have returned. */
  readonly events: number;
  /**
   * Reads of connections, also those that returned no byte. On Linux, reads of
   * several connections may be one system call, and writes too.
   */
  readonly reads: number;
  /** Writes to connections, also those that took no byte. */
  readonly writes: number;
  /** Bytes that were read. */
  readonly bytesIn: number;
  /** Bytes that the system took. */
  readonly bytesOut: number;
  /** Connections that listeners have accepted. */
  readonly accepted: number;
  /**
   * Connections that had failed in the backlog, or that a firewall refused:
   * listeners pass over them. See `accept(2)`.
   */
  readonly acceptsFailed: number;
  /** Connections that `connect` has begun. */
  readonly connected: number;
  /** Connections that have closed, by their reason. */
  readonly closed: Record<CloseReason, number>;
  /** Connections that are open now. */
  readonly open: number;
  /** Listeners that are open now. */
  readonly listeners: number;
  /** Timers that wait now, the reactor's own among them. */
  readonly timers: number;
  /**
   * Memory, in bytes, that connections take now: for unsent bytes, for bytes
   * that were read and not handed over, and for held bytes (`heldBytes`).
   * `memoryBytesMax` bounds it.
   */
  readonly memoryBytes: number;
  /** How long turns took. */
  readonly lag: LagStats;
}

/** Microseconds in a millisecond. */
const US = 1_000;
/** Enough for any 31-bit number of microseconds, about 36 minutes. */
const BUCKETS = 32;
const US_MAX = 0x7fff_ffff;

/** Durations, counted by powers of two. */
export class Histogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #maxMs = 0;

  /** Counts a duration; a negative one counts as 0. */
  add(ms: number): void {
    if (ms > this.#maxMs) this.#maxMs = ms;
    const us = ms > 0 ? Math.min(ms * US, US_MAX) | 0 : 0;
    this.#buckets[BUCKETS - Math.clz32(us)]!++;
    this.#count++;
  }

  /** Returns the figures. */
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
