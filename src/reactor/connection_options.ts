/**
 * What bounds one connection: water marks, its share of a turn, timeouts.
 *
 * Limits are checked once, where a listener or a connection is made. All
 * connections of a listener share one object.
 *
 * @module
 */

import { requireNumber, wrongType } from "../base/checks.ts";

/** Unsent bytes at which reading stops: backpressure begins. */
export const HIGH_WATER_BYTES = 65_536;
/** Unsent bytes at which reading goes on: backpressure ends. */
export const LOW_WATER_BYTES = 16_384;
/** Bytes that one connection may read in a turn before others have theirs. */
export const TURN_READ_BYTES = 262_144;
/** The longest timeout: what fits the sweep's clock, as `setTimeout`'s. */
export const TIMEOUT_MS_MAX = 0x7fff_ffff;

/**
 * Memory that the connections of a thread's shared reactor may hold: less than a
 * machine that serves has.
 */
export const SHARED_MEMORY_BYTES_MAX = 1_073_741_824;

/**
 * How long a connection may take, in milliseconds, each from 1 to 2147483647
 * or `Infinity`; one that is left out is without limit. A limit is counted from
 * when it is set.
 *
 * A limit is never early. It may be late by a quarter of the shortest limit of
 * any connection, or by eight milliseconds where that is more, but by a second at
 * the most; and by a turn for every 4096 connections. The reactor looks at the
 * limits now and then instead of keeping a timer for each.
 */
export interface Timeouts {
  /** No byte has been read or written for this long: `"idle"`. */
  readonly idleMs?: number;
  /**
   * No byte has come for this long, although the connection reads: `"read"`.
   * Time in which it is paused, or after its peer's end, does not count.
   */
  readonly readMs?: number;
  /** Unsent bytes have become no fewer for this long: `"write"`. */
  readonly writeMs?: number;
  /** It has been open for this long, whatever it does: `"lifetime"`. */
  readonly lifetimeMs?: number;
}

/** What bounds a connection, where one is made. */
export interface ConnectionOptions {
  /** When it is closed for taking too long; never when left out. */
  readonly timeouts?: Timeouts;
  /**
   * Unsent bytes at which it is no longer read from, and `write` returns
   * false; 64 KiB when left out. From 1.
   */
  readonly highWaterBytes?: number;
  /**
   * Unsent bytes at which it is read from again, and `drain` is called; a
   * quarter of the high mark when left out. From 0 to the high mark.
   */
  readonly lowWaterBytes?: number;
  /**
   * Bytes that it may read in a turn before others have theirs; 256 KiB when
   * left out. From 1. A turn goes beyond it by less than one read, 64 KiB.
   */
  readonly turnReadBytes?: number;
}

/** Timeouts, checked: infinity where there is none. */
export type TimeoutSet = Required<Timeouts>;

/** Options, checked, with what was left out. */
export interface ConnectionLimits {
  /** Infinity where there is none; nothing when there are none at all. */
  readonly timeouts: TimeoutSet | undefined;
  /** Where backpressure begins. */
  readonly highWaterBytes: number;
  /** Where backpressure ends. */
  readonly lowWaterBytes: number;
  /** The share of a turn. */
  readonly turnReadBytes: number;
}

/** What bounds a connection unless told otherwise. */
export const DEFAULT_LIMITS: ConnectionLimits = {
  timeouts: undefined,
  highWaterBytes: HIGH_WATER_BYTES,
  lowWaterBytes: LOW_WATER_BYTES,
  turnReadBytes: TURN_READ_BYTES,
};

/**
 * Returns options with what was left out.
 *
 * @throws {RangeError} when one is out of its range.
 * @throws {TypeError} when one is no number.
 */
export function limitsOf(options: ConnectionOptions): ConnectionLimits {
  const { timeouts, highWaterBytes, lowWaterBytes, turnReadBytes } = options;
  if (
    timeouts === undefined && highWaterBytes === undefined &&
    lowWaterBytes === undefined && turnReadBytes === undefined
  ) return DEFAULT_LIMITS;
  const high = highWaterBytes ?? HIGH_WATER_BYTES;
  const low = lowWaterBytes ?? Math.floor(high / 4);
  const share = turnReadBytes ?? TURN_READ_BYTES;
  requireNumber("highWaterBytes", high);
  requireNumber("lowWaterBytes", low);
  requireNumber("turnReadBytes", share);
  if (!(high >= 1)) throw outOfRange("highWaterBytes", high, "1 or more");
  if (!(low >= 0 && low <= high)) {
    throw outOfRange("lowWaterBytes", low, `from 0 to "${high}"`);
  }
  if (!(share >= 1)) throw outOfRange("turnReadBytes", share, "1 or more");
  return {
    timeouts: timeoutsOf(timeouts),
    highWaterBytes: high,
    lowWaterBytes: low,
    turnReadBytes: share,
  };
}

/**
 * Returns timeouts with infinity for those left out, or nothing when all are.
 *
 * @throws {RangeError} when one is out of its range.
 * @throws {TypeError} when one is no number.
 */
export function timeoutsOf(
  timeouts: Timeouts | undefined,
): TimeoutSet | undefined {
  if (timeouts === undefined) return undefined;
  if (typeof timeouts !== "object" || timeouts === null) {
    throw wrongType("timeouts", timeouts, "an object");
  }
  const idleMs = checked("idleMs", timeouts.idleMs);
  const readMs = checked("readMs", timeouts.readMs);
  const writeMs = checked("writeMs", timeouts.writeMs);
  const lifetimeMs = checked("lifetimeMs", timeouts.lifetimeMs);
  const shortestMs = Math.min(idleMs, readMs, writeMs, lifetimeMs);
  if (shortestMs === Infinity) return undefined;
  return { idleMs, readMs, writeMs, lifetimeMs };
}

function checked(name: string, ms: number = Infinity): number {
  requireNumber(name, ms);
  if (ms === Infinity || ms >= 1 && ms <= TIMEOUT_MS_MAX) return ms;
  throw outOfRange(name, ms, `from 1 to ${TIMEOUT_MS_MAX}, or Infinity`);
}

function outOfRange(name: string, value: number, range: string): RangeError {
  return new RangeError(`Cannot use ${name} "${value}": it must be ${range}`);
}
