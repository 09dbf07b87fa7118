/**
 * What of a request is refused, and with which status.
 *
 * @module
 */

import type { RequestHead } from "./head.ts";
import type { HttpLimits } from "../http_limits.ts";

/** The status that says what of a head is too much; 0 when nothing is. */
export function excessOf(head: RequestHead, limits: HttpLimits): number {
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
