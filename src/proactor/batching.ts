/**
 * When a proactor submits the operations that it has taken.
 *
 * @module
 */

/**
 * A policy. Every policy submits when the program waits, flushes or parks:
 * nothing is left behind.
 */
export interface Batching {
  /** The number of the policy in native code. */
  readonly policy: number;
  /** A count, or milliseconds. */
  readonly value: number;
}

/** Makes the policies. */
export interface Policies {
  /** Submits when the program waits, flushes or parks. */
  readonly turn: Batching;
  /**
   * Submits also when `operations` have been taken.
   *
   * @throws {RangeError} when it is no integer of 1 or more.
   */
  count(operations: number): Batching;
  /**
   * Submits also when the oldest operation was taken `ms` ago. The proactor
   * looks at the clock when the program submits another operation, since it has
   * no thread that could look at other times.
   *
   * @throws {RangeError} when it is negative or no number.
   */
  delay(ms: number): Batching;
}

/** The policies. */
export const Batching: Policies = {
  turn: { policy: 0, value: 0 },

  count(operations: number): Batching {
    if (Number.isInteger(operations) && operations >= 1) {
      return { policy: 1, value: operations };
    }
    throw new RangeError(
      `Cannot submit when "${operations}" operations wait: it must be an ` +
        `integer of 1 or more`,
    );
  },

  delay(ms: number): Batching {
    if (ms >= 0 && ms < Infinity) return { policy: 2, value: ms };
    throw new RangeError(
      `Cannot submit after "${ms}" ms: it must be zero or more`,
    );
  },
};
