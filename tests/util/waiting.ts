/**
 * Waits for conditions, never for time to pass.
 *
 * @module
 */

import { AssertionError } from "@std/assert";

/**
 * Long enough for a machine that is busy with other things, too: only a test
 * that fails takes so long.
 */
export const DEADLINE_MS = 30_000;

/** The time between two looks at a condition that makes no event. */
const LOOK_MS = 1;

/** Resolves as `promise` does, and fails when that takes too long. */
export async function within<T>(
  promise: PromiseLike<T>,
  what: string,
  deadlineMs: number = DEADLINE_MS,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new AssertionError(`Waited ${deadlineMs} ms for ${what}`)),
    deadlineMs,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when `isSo` is true, and fails when that takes too long. */
export async function eventually(
  what: string,
  isSo: () => boolean,
  deadlineMs: number = DEADLINE_MS,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!isSo()) {
    if (performance.now() > endMs) {
      throw new AssertionError(`Waited ${deadlineMs} ms for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
