/**
 * Assertions of denio's own invariants. A failed assertion is denio's error: it
 * ends the loop with a message, since the loop's state is no longer reliable.
 *
 * @module
 */

/** One of denio's invariants does not hold. */
export class InvariantError extends Error {
  /** The name of the class. */
  override name = "InvariantError";
}

/**
 * Throws unless `condition` holds. Use it for checks that cost one comparison.
 * Costlier checks are an `audit`, which tests and the simulator call.
 *
 * @param what What must hold, as a sentence without a full stop.
 * @throws {InvariantError} when `condition` is false.
 */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantError(`This must hold: ${what}`);
}
