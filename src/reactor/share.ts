/**
 * How long a turn acts, and how seldom it looks at the clock.
 *
 * A peer sends many small messages at once, and handlers are fast or slow. A
 * look at the clock behind each call of a handler would cost a tenth of a small
 * message; a look behind many calls would let slow handlers keep other peers and
 * the program's timers waiting. So looks are seldom while calls are fast, and
 * follow each call once some were slow.
 *
 * @module
 */

/**
 * How long a turn acts on requeued sources, and how long on those with events;
 * the others wait for the next turn. So the program's timers wait for a few such
 * times at the most, however much peers send. Almost all turns are shorter: each
 * that ends early costs a round of Deno's loop.
 */
const SHARE_MS = 5;
/** Calls between two looks at the most: then a look costs two nanoseconds. */
const CALLS_MAX = 16;
/** When calls took so long since the last look, a look follows the next one. */
const SLOW_MS = 1;
/**
 * When calls between two looks took so long, looks follow each call for a
 * hundred times as long. So a peer that mixes fast requests and slow ones gains
 * a hundredth of the time. The system seldom stops a thread for longer.
 */
const LONG_MS = 20;
const WARY_TIMES = 100;

/** A clock, in milliseconds. */
interface Clock {
  nowMs(): number;
}

/** The time of one turn after the other. */
export class Share {
  /** Calls of handlers until the next look. */
  left = 1;
  readonly #clock: Clock;
  /** Calls between two looks. */
  #step = 1;
  /** When the share began; `NaN` while none has. */
  #beganMs = NaN;
  #lookedMs = NaN;
  #waryUntilMs = -Infinity;

  /** @param clock The reactor's clock. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins a share; a look follows the first call. */
  begin(nowMs: number): void {
    this.#beganMs = this.#lookedMs = nowMs;
    this.left = 1;
  }

  /** Ends the share: the next one begins with the next call. */
  end(): void {
    this.#beganMs = NaN;
    this.left = 1;
  }

  /** Counts calls; returns whether the share is known to be over. */
  count(calls: number): boolean {
    this.left -= calls;
    return this.left <= 0 && this.look();
  }

  /** Looks at the clock; returns whether the share is over. */
  look(): boolean {
    const nowMs = this.#clock.nowMs();
    if (Number.isNaN(this.#beganMs)) {
      this.begin(nowMs);
      return false;
    }
    const tookMs = nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    if (tookMs >= LONG_MS) this.#waryUntilMs = nowMs + WARY_TIMES * tookMs;
    const isWary = tookMs >= SLOW_MS || nowMs < this.#waryUntilMs;
    this.left = this.#step = isWary ? 1 : Math.min(CALLS_MAX, 2 * this.#step);
    return nowMs - this.#beganMs >= SHARE_MS;
  }
}
