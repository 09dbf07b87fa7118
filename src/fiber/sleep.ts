/**
 * Sleeping on the reactor's own timers.
 *
 * @module
 */

import { type Abortable, obeying } from "../base/abortable.ts";
import { allowSignal, requireNumber } from "../base/checks.ts";
import { Owned, type Owner } from "./owned.ts";
import type { Timer } from "../reactor/timers.ts";

/** Where timers are set. */
export interface TimerHost {
  /** Whether no timer runs any more. */
  readonly isClosed: boolean;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer that has not run. */
  clearTimer(timer: Timer): void;
}

/** Resolves after `ms`, unless the owner or the signal ends it before. */
export function sleep(
  host: TimerHost,
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
  readonly #host: TimerHost;
  readonly #timer: Timer;
  readonly #reject: (reason: unknown) => void;
  #isOver = false;

  constructor(
    host: TimerHost,
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
      // Nobody is to blame: the fiber ends as one that was cancelled.
      (this.owner ?? this).cancel(reason);
    };
  }

  /** Whoever waits for it goes on never: a fiber has ended without it. */
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

/** Why nothing can be waited for any more: nobody's fault. */
export class ReactorClosed extends Deno.errors.BadResource {
  /** @param cause Why it could not go on, when it was not told to close. */
  constructor(cause?: unknown) {
    super(
      "Cannot wait: the reactor is closed",
      cause === undefined ? {} : { cause },
    );
  }
}
