/**
 * Waiting in a non-blocking native call, on one of the threads that Deno shares
 * among files, names and cryptography: what a reactor does while it starts,
 * since the way through a socket takes Deno's `node:net`, which is loaded in
 * some twenty milliseconds.
 *
 * @module
 */

import { denoCore } from "../base/deno_core.ts";
import type { Poll } from "../poll/poll.ts";

/** How long a thread of the pool may take to begin before it is full. */
const BEGIN_MS = 20;

/** The waits of one reactor on Deno's pool of threads, one at a time. */
export class PoolPark {
  readonly #poll: Poll;
  /** Has a wait that is pending unrefed keep the process alive. */
  #ref: (() => void) | undefined = undefined;
  /** A call that no thread has begun in time, until it is over. */
  late: Promise<unknown> | undefined = undefined;

  /** @param poll What to wait for. */
  constructor(poll: Poll) {
    this.#poll = poll;
  }

  /**
   * Waits until something is ready or `timeoutMs` is over.
   *
   * @returns Deno's own promise, for 0 when nothing was ready; nothing when the
   * pool is full.
   */
  park(
    timeoutMs: number | undefined,
    refed: boolean,
  ): Promise<number> | undefined {
    this.#ref = undefined;
    const { unrefOpPromise, refOpPromise } = denoCore();
    if (unrefOpPromise === undefined || refOpPromise === undefined) return;
    const begun = this.#poll.parksBegun;
    const parked = this.#poll.parkRaw(timeoutMs);
    if (!this.#poll.awaitPark(begun, BEGIN_MS)) {
      // It waits for a thread, and must not keep the process meanwhile.
      unrefOpPromise(parked);
      this.late = parked.finally(() => this.late = undefined);
      return undefined;
    }
    if (!refed) {
      unrefOpPromise(parked);
      this.#ref = () => refOpPromise(parked);
    }
    return parked;
  }

  /** Has the wait that is pending, if any, keep the process alive. */
  ref(): void {
    this.#ref?.();
    this.#ref = undefined;
  }
}
