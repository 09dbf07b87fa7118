/**
 * Codes and reasons of close frames, and which may be sent: RFC 6455 section
 * 7.4.
 *
 * @module
 */

import { shown } from "../base/checks.ts";
import { encodeText } from "./text.ts";

/** The longest reason: a control frame has 125 bytes, the code two of them. */
export const REASON_BYTES_MAX = 123;

/** Codes that denio gives: RFC 6455 section 7.4.1. */
export const CloseCode = {
  /** The server ends. */
  GOING_AWAY: 1001,
  /** A close frame had no code. */
  NONE: 1005,
  /** There was no close frame. */
  ABNORMAL: 1006,
  /** A handler has failed. */
  INTERNAL: 1011,
  /** The peer reads too slowly. */
  TRY_LATER: 1013,
} as const;

/** Whether a close frame may have a code: RFC 6455 section 7.4. */
export function maySend(code: number): boolean {
  const isCommon = code >= 1000 && code <= 1014 &&
    !(code >= 1004 && code <= 1006);
  const isOwn = code >= 3000 && code <= 4999;
  return Number.isInteger(code) && (isCommon || isOwn);
}

/**
 * Throws unless a close frame may have a code.
 *
 * @throws {TypeError} when it is no number.
 * @throws {RangeError} when it may not.
 */
export function checkCode(code: number): void {
  if (typeof code !== "number") {
    throw new TypeError(
      `Cannot close with code "${shown(code)}": it must be a number`,
    );
  }
  if (maySend(code)) return;
  throw new RangeError(
    `Cannot close with code "${code}": it must be from 3000 to 4999, ` +
      "from 1000 to 1003, or from 1007 to 1014",
  );
}

/**
 * Throws unless a close frame may have a reason.
 *
 * @throws {TypeError} when it is no string.
 * @throws {RangeError} when it is too long.
 */
export function checkReason(reason: string): void {
  if (typeof reason !== "string") {
    throw new TypeError(
      `Cannot close with reason "${shown(reason)}": it must be a string`,
    );
  }
  const { byteLength } = encodeText(reason);
  if (byteLength <= REASON_BYTES_MAX) return;
  throw new RangeError(
    `Cannot close with a reason of "${byteLength}" bytes: it has at most ` +
      `${REASON_BYTES_MAX}`,
  );
}
