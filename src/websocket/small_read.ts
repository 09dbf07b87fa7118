/**
 * The commonest frames: whole messages of at most 125 bytes. Unmasking one here
 * costs less than a native call with a table of rows. Every other frame goes to
 * native code.
 *
 * @module
 */

import { decodeLatin1 } from "../http/latin1.ts";
import { BINARY, FIN, TEXT } from "./frames.ts";
import type { Message } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The two bytes of a head without a length of its own, and the mask. */
const HEAD_BYTES = 6;
const MASK_BYTES = 4;
/** The longest payload with such a head. */
export const SMALL_PAYLOAD_MAX = 125;
const MASKED = 0x80;
/** The highest bit of each byte: set where a text is not ASCII. */
const NOT_ASCII = 0x8080_8080;

/** The read buffer; there is seldom another. */
let source = new DataView(new ArrayBuffer(0));
/** The payload of the last small message. */
const payload: Bytes = new Uint8Array(SMALL_PAYLOAD_MAX);
const payloadView = new DataView(payload.buffer);
/** The same as views of each length: a view costs as much as all else. */
const views: (Bytes | undefined)[] = [];

/**
 * Returns the message of a small frame that is whole, and a message by itself;
 * `undefined` for any other. The bytes stay as they are.
 *
 * @param isLent Whether a binary message need not outlive the next one.
 */
export function smallMessage(
  bytes: Bytes,
  start: number,
  end: number,
  isLent: boolean,
): Message | undefined {
  const length = smallLength(bytes, start);
  if (length < 0 || start + HEAD_BYTES + length > end) return undefined;
  if (source.buffer !== bytes.buffer) source = new DataView(bytes.buffer);
  const bits = unmask(bytes.byteOffset + start + HEAD_BYTES, length);
  if (bytes[start] === (FIN | BINARY)) {
    const view = smallPayload(length);
    return isLent ? view : view.slice();
  }
  // Native code checks what is not ASCII.
  return bits & NOT_ASCII ? undefined : decodeLatin1(payload, 0, length);
}

/** Returns the payload of the last small message, valid until the next one. */
export function smallPayload(length: number): Bytes {
  return views[length] ??= payload.subarray(0, length);
}

/** Returns the bytes of a frame that {@linkcode smallMessage} has taken. */
export function smallFrameBytes(bytes: Bytes, start: number): number {
  return HEAD_BYTES + smallLength(bytes, start);
}

/** Returns the length of a small frame's payload; -1 for any other. */
function smallLength(bytes: Bytes, start: number): number {
  const first = bytes[start];
  const length = bytes[start + 1]! - MASKED;
  const isWhole = first === (FIN | BINARY) || first === (FIN | TEXT);
  return isWhole && length <= SMALL_PAYLOAD_MAX ? length : -1;
}

/**
 * Unmasks a payload: RFC 6455 section 5.3.
 *
 * @param at Where it begins, behind its mask.
 * @returns A number that has the bit 0x80 in one of its bytes when a byte has it.
 */
function unmask(at: number, length: number): number {
  const mask = source.getInt32(at - MASK_BYTES, true);
  const rest = length & -MASK_BYTES;
  let bits = 0;
  for (let index = 0; index < rest; index += MASK_BYTES) {
    const word = source.getInt32(at + index, true) ^ mask;
    payloadView.setInt32(index, word, true);
    bits |= word;
  }
  for (let index = rest; index < length; index++) {
    const key = mask >>> 8 * (index - rest);
    const byte = (source.getUint8(at + index) ^ key) & 0xff;
    payloadView.setUint8(index, byte);
    bits |= byte;
  }
  return bits;
}
