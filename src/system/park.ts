/**
 * Parking: waiting for readiness without blocking Deno's event loop, and
 * without one of the threads that Deno shares among files, names and
 * cryptography. A reactor that needed such a thread would stand still while all
 * are busy.
 *
 * Linux signals an eventfd, and Deno's event loop reads it by a raw pipe, which
 * Deno does not document. Where that does not work, a thread of the native
 * library waits and writes to a socket that Deno reads. While the process is
 * out of descriptors, one of Deno's timers ends each wait early.
 *
 * @module
 */

import { denoCore } from "../base/deno_core.ts";
import {
  after,
  cancelAfter,
  type DenoTimer,
  immediateClass,
  nowMs as ownNowMs,
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
/** A raw pipe must work within this time; it needs microseconds. */
const TRIAL_MS = 1_000;
/** How long a closing reactor waits for a late call on Deno's pool. */
const LATE_MS = 500;

const { getAsyncContext, setAsyncContext } = denoCore();

/** The waits of one reactor, one at a time. */
export class Wait {
  readonly #poll: Poll;
  /** The way to wait until the reactor has started. */
  #pool: PoolPark | undefined;
  /** The same object, also after the start, since its last call may be late. */
  readonly #late: PoolPark;
  #rounds = 0;
  #idleMs = 0;
  #waitedMs = 0;
  #parker: Parker | TimerPark | undefined = undefined;
  #handle: WakeHandle | undefined = undefined;
  #isRefed = true;
  /** Whether to wait only by documented ways, since raw pipes did not work. */
  #isPublic = false;
  /** Ends the trial of a raw pipe. */
  #trial: DenoTimer | undefined = undefined;
  /** The `woken` callback of the pending wait. */
  #woken: (() => void) | undefined = undefined;
  /** The `AsyncLocalStorage` context in which the pending wait began. */
  #context: unknown = undefined;
  /** Settles the promise of the pending wait. */
  #resolve: (() => void) | undefined = undefined;
  /** When Deno last looked at its sockets and files. */
  #lookedMs = -Infinity;
  /** Whether Deno has looked since, during a park. */
  #hasLooked = false;

  /** @param poll The poll to wait for. */
  constructor(poll: Poll) {
    this.#poll = poll;
    this.#pool = this.#late = new PoolPark(poll);
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
    if (onPool !== undefined) return onPool;
    const waiting = new Promise<void>((resolve) => this.#resolve = resolve);
    this.#woken = woken;
    this.#context = getAsyncContext?.();
    this.#begin(timeoutMs, refed);
    return waiting;
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
    const waiting = new Promise<void>((resolve) => this.#resolve = resolve);
    this.#open(refed).wake();
    return waiting;
  }

  /** Ends the pending wait, if any. */
  wake(): void {
    const resolve = this.#resolve;
    this.#resolve = this.#woken = undefined;
    resolve?.();
  }

  /** Makes a pending wait keep the process alive. */
  ref(): void {
    this.#pool?.ref();
    this.#setRef(true);
  }

  /** Lets the process end, until the next `park`. */
  rest(): void {
    this.#setRef(false);
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
    cancelAfter(this.#trial);
    this.#parker?.close();
    this.#handle?.close();
    this.#parker = this.#handle = undefined;
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

  /** Begins a wait, by another way when the system refuses one. */
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

  /** Returns `undefined` where Linux or Deno lack a part. */
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

  /** Returns `undefined` when the process is out of descriptors. */
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

  /** Serves one wait: the next wait tries the other ways again. */
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

  /** Gives raw pipes up, since this one has read nothing. */
  #giveUpPipe(): void {
    this.#trial = undefined;
    this.#isPublic = true;
    this.close();
    // The reactor then parks again, by another way.
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

  /** Calls `woken` in the `AsyncLocalStorage` context of the reactor's loop. */
  #callWoken(woken: () => void): void {
    this.#woken = undefined;
    // Deno calls the handle without a context, and most programs have none.
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
