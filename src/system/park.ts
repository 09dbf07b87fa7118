/**
 * Waiting for readiness without holding Deno's event loop, and without one of
 * the threads that Deno shares among files, names and cryptography: when those
 * are all taken, a loop that needed one would stand still.
 *
 * A thread of the native library waits, and writes a byte to a socket that
 * Deno's own event loop reads.
 *
 * @module
 */

import { immediateClass } from "../base/own.ts";
import type { Socket } from "node:net";
import { Parker } from "../poll/parker.ts";
import type { Poll } from "../poll/poll.ts";
import { PoolPark } from "./pool_park.ts";

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
/** Bytes that one read takes: a byte a wait, and few are late. */
const BUFFER_BYTES = 64;

/** Bytes have come, and were taken. */
type OnRead = (count: number, bytes: Uint8Array) => boolean;

/** The part of node:net that is used. */
interface NetModule {
  Socket: new (options: {
    fd: number;
    readable: boolean;
    writable: boolean;
    onread: { buffer: Uint8Array; callback: OnRead };
  }) => Socket;
}

/** The waits of one reactor, one at a time. */
export class Wait {
  readonly #poll: Poll;
  /** Until it has started. */
  #pool: PoolPark | undefined;
  #rounds = 0;
  #parker: Parker | undefined = undefined;
  #socket: Socket | undefined = undefined;
  #isRefed = true;
  /** Ends the wait that is pending. */
  #resolve: (() => void) | undefined = undefined;
  /** When Deno last looked at its sockets and files. */
  #lookedMs = -Infinity;
  /** Whether it has done so since, in a park. */
  #hasLooked = false;

  /** @param poll What to wait for. */
  constructor(poll: Poll) {
    this.#poll = poll;
    this.#pool = new PoolPark(poll);
  }

  /**
   * Waits until something is ready, `timeoutMs` is over or `wake` is called;
   * `undefined` waits without limit.
   *
   * @param refed Whether the wait keeps the process alive.
   */
  park(timeoutMs: number | undefined, refed: boolean): Promise<unknown> {
    this.#hasLooked = true;
    const onPool = this.#pool && this.#parkOnPool(timeoutMs, refed);
    if (onPool !== undefined) return onPool;
    const parker = this.#open(refed);
    const told = new Promise<void>((resolve) => this.#resolve = resolve);
    parker.park(timeoutMs);
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
    const parker = this.#open(refed);
    const told = new Promise<void>((resolve) => this.#resolve = resolve);
    parker.tell();
    return told;
  }

  /** Ends the wait that is pending, if any. */
  wake(): void {
    const resolve = this.#resolve;
    this.#resolve = undefined;
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

  /** Closes what waiting has opened. */
  close(): void {
    this.#parker?.close();
    this.#socket?.destroy();
    this.#parker = this.#socket = undefined;
  }

  /** Nothing when it has started, or no thread of the pool is free. */
  #parkOnPool(
    timeoutMs: number | undefined,
    refed: boolean,
  ): Promise<unknown> | undefined {
    const isShort = timeoutMs !== undefined && timeoutMs < STARTED_MS;
    const parked = this.#pool!.park(isShort ? timeoutMs : STARTED_MS, refed);
    if (parked === undefined) this.#pool = undefined;
    // Beside it: a promise around it would delay whoever waits to be read.
    else if (!isShort) parked.then((count) => this.#idled(count));
    return parked;
  }

  #idled(count: number): void {
    if (count === 0) this.#pool = undefined;
  }

  #open(refed: boolean): Parker {
    const parker = this.#parker ??= this.#openParker();
    this.#setRef(refed);
    return parker;
  }

  #openParker(): Parker {
    const parker = new Parker(this.#poll);
    const buffer = new Uint8Array(BUFFER_BYTES);
    const callback = () => {
      this.wake();
      return true;
    };
    const socket = new (netModule().Socket)({
      fd: parker.fd,
      readable: true,
      writable: false,
      onread: { buffer, callback },
    });
    // Where `onread` is not known to Deno, bytes come by an event.
    socket.on("data", callback);
    socket.on("error", () => {});
    socket.resume();
    this.#socket = socket;
    this.#isRefed = true;
    return parker;
  }

  #setRef(refed: boolean): void {
    if (refed === this.#isRefed) return;
    this.#isRefed = refed;
    if (refed) this.#socket?.ref();
    else this.#socket?.unref();
  }
}

/** Loaded when a reactor first waits: a program that does not need not wait. */
function netModule(): NetModule {
  return process.getBuiltinModule("node:net");
}
