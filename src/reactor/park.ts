/**
 * Waiting for readiness without holding Deno's event loop.
 *
 * @module
 */

import { immediateClass } from "../base/own.ts";
import type { Poll } from "../poll/poll.ts";

/**
 * How long Deno may go without looking at its own sockets and files. It does so
 * when it has nothing else to run, or once in 61 rounds (tokio's
 * `event_interval`): at eight milliseconds a round, a `fetch` beside load would
 * take half a second. It costs a switch of threads each time.
 */
const IO_MS = 20;
/** How often a reactor that must not keep the process alive looks, if need be. */
const LOOK_MS = 10;

interface DenoCore {
  unrefOpPromise?(promise: Promise<unknown>): void;
  refOpPromise?(promise: Promise<unknown>): void;
}

/**
 * Rounds of Deno's loop in which a reactor does without immediates: the first
 * one has Deno load its timers, for five milliseconds, and so long would the
 * first client of a program wait for its answer.
 */
const FIRST_ROUNDS = 16;

/** The waits of one reactor, one at a time. */
export class Wait {
  readonly #poll: Poll;
  /** Has a wait that is pending unrefed keep the process alive. */
  #ref: (() => void) | undefined = undefined;
  /** When Deno last had nothing else to run. */
  #restedMs = -Infinity;
  #rounds = 0;

  /** @param poll What to wait for. */
  constructor(poll: Poll) {
    this.#poll = poll;
  }

  /**
   * Waits in one non-blocking native call until something is ready or
   * `timeoutMs` is over; `undefined` waits without limit.
   *
   * @param refed Whether the wait keeps the process alive.
   */
  park(timeoutMs: number | undefined, refed: boolean): Promise<unknown> {
    // That of the wait before, which is over.
    this.#ref = undefined;
    // Deno's own promise: one around it would delay whoever waits to be read.
    return refed ? this.#poll.parkRaw(timeoutMs) : this.#parkUnrefed(timeoutMs);
  }

  /**
   * Returns once Deno's event loop has had a round.
   *
   * @param nowMs The time, on any clock.
   * @param refed Whether that keeps the process alive.
   */
  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown> {
    // An unrefed immediate runs only when something else wakes Deno's loop. A
    // call wakes it by itself, for some twenty microseconds.
    if (
      refed && this.#rounds++ >= FIRST_ROUNDS &&
      nowMs - this.#restedMs < IO_MS
    ) {
      const Immediate = immediateClass();
      if (Immediate) {
        return new Promise((resolve) =>
          void new Immediate(resolve as () => void)
        );
      }
    }
    this.#restedMs = nowMs;
    return this.park(0, refed);
  }

  /** Has the wait that is pending, if any, keep the process alive. */
  ref(): void {
    this.#ref?.();
    this.#ref = undefined;
  }

  #parkUnrefed(timeoutMs: number | undefined): Promise<unknown> {
    const { unrefOpPromise, refOpPromise } = denoCore();
    if (unrefOpPromise === undefined || refOpPromise === undefined) {
      return this.#sleepUnrefed(Math.min(timeoutMs ?? LOOK_MS, LOOK_MS));
    }
    const parked = this.#poll.parkRaw(timeoutMs);
    unrefOpPromise(parked);
    this.#ref = () => refOpPromise(parked);
    return parked;
  }

  #sleepUnrefed(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      Deno.unrefTimer(timer);
      this.#ref = () => Deno.refTimer(timer);
    });
  }
}

/**
 * Deno has no public way to let the process end while an asynchronous native
 * call is pending; its own `unref` methods use this one. Where a later Deno
 * hides it, the reactor looks every ten milliseconds instead.
 */
function denoCore(): DenoCore {
  const deno = Deno as unknown as {
    internal?: symbol;
    [key: symbol]: { core?: DenoCore } | undefined;
  };
  return deno.internal === undefined ? {} : deno[deno.internal]?.core ?? {};
}
