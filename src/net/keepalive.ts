/**
 * Probes of silent TCP peers: their ranges and their default.
 *
 * @module
 */

import { checkValue, SocketOption } from "./options.ts";

/** When the system probes a silent peer, and how often: `tcp(7)`. */
export interface Keepalive {
  /** Seconds of silence before the first probe, from 1 to 32767. */
  idle: number;
  /** Seconds between probes, from 1 to 32767. */
  interval: number;
  /** Unanswered probes after which the connection ends, from 1 to 127. */
  count: number;
}

/**
 * The default of listeners and of a reactor's connections: Go's numbers
 * (`net.KeepAliveConfig`). The connection to a peer that vanished ends after
 * 150 seconds.
 */
export const KEEPALIVE_DEFAULT: Readonly<Keepalive> = {
  idle: 15,
  interval: 15,
  count: 9,
};

/** The options of the three numbers. */
const OPTIONS = {
  idle: SocketOption.KEEPALIVE_IDLE,
  interval: SocketOption.KEEPALIVE_INTERVAL,
  count: SocketOption.KEEPALIVE_COUNT,
} as const;

/**
 * Returns all three numbers, with those of {@linkcode KEEPALIVE_DEFAULT} for
 * `true` and in place of those left out; `undefined` for `false`.
 *
 * @throws {RangeError} when a number is out of range.
 * @throws {TypeError} when it is neither a boolean nor an object.
 */
export function keepaliveOf(
  keepalive: boolean | Partial<Keepalive> = true,
): Keepalive | undefined {
  const given = checkKeepalive(keepalive);
  return keepalive === false ? undefined : { ...KEEPALIVE_DEFAULT, ...given };
}

/**
 * Returns the numbers that are given.
 *
 * @throws {RangeError} when one is out of range.
 * @throws {TypeError} when it is neither a boolean nor an object.
 */
export function checkKeepalive(
  keepalive: boolean | Partial<Keepalive>,
): Partial<Keepalive> {
  if (typeof keepalive === "boolean") return {};
  if (typeof keepalive !== "object" || keepalive === null) {
    throw new TypeError(
      `Cannot set keepalive to "${keepalive}": it must be a boolean, or an ` +
        "object with idle, interval and count",
    );
  }
  const given: Partial<Keepalive> = {};
  for (const name of ["idle", "interval", "count"] as const) {
    const value = keepalive[name];
    if (value !== undefined) given[name] = checkValue(OPTIONS[name], value);
  }
  return given;
}
