/**
 * Why a connection closed.
 *
 * @module
 */

/** The time limit that has passed: one of `Timeouts`, or a deadline. */
export type TimeoutReason = "idle" | "read" | "write" | "lifetime" | "deadline";

/** The reasons that are time limits. */
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
 * - `"ended"`: the peer sent its end, and all that was written is sent;
 * - `"closed"`: we closed it, and the system has taken all that was written;
 * - `"aborted"`: `abort()`, or the reactor was closed;
 * - `"error"`: something failed; the protocol's `error` got the error;
 * - `"idle"`, `"read"`, `"write"`, `"lifetime"`: one of its `Timeouts` passed;
 * - `"deadline"`: the deadline of `setDeadline()` passed;
 * - `"shed"`: the reactor's `memoryBytesMax` was reached, and this connection
 *   had
 *   kept memory for seconds while no byte moved.
 */
export type CloseReason =
  | "ended"
  | "closed"
  | "aborted"
  | "error"
  | TimeoutReason
  | "shed";
