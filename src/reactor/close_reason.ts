/**
 * Why a connection closed.
 *
 * @module
 */

/** A limit of time that has passed: one of `Timeouts`, or a deadline. */
export type TimeoutReason = "idle" | "read" | "write" | "lifetime" | "deadline";

/**
 * Why a connection closed:
 *
 * - `"ended"`: its peer sent its end, and what was owed to it is sent;
 * - `"closed"`: we closed it, and all that was written is with the system;
 * - `"aborted"`: `abort()`, or the reactor was closed;
 * - `"error"`: something failed, which the handler `error` was told;
 * - `"idle"`, `"read"`, `"write"`, `"lifetime"`: one of its `Timeouts`;
 * - `"deadline"`: what `setDeadline()` set has passed;
 * - `"shed"`: the reactor's `memoryBytesMax` was reached, and this one had held
 *   memory for seconds without a byte that moved.
 */
export type CloseReason =
  | "ended"
  | "closed"
  | "aborted"
  | "error"
  | TimeoutReason
  | "shed";
