/**
 * A time limit for a promise, on the reactor's timers.
 *
 * @module
 */

import { ReactorClosed } from "../reactor/guest.ts";
import type { Scheduler } from "../reactor/timers.ts";

/**
 * Rounds of microtasks that a read which ended in a turn gets to reach its
 * fiber, before a limit that passed in the same turn counts.
 */
const LAST_ROUNDS = 32;

/** What has a time limit. */
export interface Limited {
  /** Its name, for the error. */
  readonly name: string;
  /** The limit counts until this settles. */
  readonly promise: Promise<unknown>;
  /** Called when the time is over, or when the reactor closes before. */
  readonly end: (reason: unknown) => void;
}

/** Calls `end` unless `promise` settles within `ms` milliseconds. */
export function limitTime(
  scheduler: Scheduler,
  ms: number,
  { name, promise, end }: Limited,
): void {
  if (scheduler.isClosed) return end(new ReactorClosed());
  let isSettled = false;
  const timer = scheduler.setTimer(ms, async () => {
    // Bytes that came in this turn reach their fiber through microtasks.
    for (let round = 0; round < LAST_ROUNDS && !isSettled; round++) {
      await undefined;
    }
    if (isSettled) return;
    end(new Deno.errors.TimedOut(`Waited ${ms} ms in "${name}"`));
  });
  timer.onDrop = end;
  const clear = () => {
    isSettled = true;
    scheduler.clearTimer(timer);
  };
  promise.then(clear, clear);
}
