/**
 * Writes a streamed body as HTTP/1.1 frames it: in chunks, or as it is.
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

/** Bytes of a chunk's size line and line end, at the most. */
const CHUNK_FRAME_BYTES = 16;
/** Bytes of chunks that fit behind the head, to leave with it. */
const FIRST_BYTES = 4_096;

const LINE_END = encodeLatin1("\r\n");
const LAST_CHUNK = encodeLatin1("0\r\n\r\n");
const LINE_END_AND_LAST_CHUNK = encodeLatin1("\r\n0\r\n\r\n");

/** Returns where the head of a streamed answer is written. */
export function headOutput(room: number): Output {
  return { bytes: new Uint8Array(room + FIRST_BYTES), length: 0 };
}

/** One streamed body on a connection of HTTP/1.1. */
export class ChunkWriter implements BodySink {
  readonly #transport: HttpTransport;
  readonly #framing: number;
  /** The head, and the chunks that leave with it. */
  #first: Output | undefined;
  /** Whether the last chunk is written. */
  #isFinished = false;

  /**
   * @param head The head as it was serialised, from {@linkcode headOutput}.
   * @param framing A content length, or one of `Framing`.
   */
  constructor(transport: HttpTransport, head: Output, framing: number) {
    this.#transport = transport;
    this.#first = head;
    this.#framing = framing;
  }

  /** Whether nothing has left. */
  get isUnsent(): boolean {
    return this.#first !== undefined;
  }

  /** Whether the end of the connection is that of the body. */
  get endsByClosing(): boolean {
    return this.#framing === Framing.UNTIL_CLOSE;
  }

  /** Whether the peer has enough to read. */
  get isBusy(): boolean {
    return this.#transport.bufferedBytes >= BUSY_BYTES;
  }

  get #isChunked(): boolean {
    return this.#framing === Framing.CHUNKED;
  }

  /** Writes a chunk behind what was written before. */
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

  /** Announces a chunk that follows in pieces. */
  beginPieces(byteLength: number): void {
    this.flush();
    if (!this.#isChunked) return;
    const output = roomFor(this.#transport, CHUNK_FRAME_BYTES);
    const { bytes, length } = output;
    output.length = writeLatin1(bytes, length, sizeLine(byteLength));
    sendOwn(this.#transport, output);
  }

  /** Writes a piece, and the end of its chunk with it in one call. */
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

  /** Sends the head and the chunks behind it; nothing waits for it any more. */
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

  /** Passes a deadline on to the connection. */
  setDeadline(delayMs: number): void {
    this.#transport.setDeadline(delayMs);
  }

  /** Makes room: behind the head while that waits. */
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
