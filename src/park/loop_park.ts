/**
 * Waiting for native code without blocking Deno's event loop, and without one
 * of the threads that Deno shares among files, names and cryptography.
 *
 * On Linux something signals an eventfd, and Deno's event loop reads it by a
 * raw pipe, which Deno does not document. Where that does not work, a thread of
 * the native library waits and writes to a socket that Deno reads. While the
 * process is out of descriptors, one of Deno's timers ends each wait early.
 *
 * @module
 */

import { denoCore } from "../base/deno_core.ts";
import { after, cancelAfter, type DenoTimer } from "../base/own.ts";
import {
  openEventfd,
  openSocket,
  rawPipeClass,
  socketClass,
  TimerPark,
  type WakeHandle,
} from "./wake_handle.ts";

/** A raw pipe must work within this time; it needs microseconds. */
const TRIAL_MS = 1_000;

const { getAsyncContext, setAsyncContext } = denoCore();

/**
 * What makes a descriptor readable: `"kernel"`, the kernel itself, by an
 * eventfd; `"thread"`, a thread of the native library, by a Unix socket.
 */
export type ParkWay = "kernel" | "thread";

/** A place where native code waits, and a descriptor that tells of the end. */
export interface Parking {
  /**
   * The descriptor that becomes readable when a wait is over. The caller reads
   * from it and closes it.
   */
  readonly fd: number;
  /**
   * Makes the descriptor readable when there is something to do, or `timeoutMs`
   * is over; `undefined` waits without limit. Replaces an earlier wait.
   *
   * @throws {Error} when the system refuses the wait.
   */
  park(timeoutMs: number | undefined): void;
  /** Makes the descriptor readable now. */
  wake(): void;
  /** Ends the wait; the descriptor becomes readable no more. */
  close(): void;
}

/** The waits of one loop, one at a time. */
export class LoopPark {
  readonly #openParking: (by: ParkWay) => Parking;
  #parking: Omit<Parking, "fd"> | undefined = undefined;
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

  /**
   * @param open Opens a place to wait. It throws where the system does not have
   * that way, or is out of descriptors.
   */
  constructor(open: (by: ParkWay) => Parking) {
    this.#openParking = open;
  }

  /**
   * Waits until there is something to do, `timeoutMs` is over or `wake` is
   * called; `undefined` waits without limit. A wait may end early.
   *
   * @param refed Whether the wait keeps the process alive.
   * @param woken Called, where possible, as soon as Deno's loop learns that the
   * wait is over. The promise settles later, after all else that the loop read.
   */
  park(
    timeoutMs: number | undefined,
    refed: boolean,
    woken?: () => void,
  ): Promise<void> {
    const waiting = new Promise<void>((resolve) => this.#resolve = resolve);
    this.#woken = woken;
    this.#context = getAsyncContext?.();
    this.#begin(timeoutMs, refed);
    return waiting;
  }

  /**
   * Returns a promise that settles once Deno's loop has looked at its sockets
   * and files.
   *
   * @param refed Whether the promise keeps the process alive.
   */
  round(refed: boolean): Promise<void> {
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

  /** Makes a pending wait keep the process alive, or lets the process end. */
  setRef(refed: boolean): void {
    if (refed === this.#isRefed) return;
    this.#isRefed = refed;
    if (refed) this.#handle?.ref();
    else this.#handle?.unref();
  }

  /** Closes the place to wait and its descriptor. */
  close(): void {
    cancelAfter(this.#trial);
    this.#trial = undefined;
    this.#parking?.close();
    this.#handle?.close();
    this.#parking = this.#handle = undefined;
  }

  /** Begins a wait, by another way when the system refuses one. */
  #begin(timeoutMs: number | undefined, refed: boolean): void {
    for (;;) {
      const parking = this.#open(refed);
      try {
        return parking.park(timeoutMs);
      } catch {
        this.close();
        if (this.#isPublic) this.#parking = this.#openByTimer();
        this.#isPublic = true;
      }
    }
  }

  #open(refed: boolean): Omit<Parking, "fd"> {
    const parking = this.#parking ??= this.#openByKernel() ??
      this.#openByThread() ?? this.#openByTimer();
    this.setRef(refed);
    return parking;
  }

  /** Returns `undefined` where Linux or Deno lack a part. */
  #openByKernel(): Parking | undefined {
    const Pipe = this.#isPublic ? undefined : rawPipeClass();
    if (Pipe === undefined) return undefined;
    let parking: Parking | undefined;
    try {
      parking = this.#openParking("kernel");
      this.#use(openEventfd(Pipe, parking.fd, this.#onRead));
    } catch {
      parking?.close();
      return undefined;
    }
    this.#trial = after(TRIAL_MS, () => this.#giveUpPipe());
    parking.wake();
    return parking;
  }

  /** Returns `undefined` when the process is out of descriptors. */
  #openByThread(): Parking | undefined {
    const Socket = socketClass();
    if (Socket === undefined) return undefined;
    let parking: Parking | undefined;
    try {
      parking = this.#openParking("thread");
      this.#use(openSocket(Socket, parking.fd, this.#onRead));
    } catch {
      parking?.close();
      return undefined;
    }
    return parking;
  }

  /** Serves one wait: the next wait tries the other ways again. */
  #openByTimer(): TimerPark {
    const parking = new TimerPark(() => {
      this.close();
      this.#onRead();
    });
    this.#use(parking);
    return parking;
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
    // The loop then parks again, by another way.
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

  /** Calls `woken` in the `AsyncLocalStorage` context of the waiting loop. */
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
}
