/**
 * Sleeping on the reactor's own timers.
 *
 * @module
 */

import { type Abortable, obeying } from "../base/abortable.ts";
import { allowSignal, requireNumber } from "../base/checks.ts";
import { Owned, type Owner } from "./owned.ts";
import { ReactorClosed } from "../reactor/guest.ts";
import type { Scheduler, Timer } from "../reactor/timers.ts";

/** Resolves after `ms`, unless the owner or the signal ends it before. */
export function sleep(
  host: Scheduler,
  ms: number,
  { signal, owner }: Abortable & { owner?: Owner } = {},
): Promise<void> {
  try {
    requireNumber("ms", ms);
    allowSignal(signal);
  } catch (error) {
    return Promise.reject(error);
  }
  if (signal?.aborted) return Promise.reject(signal.reason);
  if (host.isClosed) return Promise.reject(new ReactorClosed());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sleeper = new Sleeper(host, ms, { resolve, reject });
  sleeper.moveTo(owner);
  owner?.beginWait();
  return obeying(signal, promise, (reason) => {
    sleeper.cancel(reason);
  });
}

class Sleeper extends Owned {
  readonly #host: Scheduler;
  readonly #timer: Timer;
  readonly #reject: (reason: unknown) => void;
  #isOver = false;

  constructor(
    host: Scheduler,
    ms: number,
    { resolve, reject }: {
      resolve: () => void;
      reject: (reason: unknown) => void;
    },
  ) {
    super();
    this.#host = host;
    this.#reject = reject;
    this.#timer = host.setTimer(ms, () => {
      this.release();
      resolve();
    });
    this.#timer.onDrop = (reason) => {
      // The reactor closes: the fiber ends as one that was cancelled.
      (this.owner ?? this).cancel(reason);
    };
  }

  /** Ends the sleep with its fiber. The promise never settles: nobody waits. */
  release(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.clearTimer(this.#timer);
    const { owner } = this;
    if (owner === undefined) return;
    owner.lose(this);
    owner.endWait();
  }

  cancel(reason: unknown): void {
    this.release();
    // After the sleep is over this does nothing.
    this.#reject(reason);
  }
}
