/**
 * Messages of one turn in one form: framed, and compressed where that was
 * agreed. Each is framed once for all its receivers.
 *
 * @module
 */

import {
  BINARY,
  FIN,
  HEAD_BYTES_MAX,
  RSV1,
  TEXT,
  writeHead,
} from "./frames.ts";
import { BYTES_A_CHARACTER, encodeText, writeTextFrame } from "./text.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A log begins with room for this. */
const LOG_BYTES_MIN = 4_096;
/** A larger array is freed after its turn. */
const LOG_BYTES_KEPT = 65_536;
/** Texts up to this are encoded into the log; longer ones are measured first. */
const TEXT_LENGTH_MAX = 4_096;

/** Compresses messages for many receivers. */
export interface SharedCodec {
  /** Whether a message of about `size` bytes is compressed. */
  wants(size: number, compress: boolean | undefined): boolean;
  /**
   * Compresses a message; the bytes are valid until the next call. `undefined`
   * when it gets no smaller: then it is sent as it is.
   */
  deflate(bytes: Bytes, start: number, end: number): Bytes | undefined;
}

/** What is known of a {@linkcode Publication}. */
export interface PublicationOptions {
  /** Whether bytes are the UTF-8 of a text. */
  readonly isText?: boolean | undefined;
  /** Whether to compress it; left to the codec when left out. */
  readonly compress?: boolean | undefined;
}

/** A message that is published: a text, or bytes for a binary message. */
export class Publication {
  /** Whether it is text. */
  readonly isText: boolean;
  /** Whether to compress it; `undefined` leaves that to the codec. */
  readonly compress: boolean | undefined;
  readonly #text: string;
  #bytes: Bytes | undefined;

  /** @param message The message; its bytes are read before they may change. */
  constructor(message: string | Bytes, options: PublicationOptions = {}) {
    const isString = typeof message === "string";
    this.isText = isString || options.isText === true;
    this.compress = options.compress;
    this.#text = isString ? message : "";
    this.#bytes = isString ? undefined : message;
  }

  /** About how many bytes it has: characters of a text. */
  get size(): number {
    return this.#bytes?.byteLength ?? this.#text.length;
  }

  /** Its bytes. */
  get bytes(): Bytes {
    return this.#bytes ??= encodeText(this.#text);
  }

  /** The text, when it is short and not encoded yet. */
  get shortText(): string | undefined {
    const isShort = this.#text.length <= TEXT_LENGTH_MAX;
    return this.#bytes === undefined && isShort ? this.#text : undefined;
  }
}

/** Messages of one turn in one form. */
export class FrameLog {
  /** Compresses them; `undefined` when they go as they are. */
  readonly codec: SharedCodec | undefined;
  /** The frames, one behind the other. */
  bytes: Bytes = new Uint8Array(0);
  /** How many bytes they have. */
  length = 0;
  /** Where the frame of each message ends. */
  #ends: number[] = [];

  /** @param codec Compresses them. */
  constructor(codec: SharedCodec | undefined) {
    this.codec = codec;
  }

  /** Where the frame of message `index` starts. */
  start(index: number): number {
    return index === 0 ? 0 : this.end(index - 1);
  }

  /** Where the frame of message `index` ends. */
  end(index: number): number {
    return this.#ends[index] ?? this.length;
  }

  /** Appends message `index`; messages that it has not got are empty. */
  append(index: number, message: Publication): void {
    while (this.#ends.length < index) this.#ends.push(this.length);
    this.#write(message);
    this.#ends.push(this.length);
  }

  /** Forgets all messages. */
  clear(): void {
    this.length = 0;
    this.#ends = [];
    if (this.bytes.byteLength > LOG_BYTES_KEPT) this.bytes = new Uint8Array(0);
  }

  #write(message: Publication): void {
    const { codec } = this;
    const kind = (message.isText ? TEXT : BINARY) | FIN;
    if (codec?.wants(message.size, message.compress)) {
      const { bytes } = message;
      const small = codec.deflate(bytes, 0, bytes.byteLength);
      return small === undefined
        ? this.#writeFrame(kind, bytes)
        : this.#writeFrame(kind | RSV1, small);
    }
    const text = message.shortText;
    if (text !== undefined) this.#writeText(text);
    else this.#writeFrame(kind, message.bytes);
  }

  #writeFrame(first: number, payload: Bytes): void {
    const { byteLength } = payload;
    this.#makeRoom(HEAD_BYTES_MAX + byteLength);
    const at = writeHead(this.bytes, this.length, first, byteLength);
    this.bytes.set(payload, at);
    this.length = at + byteLength;
  }

  #writeText(text: string): void {
    this.#makeRoom(HEAD_BYTES_MAX + BYTES_A_CHARACTER * text.length);
    this.length = writeTextFrame(this.bytes, this.length, text, true);
  }

  #makeRoom(size: number): void {
    const wanted = this.length + size;
    const { bytes } = this;
    if (wanted <= bytes.byteLength) return;
    const grown = Math.max(LOG_BYTES_MIN, wanted, 2 * bytes.byteLength);
    this.bytes = new Uint8Array(grown);
    this.bytes.set(bytes.subarray(0, this.length));
  }
}
