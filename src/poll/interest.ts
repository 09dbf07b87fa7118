/**
 * The readiness that a registration waits for.
 *
 * @module
 */

/** A non-empty set of the bits of {@linkcode Interest}. */
export type InterestSet = number;

/**
 * The kinds of readiness to wait for; combine them with `|`.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { describeInterest, Interest } from "./interest.ts";
 *
 * const both = Interest.READABLE | Interest.WRITABLE;
 * assertEquals(describeInterest(both), "READABLE | WRITABLE");
 * ```
 */
export const Interest = {
  /** Data, a connection to accept, or the end of the stream can be read. */
  READABLE: 1,
  /** There is room to write, or a connect has finished. */
  WRITABLE: 2,
  /** An urgent byte is there, at which a read ends: `tcp(7)` (Linux only). */
  PRIORITY: 4,
} as const;

const ALL = Interest.READABLE | Interest.WRITABLE | Interest.PRIORITY;

/** Returns the names of the set's bits, joined as mio prints them. */
export function describeInterest(interest: InterestSet): string {
  return Object.entries(Interest)
    .filter(([, bit]) => interest & bit)
    .map(([name]) => name)
    .join(" | ");
}

/**
 * Returns `interest`.
 *
 * @throws {RangeError} when it is empty or has an unknown bit.
 */
export function checkInterest(interest: InterestSet): InterestSet {
  if (Number.isInteger(interest) && interest > 0 && interest <= ALL) {
    return interest;
  }
  throw new RangeError(
    `Cannot use interest "${interest}": combine READABLE, WRITABLE, PRIORITY`,
  );
}
