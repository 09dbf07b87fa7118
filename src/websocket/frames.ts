/**
 * Frames of RFC 6455: native code parses and unmasks what was read, and fills a
 * table of rows. This file names the words of both sides, and writes the heads
 * of the frames that a server sends.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { nativeWebSocket } from "../native/library.ts";

/** FIN, the highest bit of a frame's first byte: the message ends in it. */
export const FIN = 0x80;
/** RSV1: the message is compressed (RFC 7692 section 6). */
export const RSV1 = 0x40;

/** The opcode of a frame that continues a message. */
export const CONTINUATION = 0;
/** The opcode of a text, and the kind of its rows. */
export const TEXT = 1;
/** The opcode of a binary message, and the kind of its rows. */
export const BINARY = 2;
/** The opcode of a close frame, and the kind of its row. */
export const CLOSE = 8;
/** The opcode of a ping, and the kind of its row. */
export const PING = 9;
/** The opcode of a pong, and the kind of its row. */
export const PONG = 10;
/** The kind of the row that says why the connection fails. */
export const FAILURE = 15;

/** The bits of a row's first word that are its kind. */
export const KIND_MASK = 15;
/** The bit of a row that is the first of its message. */
export const BEGIN = 16;
/** The bit of a row that is the last of its message. */
export const END = 32;
/** The bit of all rows of a compressed message. */
export const COMPRESSED = 64;
/** The bit of a text's row that has only bytes below 128. */
export const ASCII = 128;

/** Words of a row: the kind with its bits, START, END and CODE. */
export const ROW_WORDS = 4;
/**
 * The word of a row where its bytes start, counted from the buffer's start. Of
 * a failure, its number: see {@linkcode failureReason}.
 */
export const ROW_START = 1;
/** The word of a row where its bytes end. */
export const ROW_END = 2;
/**
 * The word of a row with a code: of a close frame, the peer's, or 1005 when it
 * has none; of a failure, the code to close with.
 */
export const ROW_CODE = 3;

/** Words of a state. */
export const STATE_WORDS = 10;
/** The word of a state with {@linkcode MASKED} and {@linkcode COMPRESSION}. */
export const STATE_SETTINGS = 0;
/** The word of a state with the most bytes of a message, as they come. */
export const STATE_MESSAGE_MAX = 1;
/** The word of a state with the most frames of a message. */
export const STATE_FRAGMENTS_MAX = 2;
/**
 * The first of the words of a state that are all 0 between two messages. It is
 * not 0 while a message has begun.
 */
export const STATE_PROGRESS = 3;
/** How many words from {@linkcode STATE_PROGRESS} on a message needs. */
export const PROGRESS_WORDS = 6;
/** The word of a state that says how many bytes a call has taken. */
export const STATE_CONSUMED = 9;

/** The setting that every frame must be masked, as clients do. */
export const MASKED = 1;
/** The setting that messages may be compressed. */
export const COMPRESSION = 2;

/** The longest payload of a control frame. */
export const CONTROL_BYTES_MAX = 125;
/** The longest head of a frame that is not masked. */
export const HEAD_BYTES_MAX = 10;

const LENGTH_16 = 126;
const LENGTH_64 = 127;
const HEAD_SHORT = 2;
const HEAD_16 = 4;

/** Reasons by the numbers of `native/websocket/src/frames.rs`. */
const REASONS = [
  "",
  "Reserved bits are set",
  "Unknown opcode",
  "Fragmented control frame",
  "Control frame too long",
  "Frame not masked",
  "Frame masked",
  "Malformed length",
  "No message to continue",
  "Message inside another",
  "Close frame of one byte",
  "Close code not allowed",
  "Text is not UTF-8",
  "Close reason is not UTF-8",
  "Too many fragments",
  "Message too long",
  // Native code gives no reason for this one.
  "Not compressed as agreed, or not UTF-8",
] as const;

/** The number of the reason for a message beyond the bound. */
export const TOO_LONG = 15;
/** The number of the reason for a message that cannot be decompressed. */
export const CORRUPT = 16;

/** Returns the reason of a failure by its number, for the close frame. */
export function failureReason(number: number): string {
  const reason = REASONS[number];
  assert(reason !== undefined, "native code gives reasons by known numbers");
  return reason;
}

/**
 * Parses the frames in `bytes` from `start` to before `end`, and unmasks them
 * in place. Native code checks all that RFC 6455 asks of frames, and the UTF-8
 * of texts that are not compressed.
 *
 * Each whole frame of a message gets a row, and so does the part that is there
 * of a frame that is not whole. `state[STATE_CONSUMED]` says how many bytes were
 * taken: all, unless the table is full, or the bytes end inside a head or a
 * control frame. The caller hands in the others again, in front of the next
 * bytes. A close frame or a failure takes all, and is the last row.
 *
 * @param state Words by the `STATE_` constants, kept by the caller.
 * @param table Rows of {@linkcode ROW_WORDS} words; at least one.
 * @returns The number of rows that were written.
 */
export function parseFrames(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
  state: Uint32Array<ArrayBuffer>,
  table: Uint32Array<ArrayBuffer>,
): number {
  assert(
    start <= end && end <= bytes.length && state.length >= STATE_WORDS,
    "a parse stays in its buffers",
  );
  const rows = nativeWebSocket().denio_websocket_parse(
    bytes,
    start,
    end - start,
    state,
    table,
    table.length >>> 2,
  );
  assert(rows >= 0, "the buffers of a parse do not overlap");
  return rows;
}

/** Returns the bytes of the head of an unmasked frame. */
export function headBytes(length: number): number {
  if (length < LENGTH_16) return HEAD_SHORT;
  return length <= 0xffff ? HEAD_16 : HEAD_BYTES_MAX;
}

/**
 * Writes the head of an unmasked frame at `at` of `bytes`, where there must be
 * room for {@linkcode headBytes}.
 *
 * @param first FIN, RSV1 and the opcode.
 * @param length The bytes of the payload.
 * @returns Where the payload begins.
 */
export function writeHead(
  bytes: Uint8Array,
  at: number,
  first: number,
  length: number,
): number {
  bytes[at] = first;
  if (length < LENGTH_16) {
    bytes[at + 1] = length;
    return at + HEAD_SHORT;
  }
  if (length <= 0xffff) {
    bytes[at + 1] = LENGTH_16;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length;
    return at + HEAD_16;
  }
  bytes[at + 1] = LENGTH_64;
  writeWord(bytes, at + 2, length / 0x1_0000_0000);
  writeWord(bytes, at + 6, length);
  return at + HEAD_BYTES_MAX;
}

/** Writes the lowest 32 bits of a number, the highest byte first. */
function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}
