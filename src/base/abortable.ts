/**
 * Waits that an `AbortSignal` ends.
 *
 * @module
 */

import { allowSignal } from "./checks.ts";

/** The option of waits that an `AbortSignal` can end. */
export interface Abortable {
  /** When the signal aborts, the wait rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Returns a rejected promise when `signal` is not an `AbortSignal`, or has
 * aborted before; `undefined` when a wait may begin.
 */
export function refusalBy(
  signal: AbortSignal | undefined,
): Promise<never> | undefined {
  try {
    allowSignal(signal);
    signal?.throwIfAborted();
    return undefined;
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Returns `waiting`. Calls `cancel`, which must reject `waiting`, when `signal`
 * aborts before `waiting` settles.
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
