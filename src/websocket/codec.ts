/**
 * The compression of a WebSocket's messages, as a handshake has agreed on it.
 *
 * @module
 */

import {
  deflateMessage,
  History,
  inflateMessage,
  type InflateOptions,
  type Inflation,
  type Outcome,
} from "./deflate.ts";
import type { CompressionSettings, DeflateAgreement } from "./extension.ts";
import type { SharedCodec } from "./frame_log.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** About what V8 takes for a codec of its own, without its histories. */
const CODEC_BYTES = 100;

/** Compresses messages that refer to no others: any socket may get them. */
class Compressor implements SharedCodec {
  readonly windowBits: number;
  readonly level: number;
  readonly #thresholdBytes: number;

  constructor(windowBits: number, settings: CompressionSettings) {
    this.windowBits = windowBits;
    this.level = settings.level;
    this.#thresholdBytes = settings.thresholdBytes;
  }

  wants(size: number, isAsked: boolean | undefined): boolean {
    return isAsked ?? size >= this.#thresholdBytes;
  }

  deflate(bytes: Bytes, start: number, end: number): Bytes | undefined {
    const message = deflateMessage(bytes, start, end, this, undefined);
    return message.length < end - start ? message : undefined;
  }
}

/** Compresses and decompresses the messages of a WebSocket. */
export class Codec {
  /** The agreement, as the header has it. */
  readonly extensions: string;
  readonly #compressor: Compressor;
  readonly #sent: History | undefined;
  readonly #received: History | undefined;

  /** @param compressor Has the server's window. */
  constructor(agreement: DeflateAgreement, compressor: Compressor) {
    this.extensions = agreement.header;
    this.#compressor = compressor;
    this.#sent = agreement.serverContextTakeover
      ? new History(agreement.serverWindowBits)
      : undefined;
    this.#received = agreement.clientContextTakeover
      ? new History(agreement.clientWindowBits)
      : undefined;
  }

  /**
   * Compresses messages for many sockets at once. `undefined` when the socket
   * has a context of its own: every compressed message becomes a part of that.
   */
  get shared(): SharedCodec | undefined {
    return this.#sent === undefined ? this.#compressor : undefined;
  }

  /** Memory, in bytes, that belongs to one WebSocket alone. */
  get memoryBytes(): number {
    const sent = this.#sent, received = this.#received;
    if (sent === undefined && received === undefined) return 0;
    return CODEC_BYTES + (sent?.memoryBytes ?? 0) +
      (received?.memoryBytes ?? 0);
  }

  /**
   * Whether to compress a message of `size` bytes.
   *
   * @param isAsked What the program asks for; the size decides when this is
   * `undefined`.
   */
  wants(size: number, isAsked: boolean | undefined): boolean {
    return this.#compressor.wants(size, isAsked);
  }

  /**
   * Decompresses a message: all payload from `start` to before `end`.
   *
   * @returns See {@linkcode inflateMessage}.
   */
  inflate(
    bytes: Bytes,
    start: number,
    end: number,
    options: InflateOptions,
  ): Outcome | Inflation {
    return inflateMessage(bytes, start, end, options, this.#received);
  }

  /**
   * Compresses the message from `start` to before `end`.
   *
   * @returns Bytes that are valid until the next call; `undefined` when the
   * message gets no smaller: it is sent as it is.
   */
  deflate(bytes: Bytes, start: number, end: number): Bytes | undefined {
    const history = this.#sent;
    if (history === undefined) {
      return this.#compressor.deflate(bytes, start, end);
    }
    // Also when the message gets larger. A message that is sent as it is comes
    // into no history, and small ones would never get smaller.
    const message = deflateMessage(
      bytes,
      start,
      end,
      this.#compressor,
      history,
    );
    history.append(bytes, start, end);
    return message;
  }

  /** Frees what belongs to the WebSocket alone: it is closed. */
  free(): void {
    this.#sent?.clear();
    this.#received?.clear();
  }
}

/** Compressors and shared codecs of this thread, by what distinguishes them. */
const compressors = new Map<string, Compressor>();
const codecs = new Map<string, Codec>();

/**
 * Returns the codec of a socket: one of its own with context takeover, otherwise
 * that of all sockets with the same agreement.
 */
export function codecFor(
  agreement: DeflateAgreement,
  settings: CompressionSettings,
): Codec {
  const { header, serverWindowBits } = agreement;
  const { level, thresholdBytes } = settings;
  const key = `${level} ${thresholdBytes} `;
  const compressor = known(
    compressors,
    key + serverWindowBits,
    () => new Compressor(serverWindowBits, settings),
  );
  const make = () => new Codec(agreement, compressor);
  const takesOver = agreement.serverContextTakeover ||
    agreement.clientContextTakeover;
  return takesOver ? make() : known(codecs, key + header, make);
}

function known<Value>(
  values: Map<string, Value>,
  key: string,
  make: () => Value,
): Value {
  let value = values.get(key);
  if (value === undefined) values.set(key, value = make());
  return value;
}
