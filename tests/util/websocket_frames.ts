/**
 * Frames as WebSocket's clients send them.
 *
 * @module
 */

import { HEAD_BYTES_MAX, writeHead } from "../../src/websocket/frames.ts";

const MASK_BIT = 0x80;
const KEY_BYTES = 4;
const KEY = [0x37, 0xfa, 0x21, 0x3d] as const;

/**
 * Returns a masked frame.
 *
 * @param first FIN, the reserved bits and the opcode.
 * @param payload Bytes, or a text that is sent as UTF-8.
 * @param key The four bytes to mask with.
 */
export function maskedFrame(
  first: number,
  payload: string | Uint8Array,
  key: readonly number[] = KEY,
): Uint8Array<ArrayBuffer> {
  const plain = typeof payload === "string"
    ? new TextEncoder().encode(payload)
    : payload;
  const frame = new Uint8Array(HEAD_BYTES_MAX + KEY_BYTES + plain.length);
  const head = writeHead(frame, 0, first, plain.length);
  frame[1]! |= MASK_BIT;
  frame.set(key, head);
  const start = head + KEY_BYTES;
  for (const [index, byte] of plain.entries()) {
    frame[start + index] = byte ^ key[index % KEY_BYTES]!;
  }
  return frame.slice(0, start + plain.length);
}

/** Returns a masked close frame. */
export function maskedClose(
  code: number,
  reason: string,
): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(reason);
  return maskedFrame(0x88, Uint8Array.of(code >>> 8, code, ...text));
}
