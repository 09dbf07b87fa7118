/**
 * Messages of permessage-deflate (RFC 7692), which native code compresses one by
 * one. What a message may refer to lies in arrays of JavaScript: its
 * connection's history. So there is nothing to close.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { WOULD_BLOCK } from "../native/errors.ts";
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
/**
 * Calls for a message before others come in between. Almost all messages need
 * fewer: each call but the last takes 8 KiB of the message, or fills the array,
 * which is then twice as long.
 */
const CALLS_AT_ONCE = 8;
/** About what a decompressor takes, with its window. */
const INFLATER_BYTES = 49_152;
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

/** A message, or the code to close with. */
export type Outcome = string | Bytes | typeof CORRUPT | typeof TOO_LARGE;

/**
 * Decompresses a message: all payload from `start` to before `end`. A longer
 * message than `bytesMax` is stopped there, before it takes memory.
 *
 * @param history What the message may refer to; the message is added to it.
 * @returns The message, or the code to close with: 1007 for bytes that are no
 * whole compressed message, or no UTF-8; 1009 for too many bytes. A message
 * that takes long is returned as an {@linkcode Inflation}, which goes on later.
 */
export function inflateMessage(
  bytes: Bytes,
  start: number,
  end: number,
  options: InflateOptions,
  history: History | undefined,
): Outcome | Inflation {
  assert(start <= end && end <= bytes.length, "a message is in its array");
  const inflation = new Inflation(bytes, start, end, options, history);
  return inflation.goOn(CALLS_AT_ONCE) ?? inflation;
}

/** A message that is being decompressed, by calls of a few milliseconds each. */
export class Inflation {
  #bytes: Bytes;
  #start: number;
  #end: number;
  readonly #most: number;
  readonly #isText: boolean;
  readonly #history: History | undefined;
  /** What was decompressed so far; the thread's array at first. */
  #out: Bytes;
  #flags: number;
  /** The number of the decompressor that was set aside. */
  #aside = -1;

  constructor(
    bytes: Bytes,
    start: number,
    end: number,
    { bytesMax, isText }: InflateOptions,
    history: History | undefined,
  ) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    // One byte more shows that the message is too long.
    this.#most = Math.min(bytesMax + 1, ARRAY_BYTES_MAX);
    this.#isText = isText;
    this.#history = history;
    this.#flags = isText ? FIRST | TEXT : FIRST;
    this.#out = inflated;
    inflated = NONE;
  }

  /** Memory, in bytes, with the decompressor. */
  get memoryBytes(): number {
    return this.#bytes.byteLength + this.#out.byteLength + INFLATER_BYTES;
  }

  /** Copies the bytes of the message, which will not stay valid. */
  own(): void {
    this.#bytes = this.#bytes.slice(this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  /**
   * Goes on for some calls.
   *
   * @returns What has become of the message; `undefined` when it is not whole.
   */
  goOn(calls: number): Outcome | undefined {
    this.#resume();
    for (let left = calls; left > 0; left--) {
      const outcome = this.#call();
      if (outcome !== undefined) return outcome;
    }
    this.#aside = nativeDeflate().denio_websocket_inflate_aside();
    assert(this.#aside >= 0, "a message has a decompressor");
    return undefined;
  }

  /** Forgets what was decompressed: the next call begins anew. */
  restart(): void {
    this.end();
    this.#flags |= FIRST;
  }

  /** Gives up a message that is not whole. */
  end(): void {
    this.#resume();
    this.#out = NONE;
  }

  #resume(): void {
    if (this.#aside < 0) return;
    const code = nativeDeflate().denio_websocket_inflate_resume(this.#aside);
    assert(code === 0, "a decompressor that was set aside is there");
    this.#aside = -1;
  }

  #call(): Outcome | undefined {
    if (this.#out.length === 0) this.#out = new Uint8Array(SCRATCH_BYTES);
    const out = this.#out;
    const history = this.#history;
    const capacity = Math.min(out.length, this.#most);
    const reached = nativeDeflate().denio_websocket_inflate(
      this.#bytes,
      this.#start,
      this.#end - this.#start,
      history?.bytes ?? NONE,
      history?.length ?? 0,
      out,
      capacity,
      this.#flags,
    );
    this.#flags &= ~FIRST;
    if (reached === WOULD_BLOCK) return undefined;
    if (reached < 0) {
      assert(reached === -CORRUPT, "the buffers of a message do not overlap");
      return this.#ended(CORRUPT);
    }
    if (reached < capacity) return this.#ended(this.#whole(reached));
    if (capacity === this.#most) return this.#ended(TOO_LARGE);
    this.#out = grown(out, this.#most);
    return undefined;
  }

  #whole(length: number): string | Bytes {
    const out = this.#out;
    this.#history?.append(out, 0, length);
    // Native code has checked that the text is UTF-8.
    if (this.#isText) return decodeText(out, 0, length, false);
    // An array that is not used again, and not twice the message's size.
    const isTight = out.length > SCRATCH_BYTES_MAX && length > out.length / 2;
    return isTight ? out.subarray(0, length) : out.slice(0, length);
  }

  /** Gives the array back, unless it is large. */
  #ended(outcome: Outcome): Outcome {
    if (this.#out.length <= SCRATCH_BYTES_MAX) inflated = this.#out;
    return outcome;
  }
}

/** Returns an array twice as long, up to `most`, with the same bytes first. */
function grown(bytes: Bytes, most: number): Bytes {
  const larger = new Uint8Array(Math.min(2 * bytes.length, most));
  larger.set(bytes);
  return larger;
}
