/**
 * What must hold. An error here is denio's own: the loop that it is thrown in
 * ends, and says so, instead of going on with what nobody can rely on.
 *
 * @module
 */

/** Something that denio relies on does not hold. */
export class InvariantError extends Error {
  /** Its own name. */
  override name = "InvariantError";
}

/**
 * Throws unless `condition` holds. For what costs a comparison: what costs more
 * is an `audit`, which tests and the simulator call.
 *
 * @param what What must hold, as a sentence without a full stop.
 * @throws {InvariantError} when it does not.
 */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantError(`This must hold: ${what}`);
}
