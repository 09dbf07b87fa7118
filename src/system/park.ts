/**
 * Parking a reactor: waiting for readiness without blocking Deno's event loop.
 * A reactor that needed a thread of Deno's pool would stand still while all are
 * busy, so only a new reactor waits there.
 *
 * @module
 */

import {
  after,
  cancelAfter,
  immediateClass,
  nowMs as ownNowMs,
} from "../base/own.ts";
import { LoopPark } from "../park/loop_park.ts";
import { Parker } from "../poll/parker.ts";
import type { Poll } from "../poll/poll.ts";
import { PoolPark } from "./pool_park.ts";

/**
 * How long Deno may go without looking at its own sockets and files. It looks
 * when it has nothing else to run, or once in 61 rounds (tokio's
 * `event_interval`). At eight milliseconds a round, a `fetch` under load would
 * take half a second. Making Deno look costs a round through a socket.
 */
const IO_MS = 20;
/**
 * A reactor has started when it was idle for this long. Then it loads the
 * modules for the other ways to wait, and no client has to wait for that.
 */
const STARTED_MS = 100;
/**
 * Deno takes this long to load its raw pipes. A client whose requests are
 * further apart does not wait for the loading, so a reactor that waits so long
 * has started, too, once its waits add up.
 */
const LOADING_MS = 10;
/**
 * Rounds of Deno's loop in which a starting reactor uses no immediates: with
 * the first immediate Deno loads its timers, and a program's first client would
 * wait five milliseconds longer for its answer.
 */
const FIRST_ROUNDS = 16;
/** How long a closing reactor waits for a late call on Deno's pool. */
const LATE_MS = 500;

/** The waits of one reactor, one at a time. */
export class Wait {
  /** The way to wait until the reactor has started. */
  #pool: PoolPark | undefined;
  /** The same object, also after the start, since its last call may be late. */
  readonly #late: PoolPark;
  /** The way to wait from then on. */
  readonly #loop: LoopPark;
  #rounds = 0;
  #idleMs = 0;
  #waitedMs = 0;
  /** When Deno last looked at its sockets and files. */
  #lookedMs = -Infinity;
  /** Whether Deno has looked since, during a park. */
  #hasLooked = false;

  /** @param poll The poll to wait for. */
  constructor(poll: Poll) {
    this.#pool = this.#late = new PoolPark(poll);
    this.#loop = new LoopPark((by) => new Parker(poll, by));
  }

  /**
   * Waits until a source is ready, `timeoutMs` is over or `wake` is called;
   * `undefined` waits without limit.
   *
   * @param refed Whether the wait keeps the process alive.
   * @param woken Called, where possible, as soon as Deno's loop learns that the
   * wait is over. The promise settles later, after all else that the loop read.
   */
  park(
    timeoutMs: number | undefined,
    refed: boolean,
    woken?: () => void,
  ): Promise<unknown> {
    this.#hasLooked = true;
    const onPool = this.#pool && this.#parkOnPool(timeoutMs, refed);
    return onPool ?? this.#loop.park(timeoutMs, refed, woken);
  }

  /**
   * Returns a promise that settles after a round of Deno's event loop.
   *
   * @param nowMs The time, on any clock.
   * @param refed Whether the promise keeps the process alive.
   */
  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown> {
    if (this.#hasLooked) this.#lookedMs = nowMs;
    this.#hasLooked = false;
    const isEarly = this.#pool !== undefined && this.#rounds++ < FIRST_ROUNDS;
    // An unrefed immediate would not run before another event of Deno's loop.
    const Immediate = refed && !isEarly && nowMs - this.#lookedMs < IO_MS
      ? immediateClass()
      : undefined;
    if (Immediate !== undefined) {
      return new Promise<void>((resolve) => void new Immediate(resolve));
    }
    this.#lookedMs = nowMs;
    const onPool = isEarly ? this.#parkOnPool(0, refed) : undefined;
    if (onPool !== undefined) return onPool;
    // Not by the pool: its call may end before Deno looks at sockets and files.
    this.#pool = undefined;
    return this.#loop.round(refed);
  }

  /** Ends the pending wait, if any. */
  wake(): void {
    this.#loop.wake();
  }

  /** Makes a pending wait keep the process alive. */
  ref(): void {
    this.#pool?.ref();
    this.#loop.setRef(true);
  }

  /** Lets the process end, until the next `park`. */
  rest(): void {
    this.#loop.setRef(false);
  }

  /**
   * Returns a promise for the end of the late call on Deno's pool, if there is
   * one: a busy pool begins a call late. A full pool may never begin it, so the
   * promise resolves after half a second at most.
   */
  ended(): Promise<unknown> | undefined {
    const { late } = this.#late;
    if (late === undefined) return undefined;
    return new Promise<void>((resolve) => {
      const limit = after(LATE_MS, resolve);
      late.then(() => {
        cancelAfter(limit);
        resolve();
      });
    });
  }

  /** Closes the parker and its descriptor. */
  close(): void {
    this.#loop.close();
  }

  /** Parks on the pool; returns `undefined` when the pool is full. */
  #parkOnPool(
    timeoutMs: number | undefined,
    refed: boolean,
  ): Promise<unknown> | undefined {
    const ms = Math.min(timeoutMs ?? STARTED_MS, STARTED_MS);
    const beganMs = ownNowMs();
    const parked = this.#pool!.park(ms, refed);
    if (parked === undefined) this.#pool = undefined;
    // Not a promise around it, which would delay the reactor's answer.
    else if (ms > 0) parked.then((count) => this.#waited(count, ms, beganMs));
    return parked;
  }

  #waited(count: number, ms: number, beganMs: number): void {
    const waitedMs = ownNowMs() - beganMs;
    this.#waitedMs += waitedMs;
    this.#idleMs = count === 0 ? this.#idleMs + ms : 0;
    const isRare = waitedMs >= LOADING_MS && this.#waitedMs >= STARTED_MS;
    if (isRare || this.#idleMs >= STARTED_MS) this.#pool = undefined;
  }
}
