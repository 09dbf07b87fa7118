/**
 * The seam between a WebSocket and the compression of its messages.
 *
 * @module
 */

/** What the inflated form of a message may be. */
export interface InflateOptions {
  /** The most bytes of the message. */
  readonly bytesMax: number;
  /** Whether the message is text. */
  readonly isText: boolean;
}

/** Compresses and decompresses messages, as a handshake has agreed. */
export interface Codec {
  /** The agreement, as the header has it. */
  readonly extensions: string;
  /** Memory, in bytes, that belongs to one WebSocket alone. */
  readonly memoryBytes: number;
  /**
   * Whether to compress a message of `size` bytes.
   *
   * @param isAsked What the program asks for; it lets the size decide when this
   * is `undefined`.
   */
  wants(size: number, isAsked: boolean | undefined): boolean;
  /**
   * Decompresses a message.
   *
   * @returns The message, or the code to close with: 1007 for bytes that are no
   * compressed message, or no UTF-8; 1009 for too many bytes.
   */
  inflate(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    options: InflateOptions,
  ): string | Uint8Array<ArrayBuffer> | 1007 | 1009;
  /** Compresses a message; the bytes are valid until the next call. */
  deflate(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): Uint8Array<ArrayBuffer>;
  /** Frees what belongs to the WebSocket alone. */
  close(): void;
}
