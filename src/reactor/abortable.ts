/**
 * Waiting that an `AbortSignal` ends.
 *
 * @module
 */

/** What can be ended from outside. */
export interface Abortable {
  /** Ends the wait when it aborts, with its reason. */
  signal?: AbortSignal | undefined;
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
