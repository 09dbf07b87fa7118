/**
 * Options of a stream that not every system has, or takes at any time.
 *
 * @module
 */

import type { StreamSocket } from "./system.ts";

/** The longest `TCP_USER_TIMEOUT`, in milliseconds: the option is an `int`. */
const USER_TIMEOUT_MS_MAX = 0x7fff_ffff;

/**
 * Returns the `userTimeout` that has the system watch over a `writeMs`: 0, the
 * system's own, when there is no such limit.
 */
export function userTimeoutOf(writeMs: number | undefined): number {
  if (writeMs === undefined || !(writeMs <= USER_TIMEOUT_MS_MAX)) return 0;
  return Math.ceil(writeMs);
}

/**
 * Has the system give up a stream whose peer's side acknowledges nothing for
 * `writeMs`, or, with infinity, no longer. It sees what nobody here can: bytes
 * that were written, and wait in the system for a peer that has vanished. Does
 * nothing where the system cannot.
 */
export function limitUnacked(stream: StreamSocket, writeMs: number): void {
  if (!("userTimeout" in stream)) return;
  ifPossible(() => stream.userTimeout = userTimeoutOf(writeMs));
}

/**
 * Sets an option that a stream can do without. Some systems have not got it, and
 * macOS refuses all options of a stream that was reset, which reading tells.
 */
export function ifPossible(set: () => void): void {
  try {
    set();
  } catch {
    // It goes on without.
  }
}
