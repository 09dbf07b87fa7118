/**
 * Waiting in a non-blocking native call, on one of the threads that Deno shares
 * among files, names and cryptography. A reactor waits so while it starts,
 * since the other ways need modules of Deno's that take milliseconds to load.
 *
 * @module
 */

import { denoCore } from "../base/deno_core.ts";
import type { Poll } from "../poll/poll.ts";

/** When no thread begins within this time, the pool counts as full. */
const BEGIN_MS = 20;

/** The waits of one reactor on Deno's pool of threads, one at a time. */
export class PoolPark {
  readonly #poll: Poll;
  /** Makes the pending, unrefed wait keep the process alive. */
  #ref: (() => void) | undefined = undefined;
  /** The last call that no thread began in time, until it is over. */
  late: Promise<unknown> | undefined = undefined;

  /** @param poll The poll to wait for. */
  constructor(poll: Poll) {
    this.#poll = poll;
  }

  /**
   * Waits until a source is ready or `timeoutMs` is over.
   *
   * @returns Deno's own promise, which resolves to 0 when no source was ready;
   * `undefined` when the pool is full.
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
      // The call still waits for a thread, and must not keep the process alive.
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

  /** Makes a pending wait keep the process alive. */
  ref(): void {
    this.#ref?.();
    this.#ref = undefined;
  }
}
