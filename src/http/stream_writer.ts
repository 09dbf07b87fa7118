/**
 * Writes a streamed body, chunk by chunk, no faster than the peer reads.
 *
 * @module
 */

import { Framing } from "./answer.ts";
import { encodeLatin1, writeLatin1 } from "./latin1.ts";
import { BUSY_BYTES, type Transport } from "./transport.ts";

/** Chunks up to this size are copied, so that several leave in one write. */
const COPY_BYTES_MAX = 16_384;
/** Bytes of a chunk's size line and line end, at the most. */
const CHUNK_FRAME_BYTES = 16;
/** Bytes written before Deno's loop gets a round: a stream can be endless. */
const ROUND_BYTES = 262_144;

const LAST_CHUNK = encodeLatin1("0\r\n\r\n");

/** One streamed body on its way out. */
export class StreamWriter {
  readonly #transport: Transport;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #framing: number;
  #written = 0;
  #sinceRound = 0;
  #isCancelled = false;
  #drained: (() => void) | undefined;

  /**
   * @param framing A content length, which the stream must keep, or one of
   * `Framing`.
   */
  constructor(
    transport: Transport,
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    framing: number,
  ) {
    this.#transport = transport;
    this.#reader = stream.getReader();
    this.#framing = framing;
  }

  /** Whether the end of the connection is that of the body. */
  get endsByClosing(): boolean {
    return this.#framing === Framing.UNTIL_CLOSE;
  }

  /**
   * Writes the whole stream.
   *
   * @returns Whether it ended well; false when it was cancelled.
   * @throws What the stream throws, or that it broke its promised length.
   */
  async run(): Promise<boolean> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (this.#isCancelled) return false;
        if (done) return this.#finish();
        this.#write(checkChunk(value));
        if (this.#transport.bufferedBytes >= BUSY_BYTES) await this.#drain();
        if (this.#sinceRound >= ROUND_BYTES) await this.#round();
      }
    } catch (error) {
      // Nobody waits for it: the stream has failed, or is of no more use.
      this.#reader.cancel(error).catch(() => {});
      throw error;
    }
  }

  /** Goes on after the peer has read. */
  drain(): void {
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.();
  }

  /** Ends it because the peer has gone. */
  cancel(reason: unknown): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.drain();
    this.#reader.cancel(reason).catch(() => {});
  }

  #write(chunk: Uint8Array<ArrayBuffer>): void {
    const { byteLength } = chunk;
    if (byteLength === 0) return;
    this.#written += byteLength;
    this.#sinceRound += byteLength;
    if (this.#framing >= 0 && this.#written > this.#framing) {
      throw new TypeError(
        `The body is longer than its content-length of ${this.#framing}`,
      );
    }
    if (this.#framing === Framing.CHUNKED) {
      const size = `${byteLength.toString(16)}\r\n`;
      this.#writeParts(size, chunk, "\r\n");
    } else {
      this.#writeParts("", chunk, "");
    }
  }

  #writeParts(
    before: string,
    chunk: Uint8Array<ArrayBuffer>,
    after: string,
  ): void {
    const { byteLength } = chunk;
    if (byteLength > COPY_BYTES_MAX) {
      this.#writeText(before);
      this.#transport.write(chunk);
      this.#writeText(after);
      return;
    }
    const output = this.#transport.reserve(byteLength + CHUNK_FRAME_BYTES);
    if (output === undefined) return;
    const { bytes } = output;
    const at = writeLatin1(bytes, output.length, before);
    bytes.set(chunk, at);
    output.length = writeLatin1(bytes, at + byteLength, after);
  }

  #writeText(text: string): void {
    const output = this.#transport.reserve(CHUNK_FRAME_BYTES);
    if (output === undefined) return;
    output.length = writeLatin1(output.bytes, output.length, text);
  }

  #finish(): boolean {
    if (this.#framing >= 0 && this.#written < this.#framing) {
      throw new TypeError(
        `The body has ${this.#written} bytes and its content-length says ` +
          `${this.#framing}`,
      );
    }
    if (this.#framing === Framing.CHUNKED) {
      const output = this.#transport.reserve(LAST_CHUNK.byteLength);
      output?.bytes.set(LAST_CHUNK, output.length);
      if (output !== undefined) output.length += LAST_CHUNK.byteLength;
    }
    return true;
  }

  async #drain(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    await promise;
  }

  async #round(): Promise<void> {
    this.#sinceRound = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function checkChunk(value: unknown): Uint8Array<ArrayBuffer> {
  if (value instanceof Uint8Array) return value as Uint8Array<ArrayBuffer>;
  throw new TypeError(
    `Cannot send a chunk of type "${typeof value}": it must be a Uint8Array`,
  );
}
