/**
 * How long a transport may take.
 *
 * @module
 */

/**
 * How long a connection may take. Each limit is in milliseconds, from 1 to
 * 2147483647, or `Infinity`: without limit, as when it is left out. A limit
 * counts from the moment at which it is set.
 *
 * A limit never acts early. It may act late: by a quarter of the shortest limit
 * of any connection, or by eight milliseconds where that is more, but by a
 * second at the most; and by one turn more for every 4096 connections. The
 * reactor has no timer for each connection: it sweeps over all of them now and
 * then.
 */
export interface Timeouts {
  /** No byte has been read or written for this long: `"idle"`. */
  readonly idleMs?: number;
  /**
   * No byte was read for this long, although the connection reads: `"read"`.
   * The time in which it is paused, or after the peer's end, does not count.
   */
  readonly readMs?: number;
  /** The number of unsent bytes has not fallen for this long: `"write"`. */
  readonly writeMs?: number;
  /** The connection has been open for this long: `"lifetime"`. */
  readonly lifetimeMs?: number;
}
