/**
 * Why a connection closed.
 *
 * @module
 */

/** A limit of time that has passed: one of `Timeouts`, or a deadline. */
export type TimeoutReason = "idle" | "read" | "write" | "lifetime" | "deadline";

/** All limits of time. */
export const TIMEOUT_REASONS: ReadonlySet<TimeoutReason> = new Set([
  "idle",
  "read",
  "write",
  "lifetime",
  "deadline",
]);

/**
 * Why a connection closed:
 *
 * - `"ended"`: the peer sent its end, and all that was written for it is sent;
 * - `"closed"`: we closed it, and the system has taken all that was written;
 * - `"aborted"`: `abort()`, or the reactor was closed;
 * - `"error"`: something failed; the protocol's `error` got the error;
 * - `"idle"`, `"read"`, `"write"`, `"lifetime"`: one of its `Timeouts` passed;
 * - `"deadline"`: the deadline of `setDeadline()` passed;
 * - `"shed"`: the reactor's `memoryBytesMax` was reached, and this connection
 *   had held memory for seconds without moving a byte.
 */
export type CloseReason =
  | "ended"
  | "closed"
  | "aborted"
  | "error"
  | TimeoutReason
  | "shed";
