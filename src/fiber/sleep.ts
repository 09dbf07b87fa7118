/**
 * Sleeping, on the reactor's timers.
 *
 * @module
 */

import { type Abortable, obeying, refusalBy } from "../base/abortable.ts";
import { requireNumber } from "../base/checks.ts";
import { Owned, type Owner } from "./owned.ts";
import { ReactorClosed } from "../reactor/guest.ts";
import type { Scheduler, Timer } from "../reactor/timers.ts";

/**
 * Resolves after `ms` milliseconds; rejects when the owner is cancelled or the
 * signal aborts before.
 */
export function sleep(
  scheduler: Scheduler,
  ms: number,
  { signal, owner }: Abortable & { owner?: Owner } = {},
): Promise<void> {
  try {
    requireNumber("ms", ms);
  } catch (error) {
    return Promise.reject(error);
  }
  const refusal = refusalBy(signal);
  if (refusal !== undefined) return refusal;
  if (scheduler.isClosed) return Promise.reject(new ReactorClosed());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sleeper = new Sleeper(scheduler, ms, { resolve, reject });
  sleeper.moveTo(owner);
  owner?.beginWait();
  return obeying(signal, promise, (reason) => {
    sleeper.cancel(reason);
  });
}

class Sleeper extends Owned {
  readonly #scheduler: Scheduler;
  readonly #timer: Timer;
  readonly #reject: (reason: unknown) => void;
  #isOver = false;

  constructor(
    scheduler: Scheduler,
    ms: number,
    { resolve, reject }: {
      resolve: () => void;
      reject: (reason: unknown) => void;
    },
  ) {
    super();
    this.#scheduler = scheduler;
    this.#reject = reject;
    this.#timer = scheduler.setTimer(ms, () => {
      this.release();
      resolve();
    });
    this.#timer.onDrop = (reason) => {
      // The reactor closes: it cancels the fiber.
      (this.owner ?? this).cancel(reason);
    };
  }

  /** Ends the sleep; the fiber has ended, so no code waits for its promise. */
  release(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#scheduler.clearTimer(this.#timer);
    const { owner } = this;
    if (owner === undefined) return;
    owner.lose(this);
    owner.endWait();
  }

  cancel(reason: unknown): void {
    this.release();
    // Does nothing when the sleep is over: its promise has settled.
    this.#reject(reason);
  }
}
