/**
 * Messages to bytes and back. Native code has checked the bytes of texts.
 *
 * @module
 */

import { shown } from "../base/checks.ts";
import { decodeLatin1, writeAscii } from "../http/latin1.ts";
import { FIN, headBytes, TEXT, writeHead } from "./frames.ts";
import type { Sendable } from "./socket.ts";

export { ASCII_ROOM } from "../http/latin1.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A BOM is part of the message: RFC 6455 section 5.6. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** The most bytes of UTF-8 for one character of a string. */
export const BYTES_A_CHARACTER = 3;

/** Returns valid UTF-8 as text. */
export function decodeText(
  bytes: Bytes,
  start: number,
  end: number,
  isAscii: boolean,
): string {
  return isAscii
    ? decodeLatin1(bytes, start, end)
    : decoder.decode(bytes.subarray(start, end));
}

/**
 * Writes a text as UTF-8, and returns where the next byte goes. A half of a
 * surrogate pair becomes U+FFFD, as the WHATWG standard has it.
 *
 * @param room Whether there are three bytes for each character. Otherwise only
 * ASCII is written, and -1 returned for any other text.
 */
function writeText(
  bytes: Bytes,
  start: number,
  text: string,
  room: boolean,
): number {
  if (!room) return writeAscii(bytes, start, text);
  return start + encoder.encodeInto(text, bytes.subarray(start)).written;
}

/**
 * Writes a text as one frame, and returns where it ends. There must be room for
 * a head, and for the text as ASCII with {@linkcode ASCII_ROOM}.
 *
 * @param isWide Whether there are three bytes for each character. Otherwise only
 * ASCII is written, and -1 returned for any other text.
 */
export function writeTextFrame(
  bytes: Bytes,
  start: number,
  text: string,
  isWide: boolean,
): number {
  // As if it were ASCII, which most texts are.
  const guess = start + headBytes(text.length);
  const end = writeText(bytes, guess, text, isWide);
  if (end < 0) return -1;
  const size = end - guess;
  const at = start + headBytes(size);
  if (at !== guess) bytes.copyWithin(at, guess, end);
  writeHead(bytes, start, TEXT | FIN, size);
  return at + size;
}

/** The text that a handler gets right now, and its bytes. */
export const current: {
  text: string | undefined;
  bytes: Bytes;
  start: number;
  end: number;
} = { text: undefined, bytes: new Uint8Array(0), start: 0, end: 0 };

/** Returns a text as UTF-8. */
export function encodeText(text: string): Bytes {
  return encoder.encode(text);
}

/**
 * Returns the bytes of a message: a text as UTF-8.
 *
 * @throws {TypeError} when it is neither text nor bytes.
 */
export function bytesOf(message: Sendable): Bytes {
  return typeof message === "string" ? encodeText(message) : viewOf(message);
}

/**
 * Returns a message as text, or as an array of bytes.
 *
 * @throws {TypeError} when it is neither.
 */
export function textOrBytes(message: Sendable): string | Bytes {
  return typeof message === "string" ? message : viewOf(message);
}

/**
 * Returns bytes as an array of bytes.
 *
 * @throws {TypeError} when they are none.
 */
export function viewOf(message: unknown): Bytes {
  if (message instanceof Uint8Array) return message as Bytes;
  if (message instanceof ArrayBuffer) return new Uint8Array(message);
  if (ArrayBuffer.isView(message)) {
    const { buffer, byteOffset, byteLength } = message;
    return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
  }
  throw new TypeError(
    `Cannot send "${shown(message)}": it must be a string or bytes`,
  );
}
