/**
 * What of a request is refused, and with which status.
 *
 * @module
 */

import type { IncomingBody } from "./body.ts";
import { HeadFlag, type RequestHead } from "./head.ts";
import { decodeLatin1 } from "./latin1.ts";
import type { Limits } from "./limits.ts";
import type { ResponseParts } from "./response.ts";

/**
 * An unread body of up to this size is read to its end so that the connection
 * can be used again; for more, a new connection is cheaper.
 */
const DISCARD_BYTES_MAX = 262_144;
const CR = 13;
const LF = 10;

/** The status that says what of a head is too much; 0 when nothing is. */
export function excessOf(head: RequestHead, limits: Limits): number {
  const { headBytesMax, headerCountMax, urlBytesMax } = limits;
  const { byteLength } = head;
  if (byteLength > urlBytesMax && head.targetByteLength > urlBytesMax) {
    return 414;
  }
  const isTooMuch = byteLength > headBytesMax ||
    head.fieldCount > headerCountMax;
  return isTooMuch ? 431 : 0;
}

/**
 * Whether fetch gives a request of this method no body: what comes as one is
 * thrown away, as `Deno.serve` does.
 */
export function isWithoutBody({ method }: RequestHead): boolean {
  return method === "GET" || method === "HEAD";
}

/** What the answer to a head must know of it, as far as its bytes tell. */
export function methodFlag(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): number {
  let at = start;
  while (at < end && (bytes[at] === CR || bytes[at] === LF)) at++;
  const isHead = decodeLatin1(bytes, at, Math.min(end, at + 5)) === "HEAD ";
  return isHead ? HeadFlag.HEAD_METHOD : 0;
}

/** Returns what a refusal is made of, but for its text. */
export function refusal(status: number): ResponseParts {
  return {
    status,
    statusText: "",
    headers: undefined,
    contentType: "text/plain;charset=UTF-8",
    body: null,
    length: undefined,
  };
}

/** Whether what is still to come of a body is more than is read for nothing. */
export function isTooMuch(
  { remaining, received, isWanted }: IncomingBody,
): boolean {
  if (isWanted) return false;
  return remaining === Infinity
    ? received > DISCARD_BYTES_MAX
    : remaining > DISCARD_BYTES_MAX;
}
