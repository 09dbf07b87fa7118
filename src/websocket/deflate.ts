/**
 * Messages of permessage-deflate (RFC 7692). Native code compresses them one by
 * one. What a message may refer to, its connection's history, lies in arrays of
 * JavaScript, so nothing has to be closed.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { nativeDeflate } from "../native/library.ts";
import type { CompressionSettings, DeflateAgreement } from "./extension.ts";

/** The close code for a message that cannot be decompressed, or is no text. */
export const CORRUPT = 1007;
/** The close code for a message that is too long when decompressed. */
export const TOO_LARGE = 1009;

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
/** About what V8 takes for a codec, and for an array of a history. */
const CODEC_BYTES = 64;
const ARRAY_BYTES = 200;

const NONE = new Uint8Array(0);
// Native code has checked the text: this decoder is five times as fast as one
// that checks. It keeps a byte order mark, which is a part of the message.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What the last message was decompressed into; shared by all codecs. */
let inflated = NONE;
/** What the last message was compressed into; shared by all codecs. */
let deflated = NONE;

/** The end of what was sent, or received, before: at most one window of it. */
class History {
  bytes = NONE;
  length = 0;
  readonly #bytesMax: number;

  constructor(windowBits: number) {
    this.#bytesMax = 1 << windowBits;
  }

  /** Adds the bytes from `start` to before `end`, and drops the oldest. */
  append(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
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

  #capacityFor(bytes: number): number {
    let capacity = Math.min(HISTORY_BYTES_MIN, this.#bytesMax);
    while (capacity < bytes) capacity *= 2;
    return capacity;
  }
}

/** Compresses what a socket sends, and decompresses what it receives. */
export class Codec {
  readonly #windowBits: number;
  readonly #level: number;
  readonly #sent: History | undefined;
  readonly #received: History | undefined;

  /** Use {@linkcode codecFor}. */
  constructor(agreement: DeflateAgreement, level: number) {
    this.#windowBits = agreement.serverWindowBits;
    this.#level = level;
    this.#sent = agreement.serverContextTakeover
      ? new History(agreement.serverWindowBits)
      : undefined;
    this.#received = agreement.clientContextTakeover
      ? new History(agreement.clientWindowBits)
      : undefined;
  }

  /**
   * Whether what is sent refers to nothing before. Then sockets with this codec
   * can all be sent the same compressed message.
   */
  get isShared(): boolean {
    return this.#sent === undefined;
  }

  /**
   * Returns how much the codec holds for its socket; 0 for a shared one. It
   * changes with each message until the windows are full.
   */
  get memoryBytes(): number {
    const sent = this.#sent, received = this.#received;
    if (sent === undefined && received === undefined) return 0;
    return CODEC_BYTES +
      (sent === undefined ? 0 : ARRAY_BYTES + sent.bytes.length) +
      (received === undefined ? 0 : ARRAY_BYTES + received.bytes.length);
  }

  /**
   * Decompresses a binary message: all payload from `start` to before `end`.
   *
   * @param bytesMax A longer message is stopped there, before it takes memory.
   * @returns An array of its own, or the code to close with:
   * {@linkcode CORRUPT} or {@linkcode TOO_LARGE}.
   */
  inflateBytes(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    bytesMax: number,
  ): Uint8Array<ArrayBuffer> | number {
    const length = this.#inflate(bytes, start, end, bytesMax, 0);
    const message = length < 0 ? -length : inflated.slice(0, length);
    dropLarge();
    return message;
  }

  /** Decompresses a text as {@linkcode inflateBytes} does, and checks UTF-8. */
  inflateText(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    bytesMax: number,
  ): string | number {
    const length = this.#inflate(bytes, start, end, bytesMax, TEXT);
    const message = length < 0
      ? -length
      : decoder.decode(inflated.subarray(0, length));
    dropLarge();
    return message;
  }

  /**
   * Compresses the message from `start` to before `end`.
   *
   * @returns A view that is valid until the next message is compressed;
   * `undefined` when the message would get no smaller: it is sent as it is.
   */
  deflate(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): Uint8Array<ArrayBuffer> | undefined {
    assert(start <= end && end <= bytes.length, "a message is in its array");
    const history = this.#sent;
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
      this.#windowBits,
      this.#level,
    );
    assert(taken > 0, "a message fits, compressed, into what it may grow by");
    // With a history, also messages that get larger are sent compressed: those
    // that are not are in no history, and small ones would never get smaller.
    if (history === undefined && taken >= length) return undefined;
    history?.append(bytes, start, end);
    return out.subarray(0, taken);
  }

  /** Returns the length of what is now in `inflated`, or minus a close code. */
  #inflate(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    bytesMax: number,
    text: number,
  ): number {
    assert(start <= end && end <= bytes.length, "a message is in its array");
    const history = this.#received;
    const native = nativeDeflate();
    // One byte more shows that the message is too long.
    const most = Math.min(bytesMax + 1, ARRAY_BYTES_MAX);
    if (inflated.length === 0) inflated = new Uint8Array(SCRATCH_BYTES);
    let flags = FIRST | text;
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
      if (reached === -CORRUPT) return reached;
      assert(reached >= 0, "the buffers of a message do not overlap");
      if (reached < capacity) {
        history?.append(inflated, 0, reached);
        return reached;
      }
      if (capacity === most) return -TOO_LARGE;
      inflated = grown(inflated, most);
      written = reached;
      flags = text;
    }
  }
}

/** Returns an array to compress into; keeps it unless it is large. */
function roomFor(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes <= deflated.length) return deflated;
  const larger = new Uint8Array(Math.max(bytes, SCRATCH_BYTES));
  if (bytes <= SCRATCH_BYTES_MAX) deflated = larger;
  return larger;
}

function dropLarge(): void {
  if (inflated.length > SCRATCH_BYTES_MAX) inflated = NONE;
}

/** Returns an array twice as long, up to `most`, with the same bytes first. */
function grown(bytes: Uint8Array<ArrayBuffer>, most: number) {
  const larger = new Uint8Array(Math.min(2 * bytes.length, most));
  larger.set(bytes);
  return larger;
}

/** Codecs without a history, by window bits and level. */
const shared = new Map<number, Codec>();

/**
 * Returns the codec of a socket: its own with context takeover, otherwise one
 * for all sockets of the thread with the same window and level.
 */
export function codecFor(
  agreement: DeflateAgreement,
  settings: CompressionSettings,
): Codec {
  const { serverContextTakeover, clientContextTakeover } = agreement;
  const { level } = settings;
  if (serverContextTakeover || clientContextTakeover) {
    return new Codec(agreement, level);
  }
  const key = agreement.serverWindowBits << 4 | level;
  let codec = shared.get(key);
  if (codec === undefined) shared.set(key, codec = new Codec(agreement, level));
  return codec;
}
