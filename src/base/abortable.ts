/**
 * Waiting that an `AbortSignal` ends.
 *
 * @module
 */

import { allowSignal } from "./checks.ts";

/** What can be ended from outside. */
export interface Abortable {
  /** Ends the wait when it aborts, with its reason. */
  signal?: AbortSignal | undefined;
}

/** Rejects when what should be a signal is none; else returns nothing. */
export function misuseOf(signal: unknown): Promise<never> | undefined {
  try {
    allowSignal(signal);
    return undefined;
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Returns `waiting`, and calls `cancel` when `signal` aborts before it is
 * settled; `cancel` has it reject.
 */
export function obeying<T>(
  signal: AbortSignal | undefined,
  waiting: Promise<T>,
  cancel: (reason: unknown) => void,
): Promise<T> {
  if (signal === undefined) return waiting;
  const abort = () => cancel(signal.reason);
  const done = () => signal.removeEventListener("abort", abort);
  signal.addEventListener("abort", abort, { once: true });
  waiting.then(done, done);
  return waiting;
}
