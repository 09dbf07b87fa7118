/**
 * What of a request is refused, and with which status.
 *
 * @module
 */

import type { IncomingBody } from "../body.ts";
import type { RequestHead } from "./head.ts";
import type { Limits } from "../limits.ts";
import { type ResponseParts, TEXT_TYPE } from "../response.ts";

/**
 * A body that was looked at and is not wanted any more is read to its end up to
 * this size, so that the connection can be used again; for more, a new
 * connection is cheaper.
 */
const DISCARD_BYTES_MAX = 262_144;

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
 * Returns the status that is said. RFC 6585 section 5 has 431 for a head that
 * is too large and RFC 9110 section 5.4 any 4xx, of which Deno takes 400.
 *
 * @param isStrict Whether the server is stricter than `Deno.serve`.
 */
export function saidStatus(status: number, isStrict: boolean): number {
  return status === 431 && !isStrict ? 400 : status;
}

/** Returns what a refusal is made of, but for its text. */
export function refusal(status: number): ResponseParts {
  return {
    status,
    statusText: "",
    headers: undefined,
    contentType: TEXT_TYPE,
    body: null,
    length: undefined,
  };
}

/**
 * Whether a body comes at which its handler has not looked. As with
 * `Deno.serve`, the connection closes then, so that a client that gets its
 * answer early can stop sending; RFC 9112 section 9.3 leaves the choice.
 */
export function isIgnored(
  { isComplete, isDiscarded, isStreamed, isUsed }: IncomingBody,
): boolean {
  return !isComplete && !isDiscarded && !isStreamed && !isUsed;
}

/** Whether more is still to come of a body than is read for nothing. */
export function isTooMuch(body: IncomingBody): boolean {
  return !body.isHeld && isMuch(body);
}

/** The same, whoever reads it. */
export function isMuch({ remaining, received }: IncomingBody): boolean {
  return remaining === Infinity
    ? received > DISCARD_BYTES_MAX
    : remaining > DISCARD_BYTES_MAX;
}
