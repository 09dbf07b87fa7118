/**
 * What bounds one connection: water marks, its share of a turn, timeouts.
 *
 * A listener or a `connect` checks its limits once. All connections of a
 * listener share one object.
 *
 * @module
 */

import { requireNumber, wrongType } from "../base/checks.ts";
import type { Timeouts } from "../stream/timeouts.ts";

/** Unsent bytes at which reading stops: backpressure begins. */
export const HIGH_WATER_BYTES = 65_536;
/** Unsent bytes at which reading starts again: backpressure ends. */
export const LOW_WATER_BYTES = 16_384;
/** Bytes that one connection may read in a turn before others get theirs. */
export const TURN_READ_BYTES = 262_144;
/** The longest timeout: the sweep's clock has 31 bits, as `setTimeout` has. */
export const TIMEOUT_MS_MAX = 0x7fff_ffff;

/**
 * Memory that the connections of a thread's shared reactor may hold: a machine
 * that runs servers has more.
 */
export const SHARED_MEMORY_BYTES_MAX = 1_073_741_824;

/** The limits of a connection, for `listen` and `connect`. */
export interface ConnectionOptions {
  /** Time limits; none when left out. */
  readonly timeouts?: Timeouts;
  /**
   * Unsent bytes at which reading stops and `write` returns false. From 1; 64
   * KiB when left out.
   */
  readonly highWaterBytes?: number;
  /**
   * Unsent bytes at which reading starts again and `drain` is called. From 0 to
   * `highWaterBytes`; a quarter of that when left out.
   */
  readonly lowWaterBytes?: number;
  /**
   * Bytes that the connection may read in a turn before others get theirs. From
   * 1; 256 KiB when left out. The last read may exceed this by less than 64
   * KiB.
   */
  readonly turnReadBytes?: number;
}

/** Timeouts, checked: `Infinity` for those left out. */
export type TimeoutSet = Required<Timeouts>;

/** Options, checked, with defaults for those left out. */
export interface ConnectionLimits {
  /** `undefined` when all are without limit. */
  readonly timeouts: TimeoutSet | undefined;
  /** Where backpressure begins. */
  readonly highWaterBytes: number;
  /** Where backpressure ends. */
  readonly lowWaterBytes: number;
  /** The share of a turn. */
  readonly turnReadBytes: number;
}

/** The limits of a connection without options. */
export const DEFAULT_LIMITS: ConnectionLimits = {
  timeouts: undefined,
  highWaterBytes: HIGH_WATER_BYTES,
  lowWaterBytes: LOW_WATER_BYTES,
  turnReadBytes: TURN_READ_BYTES,
};

/**
 * Checks options, and returns them with defaults for those left out.
 *
 * @throws {RangeError} when an option is out of its range.
 * @throws {TypeError} when an option is no number.
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
 * Checks timeouts, and returns them with `Infinity` for those left out, or
 * `undefined` when all are without limit.
 *
 * @throws {RangeError} when a timeout is out of its range.
 * @throws {TypeError} when a timeout is no number.
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
