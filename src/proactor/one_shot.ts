/**
 * Operations with one completion, as promises.
 *
 * @module
 */

import { allowSignal } from "../base/checks.ts";
import { errorFrom } from "../native/errors.ts";
import type { Operation, Pump, Receiver } from "./pump.ts";
import type { Completed, Request } from "./request.ts";

/** What one operation is called, and what ends it early. */
export interface RunOptions {
  /** The call and what it works on, for messages: `read "a.txt"`. */
  doing: string;
  signal?: AbortSignal | undefined;
}

/**
 * Runs an operation. A signal asks the kernel to end it. When the operation was
 * faster, the promise resolves all the same: so nothing that was received,
 * accepted or opened is lost.
 *
 * @param finish Returns what the promise resolves to, from a completion without
 * an error. What it throws, the promise rejects with.
 */
export function run<T>(
  pump: Pump,
  request: Request,
  { doing, signal }: RunOptions,
  finish: (completed: Completed) => T,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    allowSignal(signal);
    signal?.throwIfAborted();
    const oneShot = new OneShot(doing, finish, resolve, reject);
    const operation = pump.submit(request, oneShot);
    if (signal !== undefined) oneShot.obey(signal, pump, operation);
  });
}

class OneShot<T> implements Receiver {
  readonly #doing: string;
  readonly #finish: (completed: Completed) => T;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #signal: AbortSignal | undefined = undefined;
  #abort: (() => void) | undefined = undefined;

  constructor(
    doing: string,
    finish: (completed: Completed) => T,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#doing = doing;
    this.#finish = finish;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Ends the operation when a signal aborts. */
  obey(signal: AbortSignal, pump: Pump, operation: Operation): void {
    this.#signal = signal;
    this.#abort = () => pump.cancel(operation);
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  complete(completed: Completed): void {
    const { result } = completed;
    if (result < 0) return this.#fail(errorFrom(-result, this.#doing));
    this.#forget();
    try {
      this.#resolve(this.#finish(completed));
    } catch (error) {
      this.#reject(error);
    }
  }

  fail(error: Error): void {
    this.#forget();
    this.#reject(error);
  }

  #fail(error: Error & { code?: string }): void {
    const { code } = error;
    const isEnded = code === "ECANCELED" || code === "EINTR";
    const signal = this.#signal;
    this.#forget();
    this.#reject(isEnded && signal?.aborted ? signal.reason : error);
  }

  #forget(): void {
    if (this.#abort === undefined) return;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#signal = this.#abort = undefined;
  }
}
