/**
 * The limits of requests: sizes, counts and times. The table of the server's
 * options has the defaults and the ranges.
 *
 * @module
 */

import { wrongType } from "../base/checks.ts";

/** How many bytes a request's body may have, or a function that returns it. */
export type BodyBytesMax = number | ((request: Request) => number);

/** The limits of requests, all optional. */
export interface LimitOptions {
  /**
   * Bytes of a request's head, all lines; more is 431. 32 KiB when left out, as
   * nginx's `large_client_header_buffers`: cookies fit, floods do not. From 0.
   */
  headBytesMax?: number;
  /**
   * Fields of a request's head; more is 431. 100 when left out, as in hyper.
   * From 0 to 100.
   */
  headerCountMax?: number;
  /**
   * Bytes of a request's target; more is 414. 8192 when left out: RFC 9112
   * section 3 recommends to accept 8000. From 1.
   */
  urlBytesMax?: number;
  /**
   * Bytes of a request's body; more is 413. 128 MiB when left out, as in Bun:
   * a `text()` of an endless body must end. From 0, or `Infinity`.
   *
   * A function is called for each request with a body, before the handler, and
   * may read the request's `url`, `method` and `headers`. An error that it
   * throws counts as the handler's error.
   */
  bodyBytesMax?: BodyBytesMax;
  /**
   * Milliseconds for a request's head, from its first byte; later is 408. 20
   * seconds when left out: a head is a few packets, also on a slow link. From 1
   * to 2147483647, or `Infinity`.
   */
  headMs?: number;
  /**
   * Bytes a second that the client must send of a body, over each ten seconds
   * in which the server reads; fewer is 408. 240 when left out, as in Kestrel:
   * slower than any link, and faster than a client that wants to occupy the
   * server. 0 is no limit.
   */
  bodyBytesPerSecondMin?: number;
  /**
   * Milliseconds that a connection is kept open without a request, also before
   * its first: browsers connect ahead. 75 seconds when left out, as in nginx:
   * load balancers keep connections for 60, so the server does not close a
   * connection that they are about to use. Sent to clients as
   * `Keep-Alive: timeout`. From 1 to 2147483647, or `Infinity`.
   */
  keepAliveMs?: number;
  /**
   * Requests on one connection; the last is answered with `Connection: close`.
   * 100,000 when left out: a closed connection frees its memory, and its client
   * may reach another Worker. From 1, or `Infinity`.
   */
  requestsMax?: number;
}

/** Checked limits, with the defaults for those that were left out. */
export type HttpLimits = Readonly<Required<LimitOptions>>;

/** The longest time, as for `setTimeout`: 24 days. */
export const MS_MAX = 0x7fff_ffff;

/**
 * Throws unless a value is a number in its range. A time, whose name ends in
 * `Ms`, may also be `Infinity`.
 *
 * @throws {TypeError} when the value is no number.
 * @throws {RangeError} when the number is out of its range.
 */
export function checkRange(
  name: string,
  value: number,
  min: number,
  max: number = Infinity,
): void {
  const isTime = name.endsWith("Ms");
  if (typeof value !== "number") throw wrongType(name, value, "a number");
  if (value >= min && value <= max || isTime && value === Infinity) return;
  const range = max === Infinity ? `${min} or more` : `from ${min} to ${max}`;
  throw new RangeError(
    `Cannot use ${name} "${String(value)}": it must be ${range}` +
      (isTime ? ", or Infinity" : ""),
  );
}

/**
 * Throws unless a number is a time in milliseconds.
 *
 * @throws {RangeError} when it is not from 1 to 2147483647, or `Infinity`.
 */
export function checkMs(name: string, ms: number): void {
  checkRange(name, ms, 1, MS_MAX);
}
