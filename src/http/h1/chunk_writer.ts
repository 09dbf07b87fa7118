/**
 * Writes a streamed body: in chunks, or unframed.
 *
 * @module
 */

import type { Output } from "../../stream/shared.ts";
import { Framing } from "../answer_plan.ts";
import type { BodySink } from "../answer_sink.ts";
import { encodeLatin1, writeLatin1 } from "../latin1.ts";
import {
  BUSY_BYTES,
  type HttpTransport,
  roomFor,
  sendOwn,
} from "../transport.ts";

/** The most bytes of a chunk's size line and line end. */
const CHUNK_FRAME_BYTES = 16;
/** Room behind the head for chunks that are sent with it. */
const FIRST_BYTES = 4_096;

const LINE_END = encodeLatin1("\r\n");
const LAST_CHUNK = encodeLatin1("0\r\n\r\n");
const LINE_END_AND_LAST_CHUNK = encodeLatin1("\r\n0\r\n\r\n");

/** Returns the output for the head of a streamed answer. */
export function headOutput(room: number): Output {
  return { bytes: new Uint8Array(room + FIRST_BYTES), length: 0 };
}

/** One streamed body on a connection of HTTP/1.1. */
export class ChunkWriter implements BodySink {
  readonly #transport: HttpTransport;
  readonly #framing: number;
  /** The head, and chunks that are sent with it; `undefined` once sent. */
  #first: Output | undefined;
  /** Whether the last chunk is written. */
  #isFinished = false;

  /**
   * @param head The serialised head, in the output of {@linkcode headOutput}.
   * @param framing A content length, or one of `Framing`.
   */
  constructor(transport: HttpTransport, head: Output, framing: number) {
    this.#transport = transport;
    this.#first = head;
    this.#framing = framing;
  }

  /** Whether no byte was sent. */
  get isUnsent(): boolean {
    return this.#first !== undefined;
  }

  /** Whether the end of the connection ends the body. */
  get endsByClosing(): boolean {
    return this.#framing === Framing.UNTIL_CLOSE;
  }

  /** Whether too many bytes wait for the peer to write more. */
  get isBusy(): boolean {
    return this.#transport.bufferedBytes >= BUSY_BYTES;
  }

  get #isChunked(): boolean {
    return this.#framing === Framing.CHUNKED;
  }

  /** Copies a chunk behind the bytes that were written before. */
  data(chunk: Uint8Array<ArrayBuffer>): void {
    const { byteLength } = chunk;
    const output = this.#reserve(byteLength + CHUNK_FRAME_BYTES);
    const { bytes } = output;
    let at = output.length;
    if (this.#isChunked) at = writeLatin1(bytes, at, sizeLine(byteLength));
    bytes.set(chunk, at);
    at += byteLength;
    output.length = this.#isChunked ? writeLatin1(bytes, at, "\r\n") : at;
    sendOwn(this.#transport, output);
  }

  /** Writes the size line of a chunk that follows in pieces. */
  beginPieces(byteLength: number): void {
    this.flush();
    if (!this.#isChunked) return;
    const output = roomFor(this.#transport, CHUNK_FRAME_BYTES);
    const { bytes, length } = output;
    output.length = writeLatin1(bytes, length, sizeLine(byteLength));
    sendOwn(this.#transport, output);
  }

  /** Writes a piece; the last one with the end of its chunk, in one call. */
  piece(
    piece: Uint8Array<ArrayBuffer>,
    isLast: boolean,
    endsBody: boolean,
  ): void {
    if (!isLast || !this.#isChunked) return void this.#transport.write(piece);
    this.#isFinished = endsBody;
    const end = endsBody ? LINE_END_AND_LAST_CHUNK : LINE_END;
    this.#transport.writeVectored([piece, end]);
  }

  /** Writes the last chunk, unless it is written, and sends the head. */
  end(): void {
    if (this.#isChunked && !this.#isFinished) {
      const output = this.#reserve(LAST_CHUNK.byteLength);
      output.bytes.set(LAST_CHUNK, output.length);
      output.length += LAST_CHUNK.byteLength;
      sendOwn(this.#transport, output);
    }
    this.flush();
  }

  /** Sends the head and the chunks behind it. */
  flush(): void {
    const first = this.#first;
    if (first === undefined) return;
    this.#first = undefined;
    const { bytes, length } = first;
    const output = this.#transport.reserve?.(length);
    if (output === undefined) {
      this.#transport.write(bytes, 0, length);
      return;
    }
    output.bytes.set(bytes.subarray(0, length), output.length);
    output.length += length;
  }

  /** Sets the connection's deadline. */
  setDeadline(delayMs: number): void {
    this.#transport.setDeadline(delayMs);
  }

  /** Returns room for bytes: behind the head, as long as that waits. */
  #reserve(size: number): Output {
    const first = this.#first;
    if (first !== undefined) {
      if (first.bytes.byteLength - first.length >= size) return first;
      this.flush();
    }
    return roomFor(this.#transport, size);
  }
}

function sizeLine(byteLength: number): string {
  return `${byteLength.toString(16)}\r\n`;
}
