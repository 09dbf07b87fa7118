/**
 * Stream options that some systems lack, or refuse at some times.
 *
 * @module
 */

import type { StreamSocket } from "./system.ts";

/** The largest `TCP_USER_TIMEOUT` in milliseconds: the option is an `int`. */
const USER_TIMEOUT_MS_MAX = 0x7fff_ffff;

/**
 * Returns the `userTimeout` for a `writeMs`; 0, the system's own limit, when
 * `writeMs` is left out or infinite.
 */
export function userTimeoutOf(writeMs: number | undefined): number {
  if (writeMs === undefined || !(writeMs <= USER_TIMEOUT_MS_MAX)) return 0;
  return Math.ceil(writeMs);
}

/**
 * Makes the system end a stream when its peer's system acknowledges nothing for
 * `writeMs`; infinity removes the limit. Only the system sees bytes that were
 * written and wait for a peer that has vanished. Does nothing where the system
 * lacks the option.
 */
export function limitUnacked(stream: StreamSocket, writeMs: number): void {
  if (!("userTimeout" in stream)) return;
  ifPossible(() => stream.userTimeout = userTimeoutOf(writeMs));
}

/**
 * Sets an optional option, and ignores errors. Some systems lack the option,
 * and macOS refuses every option of a stream that was reset; the next read
 * reports that reset.
 */
export function ifPossible(set: () => void): void {
  try {
    set();
  } catch {
    // The stream works without the option.
  }
}
