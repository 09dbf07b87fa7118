/**
 * The number that the caller chooses for a source.
 *
 * @module
 */

/**
 * A number that the caller chooses when it registers a source, and that each
 * event of the source has: an integer from 0 to 4,294,967,295.
 */
export type Token = number;

/** The largest token. */
export const TOKEN_MAX = 0xffff_ffff;

/**
 * Returns `token`.
 *
 * @throws {RangeError} when it is no integer from 0 to `TOKEN_MAX`.
 */
export function checkToken(token: Token): Token {
  if (Number.isInteger(token) && token >= 0 && token <= TOKEN_MAX) return token;
  throw new RangeError(
    `Cannot use token "${token}": it must be an integer from 0 to ${TOKEN_MAX}`,
  );
}
