/**
 * Messages of permessage-deflate (RFC 7692), which native code compresses one by
 * one. What a message may refer to lies in arrays of JavaScript: its
 * connection's history. So there is nothing to close.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { nativeDeflate } from "../native/library.ts";
import { decodeText } from "./text.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How a message is decompressed. */
export interface InflateOptions {
  /** The most bytes of the message. */
  readonly bytesMax: number;
  /** Whether the message is text: it must be UTF-8. */
  readonly isText: boolean;
}

/** How a message is compressed. */
export interface DeflateOptions {
  /** The message refers back by less than `2 ** windowBits` bytes. */
  readonly windowBits: number;
  /** From 1, the fastest, to 9. */
  readonly level: number;
}

/** The close code for a message that cannot be decompressed, or is no text. */
const CORRUPT = 1007;
/** The close code for a message that is too long. */
const TOO_LARGE = 1009;

/** The flags of `denio_websocket_inflate`. */
const FIRST = 1;
const TEXT = 2;

/** Bytes that a message may grow by, beside an eighth: as in `deflate.rs`. */
const GROWTH_BYTES = 64;
const GROWTH_SHIFT = 3;
/** The arrays that messages are written into at first, and the most to keep. */
const SCRATCH_BYTES = 16 * 1024;
const SCRATCH_BYTES_MAX = 256 * 1024;
/** A longer array would not fit the native call's result. */
const ARRAY_BYTES_MAX = 0x7fff_ffff;
const HISTORY_BYTES_MIN = 512;
/** About what V8 takes for an array and the object that has it. */
const ARRAY_BYTES = 200;

const NONE = new Uint8Array(0);

/** What the last message was decompressed into. */
let inflated = NONE;
/** What the last message was compressed into. */
let deflated = NONE;

/** The end of what was sent, or received, before: at most one window of it. */
export class History {
  /** The bytes, from the array's beginning on. */
  bytes: Bytes = NONE;
  /** How many they are. */
  length = 0;
  readonly #bytesMax: number;

  /** @param windowBits The window has `2 ** windowBits` bytes. */
  constructor(windowBits: number) {
    this.#bytesMax = 1 << windowBits;
  }

  /** Memory, in bytes. */
  get memoryBytes(): number {
    return ARRAY_BYTES + this.bytes.length;
  }

  /** Adds the bytes from `start` to before `end`, and drops the oldest. */
  append(bytes: Bytes, start: number, end: number): void {
    const from = Math.max(start, end - this.#bytesMax);
    const added = end - from;
    const kept = Math.min(this.length, this.#bytesMax - added);
    const source = this.bytes;
    if (kept + added > source.length) {
      this.bytes = new Uint8Array(this.#capacityFor(kept + added));
      this.bytes.set(source.subarray(this.length - kept, this.length));
    } else if (kept < this.length) {
      source.copyWithin(0, this.length - kept, this.length);
    }
    this.bytes.set(bytes.subarray(from, end), kept);
    this.length = kept + added;
  }

  /** Forgets all bytes, and frees their memory. */
  clear(): void {
    this.bytes = NONE;
    this.length = 0;
  }

  #capacityFor(bytes: number): number {
    let capacity = Math.min(HISTORY_BYTES_MIN, this.#bytesMax);
    while (capacity < bytes) capacity *= 2;
    return capacity;
  }
}

/**
 * Compresses the message from `start` to before `end`. It gets larger by no
 * more than an eighth and some bytes.
 *
 * @param history What the message may refer to.
 * @returns A view that is valid until the next message is compressed.
 */
export function deflateMessage(
  bytes: Bytes,
  start: number,
  end: number,
  { windowBits, level }: DeflateOptions,
  history: History | undefined,
): Bytes {
  assert(start <= end && end <= bytes.length, "a message is in its array");
  const length = end - start;
  const capacity = length + (length >>> GROWTH_SHIFT) + GROWTH_BYTES;
  const out = roomFor(capacity);
  const taken = nativeDeflate().denio_websocket_deflate(
    bytes,
    start,
    length,
    history?.bytes ?? NONE,
    history?.length ?? 0,
    out,
    capacity,
    windowBits,
    level,
  );
  assert(taken > 0, "a message fits, compressed, into what it may grow by");
  return out.subarray(0, taken);
}

/** Returns an array to compress into; keeps it unless it is large. */
function roomFor(bytes: number): Bytes {
  if (bytes <= deflated.length) return deflated;
  const larger = new Uint8Array(Math.max(bytes, SCRATCH_BYTES));
  if (bytes <= SCRATCH_BYTES_MAX) deflated = larger;
  return larger;
}

/**
 * Decompresses a message: all payload from `start` to before `end`. A longer
 * message than `bytesMax` is stopped there, before it takes memory.
 *
 * @param history What the message may refer to; the message is added to it.
 * @returns The message, or the code to close with: 1007 for bytes that are no
 * whole compressed message, or no UTF-8; 1009 for too many bytes.
 */
export function inflateMessage(
  bytes: Bytes,
  start: number,
  end: number,
  { bytesMax, isText }: InflateOptions,
  history: History | undefined,
): string | Bytes | typeof CORRUPT | typeof TOO_LARGE {
  assert(start <= end && end <= bytes.length, "a message is in its array");
  const native = nativeDeflate();
  // One byte more shows that the message is too long.
  const most = Math.min(bytesMax + 1, ARRAY_BYTES_MAX);
  if (inflated.length === 0) inflated = new Uint8Array(SCRATCH_BYTES);
  let flags = isText ? FIRST | TEXT : FIRST;
  for (let written = 0;;) {
    const capacity = Math.min(inflated.length, most);
    const reached = native.denio_websocket_inflate(
      bytes,
      start,
      end - start,
      history?.bytes ?? NONE,
      history?.length ?? 0,
      inflated,
      written,
      capacity,
      flags,
    );
    if (reached < 0) {
      assert(reached === -CORRUPT, "the buffers of a message do not overlap");
      return refuse(CORRUPT);
    }
    if (reached < capacity) {
      history?.append(inflated, 0, reached);
      return takeInflated(reached, isText);
    }
    if (capacity === most) return refuse(TOO_LARGE);
    inflated = grown(inflated, most);
    written = reached;
    flags &= ~FIRST;
  }
}

/** Returns the message in `inflated`. */
function takeInflated(length: number, isText: boolean): string | Bytes {
  const source = inflated;
  dropLarge();
  // Native code has checked that the text is UTF-8.
  return isText
    ? decodeText(source, 0, length, false)
    : source.slice(0, length);
}

function refuse<Code>(code: Code): Code {
  dropLarge();
  return code;
}

function dropLarge(): void {
  if (inflated.length > SCRATCH_BYTES_MAX) inflated = NONE;
}

/** Returns an array twice as long, up to `most`, with the same bytes first. */
function grown(bytes: Bytes, most: number): Bytes {
  const larger = new Uint8Array(Math.min(2 * bytes.length, most));
  larger.set(bytes);
  return larger;
}
