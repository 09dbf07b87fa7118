/**
 * Waiting for readiness without holding Deno's event loop, and without one of
 * the threads that Deno shares among files, names and cryptography: when those
 * are all taken, a loop that needed one would stand still.
 *
 * Linux signals an eventfd that Deno's own event loop reads, by a raw pipe that
 * Deno does not document. Where that is not to be had, or does not work, a
 * thread of the native library waits, and writes to a socket that Deno reads.
 * While descriptors are short, a timer of Deno's ends each wait early.
 *
 * @module
 */

import { denoCore } from "../base/deno_core.ts";
import {
  after,
  cancelAfter,
  type DenoTimer,
  immediateClass,
} from "../base/own.ts";
import { Parker } from "../poll/parker.ts";
import type { Poll } from "../poll/poll.ts";
import { PoolPark } from "./pool_park.ts";
import {
  openEventfd,
  openSocket,
  rawPipeClass,
  socketClass,
  TimerPark,
  type WakeHandle,
} from "./wake_handle.ts";

/**
 * How long Deno may go without looking at its own sockets and files. It does so
 * when it has nothing else to run, or once in 61 rounds (tokio's
 * `event_interval`): at eight milliseconds a round, a `fetch` beside load would
 * take half a second. It costs a round through a socket each time.
 */
const IO_MS = 20;
/**
 * A reactor has started when it was idle for so long: then it loads what waiting
 * through a socket takes, and nobody waits for that.
 */
const STARTED_MS = 100;
/**
 * Rounds of Deno's loop in which a reactor that starts does without immediates:
 * the first one has Deno load its timers, for five milliseconds, and so long
 * would the first client of a program wait for its answer.
 */
const FIRST_ROUNDS = 16;
/** How long a raw pipe has to show that it works: it takes microseconds. */
const TRIAL_MS = 1_000;
/** How long the end of a reactor waits for a call that is late. */
const LATE_MS = 500;

const { getAsyncContext, setAsyncContext } = denoCore();

/** The waits of one reactor, one at a time. */
export class Wait {
  readonly #poll: Poll;
  /** Until it has started. */
  #pool: PoolPark | undefined;
  /** The same, also later: it may have a call that is late. */
  readonly #late: PoolPark;
  #rounds = 0;
  #idleMs = 0;
  #parker: Parker | TimerPark | undefined = undefined;
  #handle: WakeHandle | undefined = undefined;
  #isRefed = true;
  /** Whether raw pipes are not tried, or have been tried in vain. */
  #isPublic = false;
  /** Ends the trial of a raw pipe. */
  #trial: DenoTimer | undefined = undefined;
  /** Called where the wait that is pending ends. */
  #woken: (() => void) | undefined = undefined;
  /** What `AsyncLocalStorage` has where that wait began. */
  #context: unknown = undefined;
  /** Ends the wait that is pending. */
  #resolve: (() => void) | undefined = undefined;
  /** When Deno last looked at its sockets and files. */
  #lookedMs = -Infinity;
  /** Whether it has done so since, in a park. */
  #hasLooked = false;

  /** @param poll What to wait for. */
  constructor(poll: Poll) {
    this.#poll = poll;
    this.#pool = this.#late = new PoolPark(poll);
  }

  /**
   * Waits until something is ready, `timeoutMs` is over or `wake` is called;
   * `undefined` waits without limit.
   *
   * @param refed Whether the wait keeps the process alive.
   * @param woken Called as soon as Deno's loop knows that the wait is over, where
   * it can be: the promise settles only behind what else that loop has read.
   */
  park(
    timeoutMs: number | undefined,
    refed: boolean,
    woken?: () => void,
  ): Promise<unknown> {
    this.#hasLooked = true;
    const onPool = this.#pool && this.#parkOnPool(timeoutMs, refed);
    if (onPool !== undefined) return onPool;
    const told = new Promise<void>((resolve) => this.#resolve = resolve);
    this.#woken = woken;
    this.#context = getAsyncContext?.();
    this.#begin(timeoutMs, refed);
    return told;
  }

  /**
   * Returns once Deno's event loop has had a round.
   *
   * @param nowMs The time, on any clock.
   * @param refed Whether that keeps the process alive.
   */
  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown> {
    if (this.#hasLooked) this.#lookedMs = nowMs;
    this.#hasLooked = false;
    const isEarly = this.#pool !== undefined && this.#rounds++ < FIRST_ROUNDS;
    // An unrefed immediate runs only when something else wakes Deno's loop.
    const Immediate = refed && !isEarly && nowMs - this.#lookedMs < IO_MS
      ? immediateClass()
      : undefined;
    if (Immediate !== undefined) {
      return new Promise<void>((resolve) => void new Immediate(resolve));
    }
    this.#lookedMs = nowMs;
    const onPool = isEarly ? this.#parkOnPool(0, refed) : undefined;
    if (onPool !== undefined) return onPool;
    // A call of the pool may be done before Deno has looked at anything else.
    this.#pool = undefined;
    const told = new Promise<void>((resolve) => this.#resolve = resolve);
    this.#open(refed).wake();
    return told;
  }

  /** Ends the wait that is pending, if any. */
  wake(): void {
    const resolve = this.#resolve;
    this.#resolve = this.#woken = undefined;
    resolve?.();
  }

  /** Has the wait that is pending, if any, keep the process alive. */
  ref(): void {
    this.#pool?.ref();
    this.#setRef(true);
  }

  /** Lets the process end: nothing waits until the next `park`. */
  rest(): void {
    this.#setRef(false);
  }

  /**
   * Returns a promise for the end of a call that is still Deno's to make, if
   * there is one: a thread of a busy pool may begin it late. A full pool may
   * never begin it, so the promise resolves after half a second at the most.
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

  /** Closes what waiting has opened. */
  close(): void {
    cancelAfter(this.#trial);
    this.#parker?.close();
    this.#handle?.close();
    this.#parker = this.#handle = undefined;
  }

  /** Nothing when it has started, or no thread of the pool is free. */
  #parkOnPool(
    timeoutMs: number | undefined,
    refed: boolean,
  ): Promise<unknown> | undefined {
    const ms = Math.min(timeoutMs ?? STARTED_MS, STARTED_MS);
    const parked = this.#pool!.park(ms, refed);
    if (parked === undefined) this.#pool = undefined;
    // Beside it: a promise around it would delay whoever waits to be read.
    else if (ms > 0) parked.then((count) => this.#idled(count, ms));
    return parked;
  }

  #idled(count: number, ms: number): void {
    this.#idleMs = count === 0 ? this.#idleMs + ms : 0;
    if (this.#idleMs >= STARTED_MS) this.#pool = undefined;
  }

  /** Begins a wait. What the system refuses, now or later, closes no reactor. */
  #begin(timeoutMs: number | undefined, refed: boolean): void {
    for (;;) {
      const parker = this.#open(refed);
      try {
        return parker.park(timeoutMs);
      } catch {
        this.close();
        if (this.#isPublic) this.#parker = this.#openByTimer();
        this.#isPublic = true;
      }
    }
  }

  #open(refed: boolean): Parker | TimerPark {
    const parker = this.#parker ??= this.#openByKernel() ??
      this.#openByThread() ?? this.#openByTimer();
    this.#setRef(refed);
    return parker;
  }

  /** Nothing where Linux or Deno have not got what it takes. */
  #openByKernel(): Parker | undefined {
    const Pipe = this.#isPublic ? undefined : rawPipeClass();
    if (Pipe === undefined) return undefined;
    let parker: Parker | undefined;
    try {
      parker = new Parker(this.#poll, "kernel");
      this.#use(openEventfd(Pipe, parker.fd, this.#onRead));
    } catch {
      parker?.close();
      return undefined;
    }
    this.#trial = after(TRIAL_MS, () => this.#giveUpPipe());
    parker.wake();
    return parker;
  }

  /** Nothing where descriptors are short. */
  #openByThread(): Parker | undefined {
    const Socket = socketClass();
    if (Socket === undefined) return undefined;
    let parker: Parker | undefined;
    try {
      parker = new Parker(this.#poll);
      this.#use(openSocket(Socket, parker.fd, this.#onRead));
    } catch {
      parker?.close();
      return undefined;
    }
    return parker;
  }

  /** For one wait: the next one tries the other ways again. */
  #openByTimer(): TimerPark {
    const parker = new TimerPark(() => {
      this.close();
      this.#onRead();
    });
    this.#use(parker);
    return parker;
  }

  #use(handle: WakeHandle): void {
    this.#handle = handle;
    this.#isRefed = true;
  }

  /** Uses a socket from now on, since a raw pipe has read nothing. */
  #giveUpPipe(): void {
    this.#trial = undefined;
    this.#isPublic = true;
    this.close();
    // The reactor parks again.
    this.wake();
  }

  readonly #onRead = (): void => {
    if (this.#trial !== undefined) {
      cancelAfter(this.#trial);
      this.#trial = undefined;
    }
    if (this.#woken !== undefined) this.#callWoken(this.#woken);
    this.wake();
  };

  /** Calls it where `AsyncLocalStorage` has what it has for the loop. */
  #callWoken(woken: () => void): void {
    this.#woken = undefined;
    // Deno calls the handle without any: most programs store nothing.
    if (this.#context === undefined) return woken();
    const context = getAsyncContext?.();
    setAsyncContext?.(this.#context);
    try {
      woken();
    } finally {
      setAsyncContext?.(context);
    }
  }

  #setRef(refed: boolean): void {
    if (refed === this.#isRefed) return;
    this.#isRefed = refed;
    if (refed) this.#handle?.ref();
    else this.#handle?.unref();
  }
}
