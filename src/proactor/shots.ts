/**
 * Operations with many completions, as async iterators: connections that are
 * accepted, bytes that are received. A consumer that is slow makes the
 * operation end, and begin again once little is left.
 *
 * @module
 */

import { allowSignal } from "../base/checks.ts";
import { errnoNumber, errorFrom } from "../native/errors.ts";
import type { Operation, Pump, Receiver } from "./pump.ts";
import type { Completed, Request } from "./request.ts";

/** Items count for more than their bytes: what V8 takes for each. */
const ITEM_BYTES = 128;
/** While so many bytes wait, the operation does not go on. */
const HIGH_BYTES = 64 * 1024;
/** At so few it goes on. */
const LOW_BYTES = 16 * 1024;

const CANCELED = -errnoNumber("ECANCELED");
/** A connection that ended while it waited to be accepted. */
const ABORTED = -errnoNumber("ECONNABORTED");
/** Errors that pass when the process or the system frees something. */
const SHORTAGES = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] as const;
const SHORTAGE_RESULTS = SHORTAGES.map((name) => -errnoNumber(name));
/** How long an operation rests then. */
const REST_MS = 100;

/** What the iterators of one source leave to each other. */
export interface Stash<T> {
  /** Items that have come and that nobody has taken, oldest first. */
  readonly items: T[];
  /** Whether somebody takes them. */
  isBusy: boolean;
}

/**
 * Makes its caller the only one who takes the items of a stash.
 *
 * @throws {Deno.errors.Busy} when there is another.
 */
export function claim(stash: Stash<unknown>, doing: string): void {
  if (stash.isBusy) {
    throw new Deno.errors.Busy(`Cannot ${doing}: another call waits for it`);
  }
  stash.isBusy = true;
}

/** What an iterator brings, and how its operation begins. */
export interface ShotsOptions<T> {
  request: Request;
  /** The call and what it works on, for messages. */
  doing: string;
  signal?: AbortSignal | undefined;
  stash: Stash<T>;
  /** Returns the item of a completion; `undefined` for the end. */
  item: (completed: Completed) => T | undefined;
  /** Returns the bytes of an item. */
  bytesOf: (item: T) => number;
  /** Whether it goes on after errors that one item or a shortage causes. */
  goesOn: boolean;
}

/** Somebody who waits for the next item. */
interface Waiter<T> {
  resolve: (result: IteratorResult<T>) => void;
  reject: (error: unknown) => void;
}

/** One iterator. It begins its operation when the first item is asked for. */
export class Shots<T> implements AsyncIterableIterator<T>, Receiver {
  readonly #pump: Pump;
  readonly #options: ShotsOptions<T>;
  readonly #items: T[];
  #bytes = 0;
  readonly #waiters: Waiter<T>[] = [];
  #operation: Operation | undefined = undefined;
  #isPausing = false;
  #isOver = false;
  #isReturned = false;
  /** Whether it has claimed the stash, and has not released it. */
  #isClaiming = false;
  /** Why it is over, until somebody has heard of it. */
  #error: { reason: unknown } | undefined = undefined;
  #onEnd: (() => void) | undefined = undefined;

  constructor(pump: Pump, options: ShotsOptions<T>) {
    allowSignal(options.signal);
    this.#pump = pump;
    this.#options = options;
    this.#items = options.stash.items;
  }

  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (!this.#isOver && !this.#isClaiming) this.#claim();
      this.#serve();
    });
  }

  /** Ends the operation. Items that have come stay for the next iterator. */
  async return(): Promise<IteratorResult<T>> {
    this.#isReturned = true;
    this.#finish(undefined);
    if (this.#operation !== undefined) {
      const ended = new Promise<void>((resolve) => this.#onEnd = resolve);
      this.#pump.cancel(this.#operation);
      await ended;
    }
    this.#serve();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  complete(completed: Completed): void {
    if (!completed.more) this.#operation = undefined;
    const { result } = completed;
    if (result < 0) this.#fail(result);
    else this.#take(completed);
    // Its last completion may have brought something.
    if (this.#operation === undefined) this.#heedSignal();
    this.#serve();
  }

  fail(error: Error): void {
    this.#operation = undefined;
    this.#finish({ reason: error });
    this.#serve();
  }

  #claim(): void {
    const { stash, doing, signal } = this.#options;
    try {
      this.#heedSignal();
      if (this.#isOver) return;
      claim(stash, doing);
      this.#isClaiming = true;
      signal?.addEventListener("abort", this.#abort, { once: true });
      for (const item of this.#items) this.#bytes += this.#weigh(item);
    } catch (error) {
      this.#isReturned = true;
      this.#finish({ reason: error });
    }
  }

  #take(completed: Completed): void {
    const item = this.#options.item(completed);
    if (item === undefined) return this.#finish(undefined);
    this.#items.push(item);
    this.#bytes += this.#weigh(item);
    if (this.#bytes < HIGH_BYTES || this.#isPausing) return;
    if (this.#operation === undefined || this.#waiters.length > 0) return;
    this.#isPausing = true;
    this.#pump.cancel(this.#operation);
  }

  #fail(result: number): void {
    if (result === CANCELED && this.#isPausing) return;
    const { signal, doing, goesOn } = this.#options;
    if (result === CANCELED && signal?.aborted) return;
    if (goesOn && result === ABORTED) return;
    if (goesOn && !this.#isOver && SHORTAGE_RESULTS.includes(result)) {
      return this.#rest();
    }
    this.#finish({ reason: errorFrom(-result, doing) });
  }

  /** Waits while something is short: the peers wait, too. */
  #rest(): void {
    const over = (): void => {
      this.#operation = undefined;
      this.#heedSignal();
      this.#serve();
    };
    this.#operation = this.#pump.submit(
      { add: (batch, token) => batch.timeout(token, REST_MS) },
      { complete: over, fail: (error) => this.fail(error) },
    );
  }

  #heedSignal(): void {
    const { signal } = this.#options;
    if (signal?.aborted) this.#finish({ reason: signal.reason });
  }

  #finish(error: { reason: unknown } | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#options.signal?.removeEventListener("abort", this.#abort);
  }

  /** Gives items to those who wait, and lets the operation go on. */
  #serve(): void {
    const waiters = this.#waiters;
    const hasItems = () => !this.#isReturned && this.#items.length > 0;
    while (waiters.length > 0 && hasItems()) {
      const value = this.#items.shift()!;
      this.#bytes -= this.#weigh(value);
      waiters.shift()!.resolve({ done: false, value });
    }
    if (this.#isOver && this.#operation === undefined) return this.#serveEnd();
    const isWanted = waiters.length > 0 || this.#bytes <= LOW_BYTES;
    if (this.#operation === undefined && isWanted) this.#begin();
  }

  #serveEnd(): void {
    if (this.#isClaiming) this.#options.stash.isBusy = false;
    this.#isClaiming = false;
    this.#onEnd?.();
    while (this.#waiters.length > 0) {
      const waiter = this.#waiters.shift()!;
      const error = this.#error;
      this.#error = undefined;
      if (error !== undefined) waiter.reject(error.reason);
      else waiter.resolve({ done: true, value: undefined });
    }
  }

  #begin(): void {
    this.#isPausing = false;
    try {
      this.#operation = this.#pump.submit(this.#options.request, this);
    } catch (error) {
      this.#finish({ reason: error });
      this.#serveEnd();
    }
  }

  readonly #abort = (): void => {
    // What has come is brought first, and then the reason.
    if (this.#operation !== undefined) {
      this.#isPausing = false;
      return this.#pump.cancel(this.#operation);
    }
    this.#heedSignal();
    this.#serve();
  };

  #weigh(item: T): number {
    return ITEM_BYTES + this.#options.bytesOf(item);
  }
}
