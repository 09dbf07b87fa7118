/**
 * Counts durations finely enough for percentiles. autocannon's own counts in
 * whole milliseconds, and most answers take none.
 *
 * @module
 */

/** Each bucket is this much wider than the one before: a percentile's error. */
const GROWTH = 1.01;
/** The first bucket's end: a microsecond, which no answer takes. */
const FIRST_MS = 0.001;
/** Up to an hour; more is counted as that. */
const BUCKETS = bucketOf(3_600_000) + 1;

/** How often each duration occurred. */
export class Histogram {
  /** The longest, exactly. */
  maxMs = 0;
  /** How many were recorded. */
  count = 0;
  readonly #buckets = new Uint32Array(BUCKETS);

  /** Counts one duration. */
  record(durationMs: number): void {
    const bucket = Math.min(bucketOf(durationMs), BUCKETS - 1);
    this.#buckets[bucket] = this.#buckets[bucket]! + 1;
    this.maxMs = Math.max(this.maxMs, durationMs);
    this.count++;
  }

  /** Returns what `share` of the durations (0 to 1) do not exceed. */
  percentileMs(share: number): number {
    const wanted = Math.ceil(share * this.count);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#buckets[bucket]!;
      if (seen >= wanted) return Math.min(endMs(bucket), this.maxMs);
    }
    return this.maxMs;
  }
}

function bucketOf(durationMs: number): number {
  const steps = Math.log(durationMs / FIRST_MS) / Math.log(GROWTH);
  return Math.max(0, Math.ceil(steps));
}

function endMs(bucket: number): number {
  return FIRST_MS * GROWTH ** bucket;
}
