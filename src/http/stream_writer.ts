/**
 * Writes a streamed body, chunk by chunk, no faster than the peer reads.
 *
 * A chunk is written, or copied, before the next one is asked for: what is
 * yielded may be one buffer that is filled again and again. So nothing is held
 * back to be sent together with what follows, but for the head, which waits as
 * long as chunks are there at once.
 *
 * @module
 */

import { defer } from "../base/own.ts";
import { Framing } from "./h1/heads.ts";
import { encodeLatin1, writeLatin1 } from "./latin1.ts";
import type { Service } from "./service.ts";
import {
  BUSY_BYTES,
  type Output,
  roomFor,
  sendOwn,
  type Transport,
} from "./transport.ts";

/** Chunks up to this size are copied, so that several leave in one write. */
const COPY_BYTES_MAX = 16_384;
/** Bytes of a chunk's size line and line end, at the most. */
const CHUNK_FRAME_BYTES = 16;
/**
 * Larger chunks are written in pieces of this size, each when the peer has read:
 * what the system does not take of one is copied.
 */
const PIECE_BYTES = 262_144;
/** Bytes written before Deno's loop gets a round: a stream can be endless. */
const ROUND_BYTES = 262_144;
/** What a chunk counts for at least in that: it costs time, too. */
const CHUNK_COST_BYTES = 256;
/** Bytes of chunks that fit behind the head, to leave with it. */
const FIRST_BYTES = 4_096;
/**
 * Rounds of microtasks in which a chunk is there at once: through three pipes
 * it takes eleven. They cost less than a microsecond, once for each answer.
 */
const ROUNDS_AT_ONCE = 16;
/**
 * How long a stream may have nothing to give after the peer's end. Such a peer
 * may read on, or have gone for good, and only what is sent to it tells which.
 * A server that gives up at once, as Deno's does, breaks clients that end their
 * half first; a second costs little for one that has gone.
 */
const SILENCE_MS = 1_000;

const LINE_END = encodeLatin1("\r\n");
const LAST_CHUNK = encodeLatin1("0\r\n\r\n");
const LINE_END_AND_LAST_CHUNK = encodeLatin1("\r\n0\r\n\r\n");

/** What cancelled streams are given as the reason; the same as Deno's. */
export const CANCEL_REASON = "resource closed";

/** Returns where the head of a streamed answer is written. */
export function headOutput(room: number): Output {
  return { bytes: new Uint8Array(room + FIRST_BYTES), length: 0 };
}

/** One streamed body on its way out. */
export class StreamWriter {
  readonly #transport: Transport;
  readonly #service: Pick<Service, "beginWork" | "endWork">;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #framing: number;
  /** The head, and what is to leave with it. */
  #first: Output | undefined;
  #written = 0;
  #sinceRound = 0;
  #isCancelled = false;
  /** Whether the stream is known to have no more to give. */
  #isOver = false;
  /** Whether the last chunk is written. */
  #isFinished = false;
  #peerHasEnded = false;
  /** Whether its end was read. */
  #hasEnded = false;
  /** Whether it has given more than its content length. */
  #isTooLong = false;
  #drained: (() => void) | undefined;

  /**
   * @param head The head as it was serialised, from {@linkcode headOutput}.
   * @param framing A content length, which the stream must keep, or one of
   * `Framing`.
   */
  constructor(
    { transport, service, head, framing }: {
      transport: Transport;
      service: Pick<Service, "beginWork" | "endWork">;
      head: Output;
      framing: number;
    },
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  ) {
    this.#transport = transport;
    this.#service = service;
    this.#first = head;
    this.#framing = framing;
    this.#reader = stream.getReader();
    this.#reader.closed.then(() => this.#isOver = true, () => {});
  }

  /** Whether the stream's end was read. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether nothing has left of the answer, and nothing came of its body. */
  get isUnsent(): boolean {
    return this.#first !== undefined && this.#written === 0;
  }

  /** Whether the end of the connection is that of the body. */
  get endsByClosing(): boolean {
    return this.#framing === Framing.UNTIL_CLOSE;
  }

  /**
   * Writes head and stream.
   *
   * @returns Whether the answer is whole; false when it was cancelled. The
   * stream may have more to give: see {@linkcode StreamWriter.expectEnd}.
   * @throws What the stream throws, or that it ended before its content length;
   * the head has not left when {@linkcode StreamWriter.isUnsent} says so.
   */
  async run(): Promise<boolean> {
    // What the stream waits for is Deno's loop's.
    this.#service.beginWork();
    try {
      return await this.#writeAll();
    } catch (error) {
      if (this.#isCancelled) return false;
      if (!this.isUnsent) this.#sendFirst();
      // Nobody waits for it: the stream has failed, or is of no more use.
      this.#reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      this.#service.endWork();
      if (this.#peerHasEnded) this.#transport.setDeadline(Infinity);
    }
  }

  /**
   * Resolves when the stream ends behind a whole answer, or is cancelled.
   *
   * @throws What the stream throws, or that it is longer than it may be.
   */
  async expectEnd(): Promise<void> {
    try {
      while (!this.#isTooLong) {
        const { done, value } = await this.#reader.read();
        if (done || this.#isCancelled) return;
        this.#isTooLong = checkChunk(value).byteLength > 0;
      }
      throw new TypeError(
        `The body is longer than its content-length of ${this.#framing}`,
      );
    } catch (error) {
      if (this.#isCancelled) return;
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

  /** The peer sends no more: it has gone, or reads on. */
  peerEnded(): void {
    this.#peerHasEnded = true;
    if (this.#drained === undefined) this.#watchSilence();
  }

  /** Ends it because the peer has gone. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.drain();
    this.#reader.cancel(CANCEL_REASON).catch(() => {});
  }

  async #writeAll(): Promise<boolean> {
    // What was promised is all that can be sent, whatever else there is.
    while (this.#written !== this.#framing) {
      const reading = this.#reader.read();
      if (this.#first !== undefined) await this.#giveRounds(reading);
      const { done, value } = await reading;
      if (this.#isCancelled) return false;
      if (done) {
        this.#hasEnded = true;
        break;
      }
      // It has begun, with whatever that is: Deno breaks its answer off.
      if (!(value instanceof Uint8Array)) this.#sendFirst();
      const chunk = this.#count(checkChunk(value));
      if (chunk.byteLength > COPY_BYTES_MAX) {
        await this.#writeLarge(chunk);
      } else {
        this.#writeSmall(chunk);
        if (this.#mustWait) await this.#wait();
      }
      if (this.#isCancelled) return false;
      if (this.#peerHasEnded && chunk.byteLength > 0) this.#watchSilence();
    }
    return this.#finish();
  }

  /** Sends the head alone, unless something is there at once. */
  async #giveRounds(reading: Promise<unknown>): Promise<void> {
    let isThere = false;
    const notice = () => void (isThere = true);
    reading.then(notice, notice);
    for (let round = 0; round < ROUNDS_AT_ONCE; round++) {
      await undefined;
      if (isThere) return;
    }
    if (!this.#isCancelled) this.#sendFirst();
  }

  /** Counts a chunk, and returns as much of it as may be sent. */
  #count(chunk: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { byteLength } = chunk;
    this.#written += byteLength;
    if (this.#framing < 0 || this.#written <= this.#framing) return chunk;
    this.#isTooLong = true;
    const excess = this.#written - this.#framing;
    this.#written = this.#framing;
    return chunk.subarray(0, byteLength - excess);
  }

  #writeSmall(chunk: Uint8Array<ArrayBuffer>): void {
    const { byteLength } = chunk;
    this.#sinceRound += Math.max(byteLength, CHUNK_COST_BYTES);
    // A chunk of nothing would be the last.
    if (byteLength === 0) return;
    const output = this.#reserve(byteLength + CHUNK_FRAME_BYTES);
    const { bytes } = output;
    const isChunked = this.#framing === Framing.CHUNKED;
    let at = output.length;
    if (isChunked) at = writeLatin1(bytes, at, sizeLine(byteLength));
    bytes.set(chunk, at);
    at += byteLength;
    output.length = isChunked ? writeLatin1(bytes, at, "\r\n") : at;
    sendOwn(this.#transport, output);
  }

  async #writeLarge(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    const { byteLength } = chunk;
    // Who gives a chunk and closes is known to have closed a round later.
    await undefined;
    if (this.#isCancelled) return;
    this.#sendFirst();
    const isChunked = this.#framing === Framing.CHUNKED;
    if (isChunked) this.#writeText(sizeLine(byteLength));
    for (let start = 0; start < byteLength; start += PIECE_BYTES) {
      if (chunk.byteLength !== byteLength) throw new TypeError(SHRUNK);
      const end = start + PIECE_BYTES;
      const piece = pieceOf(chunk, start, end);
      if (isChunked && end >= byteLength) {
        this.#isFinished = this.#isOver;
        const after = this.#isOver ? LINE_END_AND_LAST_CHUNK : LINE_END;
        this.#transport.writeVectored([piece, after]);
      } else {
        this.#transport.write(piece);
      }
      this.#sinceRound += piece.byteLength;
      if (this.#mustWait) await this.#wait();
      if (this.#isCancelled) return;
    }
  }

  #writeText(text: string): void {
    const output = roomFor(this.#transport, CHUNK_FRAME_BYTES);
    output.length = writeLatin1(output.bytes, output.length, text);
    sendOwn(this.#transport, output);
  }

  #finish(): boolean {
    if (this.#framing >= 0 && this.#written < this.#framing) {
      throw new TypeError(
        `The body has ${this.#written} bytes and its content-length says ` +
          `${this.#framing}`,
      );
    }
    if (this.#framing === Framing.CHUNKED && !this.#isFinished) {
      const output = this.#reserve(LAST_CHUNK.byteLength);
      output.bytes.set(LAST_CHUNK, output.length);
      output.length += LAST_CHUNK.byteLength;
      sendOwn(this.#transport, output);
    }
    this.#sendFirst();
    return true;
  }

  /** Makes room: behind the head while that waits. */
  #reserve(size: number): Output {
    const first = this.#first;
    if (first !== undefined) {
      if (first.bytes.byteLength - first.length >= size) return first;
      this.#sendFirst();
    }
    return roomFor(this.#transport, size);
  }

  /** Sends the head and what is behind it; nothing waits for it any more. */
  #sendFirst(): void {
    const first = this.#first;
    if (first === undefined) return;
    this.#first = undefined;
    const { bytes, length } = first;
    const output = this.#transport.reserve(length);
    if (output === undefined) {
      this.#transport.write(bytes, 0, length);
      return;
    }
    output.bytes.set(bytes.subarray(0, length), output.length);
    output.length += length;
  }

  get #mustWait(): boolean {
    return this.#sinceRound >= ROUND_BYTES ||
      this.#transport.bufferedBytes >= BUSY_BYTES;
  }

  async #wait(): Promise<void> {
    if (this.#transport.bufferedBytes >= BUSY_BYTES) await this.#drain();
    if (this.#sinceRound < ROUND_BYTES) return;
    this.#sinceRound = 0;
    await new Promise<void>((resolve) => defer(resolve));
  }

  /** Waits for the peer, which may take all the time that it wants. */
  async #drain(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    if (this.#peerHasEnded) this.#transport.setDeadline(Infinity);
    this.#service.endWork();
    await promise;
    this.#service.beginWork();
  }

  #watchSilence(): void {
    this.#transport.setDeadline(SILENCE_MS);
  }
}

const SHRUNK = "Cannot send a chunk that has shrunk while it was sent";

/** Memory that other threads may write to is copied before it is sent. */
function pieceOf(
  chunk: Uint8Array<ArrayBufferLike>,
  start: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  const { buffer } = chunk;
  return buffer instanceof ArrayBuffer
    ? chunk.subarray(start, end) as Uint8Array<ArrayBuffer>
    : new Uint8Array(chunk.subarray(start, end));
}

function sizeLine(byteLength: number): string {
  return `${byteLength.toString(16)}\r\n`;
}

function checkChunk(value: unknown): Uint8Array<ArrayBuffer> {
  if (value instanceof Uint8Array) return value as Uint8Array<ArrayBuffer>;
  // Deno's own words, for who looks for them.
  throw new TypeError(
    `Cannot send a chunk of type "${typeof value}": expected typed ` +
      "ArrayBufferView, which must be a Uint8Array",
  );
}
