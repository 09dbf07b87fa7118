/**
 * Takes turns: work on one source begins when the work before it is over.
 *
 * @module
 */

import { obeying, refusalBy } from "../base/abortable.ts";

const nothing = () => {};

/** The turns of all sources. */
export class Turns {
  /** The end of the last work on each source, by handle. */
  readonly #last = new Map<number, Promise<void>>();

  /** Does `work` after the work on the same source that was given before. */
  take<T>(
    source: number,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const refusal = refusalBy(signal);
    if (refusal !== undefined) return refusal;
    const before = this.#last.get(source);
    // The first begins at once, so that its bytes are copied now.
    const done = before === undefined
      ? work()
      : after(before, signal).then(work);
    const ended = done.then(nothing, nothing);
    // A work that was given up does not let the next one begin too soon.
    const last = before === undefined ? ended : before.then(() => ended);
    this.#last.set(source, last);
    last.then(() => {
      if (this.#last.get(source) === last) this.#last.delete(source);
    });
    return done;
  }
}

/** Waits for `before`, or rejects when the signal aborts. */
function after(
  before: Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  before.then(resolve);
  return obeying(signal, promise, reject);
}
