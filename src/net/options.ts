/**
 * Socket options: their numbers in native code, and their ranges.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { nativeOthers } from "../native/library.ts";

/** One socket option. */
export interface SocketOption {
  /** Its number in native code. */
  readonly number: number;
  /** Its name in messages. */
  readonly name: string;
  /** The least value. */
  readonly min: number;
  /** The largest value. */
  readonly max: number;
  /** The unit of a value, for messages. */
  readonly unit: string;
}

/** Native code takes a value as a signed 32-bit number. */
const I32_MAX = 0x7fff_ffff;
/** `MAX_TCP_KEEPIDLE` and `MAX_TCP_KEEPINTVL` of Linux. */
const KEEPALIVE_SECONDS_MAX = 32_767;
/** `MAX_TCP_KEEPCNT` of Linux. */
const KEEPALIVE_COUNT_MAX = 127;
/** `so_linger` has 16 bits on the BSDs. */
const LINGER_SECONDS_MAX = 32_767;
/** An eight-bit field of the IP header: RFC 791, RFC 8200. */
const TTL_MAX = 255;

/** Every option. */
export const SocketOption = {
  NODELAY: flag(1, "nodelay"),
  KEEPALIVE: flag(2, "keepalive"),
  KEEPALIVE_IDLE: option(
    3,
    "keepalive idle",
    [1, KEEPALIVE_SECONDS_MAX],
    "seconds",
  ),
  KEEPALIVE_INTERVAL: option(
    4,
    "keepalive interval",
    [1, KEEPALIVE_SECONDS_MAX],
    "seconds",
  ),
  KEEPALIVE_COUNT: option(
    5,
    "keepalive count",
    [1, KEEPALIVE_COUNT_MAX],
    "probes",
  ),
  LINGER: option(6, "linger", [0, LINGER_SECONDS_MAX], "seconds"),
  RECEIVE_BUFFER: option(7, "receive buffer", [1, I32_MAX], "bytes"),
  SEND_BUFFER: option(8, "send buffer", [1, I32_MAX], "bytes"),
  TTL: option(9, "ttl", [1, TTL_MAX], "hops"),
  REUSE_PORT: flag(10, "reuse port"),
  DEFER_ACCEPT: option(11, "defer accept", [0, I32_MAX], "seconds"),
  USER_TIMEOUT: option(12, "user timeout", [0, I32_MAX], "milliseconds"),
  BROADCAST: flag(13, "broadcast"),
  MULTICAST_LOOP: flag(14, "multicast loop"),
  MULTICAST_TTL: option(15, "multicast ttl", [0, TTL_MAX], "hops"),
  ONLY_V6: flag(16, "only IPv6"),
} as const satisfies Record<string, SocketOption>;

/** Returns an option's value. */
export function getOption(handle: number, option: SocketOption): number {
  const value = nativeOthers().denio_source_option(handle, option.number);
  return unwrap(value, `get ${option.name}`);
}

/** Sets an option to a value that the caller has checked. */
export function setOption(
  handle: number,
  option: SocketOption,
  value: number,
): void {
  const code = nativeOthers().denio_source_set_option(
    handle,
    option.number,
    value,
  );
  unwrap(code, `set ${option.name} to ${value}`);
}

/**
 * Returns `value`.
 *
 * @throws {TypeError} when it is no number.
 * @throws {RangeError} when it is no integer in the option's range.
 */
export function checkValue(option: SocketOption, value: number): number {
  const { name, min, max, unit } = option;
  const isNumber = typeof value === "number";
  if (isNumber && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw new (isNumber ? RangeError : TypeError)(
    `Cannot set ${name} to "${value}": it must be an integer from ${min} to ` +
      `${max} ${unit}`,
  );
}

function flag(number: number, name: string): SocketOption {
  return option(number, name, [0, 1], "");
}

function option(
  number: number,
  name: string,
  [min, max]: readonly [number, number],
  unit: string,
): SocketOption {
  return { number, name, min, max, unit };
}
