/**
 * What a client may ask of HTTP, and how long it may take. The defaults and the
 * ranges are in the table of the server's options.
 *
 * @module
 */

/** How many bytes a request's body may have, or a function that says it. */
export type BodyBytesMax = number | ((request: Request) => number);

/** Limits that a server may be given. */
export interface LimitOptions {
  /**
   * Bytes of a request's head, all lines; more is 431. 32 KiB when left out:
   * nginx's `large_client_header_buffers`, so cookies fit and floods do not.
   * From 0.
   */
  headBytesMax?: number;
  /**
   * Fields of a request's head; more is 431. 100 when left out, as in hyper;
   * from 0 to 100.
   */
  headerCountMax?: number;
  /**
   * Bytes of a request's target; more is 414. 8192 when left out: RFC 9112
   * section 3 recommends that 8000 be taken. From 1.
   */
  urlBytesMax?: number;
  /**
   * Bytes of a request's body; more is 413. 128 MiB when left out, as in Bun:
   * a `text()` of an endless body must end. From 0, or `Infinity`.
   *
   * A function is asked for each request that has a body, before the handler:
   * its `url`, `method` and `headers` can be looked at. What it throws is a
   * handler's error.
   */
  bodyBytesMax?: BodyBytesMax;
  /**
   * Milliseconds in which a request's head must come, from its first byte; then
   * it is 408. 20 seconds when left out: a head is one packet or a few, also on
   * a poor link. From 1 to 2147483647, or `Infinity`.
   */
  headMs?: number;
  /**
   * Bytes a second that a request's body must bring, over each ten seconds in
   * which the handler would have taken them; fewer is 408. 240 when left out,
   * as in Kestrel: slower than any link, and faster than a client that wants to
   * tie the server up. 0 lets a body take all the time.
   */
  bodyBytesPerSecondMin?: number;
  /**
   * Milliseconds that a connection is kept open without a request, also before
   * its first: browsers connect ahead. 75 seconds when left out, as in nginx:
   * longer than the 60 for which load balancers keep theirs, so that the
   * server does not close one that they are about to use. Advertised as
   * `Keep-Alive: timeout`. From 1 to 2147483647, or `Infinity`.
   */
  keepAliveMs?: number;
  /**
   * Requests on one connection; the last is answered with `Connection: close`.
   * 100,000 when left out: what a connection gathers in memory is freed at
   * times, and clients are shared out anew. From 1, or `Infinity`.
   */
  requestsMax?: number;
}

/** Limits, checked, with the defaults of those that were left out. */
export type HttpLimits = Readonly<Required<LimitOptions>>;

/** The longest time, as `setTimeout` has it: 24 days. */
export const MS_MAX = 0x7fff_ffff;

/**
 * Throws unless a number is in its range, or of a time and infinite.
 *
 * @throws {RangeError} when it is not.
 */
export function checkRange(
  name: string,
  value: number,
  min: number,
  max: number = Infinity,
): void {
  const isTime = max === MS_MAX;
  // First, since to compare a symbol throws.
  if (typeof value === "number" && value >= min) {
    if (value <= max || isTime && value === Infinity) return;
  }
  const range = max === Infinity ? `${min} or more` : `from ${min} to ${max}`;
  throw new RangeError(
    `Cannot use ${name} "${String(value)}": it must be ${range}` +
      (isTime ? ", or Infinity" : ""),
  );
}

/**
 * Throws unless a time is one.
 *
 * @throws {RangeError} when it is not from 1 to 2147483647, or infinite.
 */
export function checkMs(name: string, ms: number): void {
  checkRange(name, ms, 1, MS_MAX);
}
