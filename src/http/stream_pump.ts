/**
 * Reads a streamed body and writes it, chunk by chunk, no faster than the peer
 * reads.
 *
 * A chunk is written, or copied, before the next one is read: a stream may
 * yield one buffer that it fills again and again. So no chunk waits to be sent
 * together with the next one. Only the head waits, as long as chunks are there
 * at once.
 *
 * @module
 */

import { defer } from "../base/own.ts";
import type { AnswerPlan } from "./answer_plan.ts";
import type { BodySink } from "./answer_sink.ts";
import type { Service } from "./service.ts";
import { isCopiedBehind } from "../stream/copying.ts";

/**
 * Chunks that are not copied are written in pieces of this size, each when the
 * peer has read: the part of a piece that the system does not take is copied.
 */
const PIECE_BYTES = 262_144;
/** Bytes written before Deno's loop gets a round: a stream can be endless. */
const ROUND_BYTES = 262_144;
/** What a chunk counts for at least in that: it costs time, too. */
const CHUNK_COST_BYTES = 256;
/**
 * Rounds of microtasks in which a chunk is there at once: through three pipes
 * it takes eleven. They cost less than a microsecond, once for each answer.
 */
const ROUNDS_AT_ONCE = 16;
/**
 * How long a stream may have nothing to give after the peer's end. Such a peer
 * may read on, or have gone for good, and only bytes that are sent to it tell
 * which. A server that gives up at once, as Deno's does, breaks clients that
 * end their half first; a second costs little for a client that has gone.
 */
const SILENCE_MS = 1_000;

/** The reason that cancelled streams are given; the same as Deno's. */
export const CANCEL_REASON = "resource closed";

/** Counts work that Deno's loop must go on for. */
type Work = Pick<Service, "beginWork" | "endWork">;

/** One streamed body on its way out. */
export class StreamPump {
  /** Where the body goes. */
  readonly sink: BodySink;
  /** The status of the answer. */
  readonly status: number;
  readonly #work: Work;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  /** The content length, which the stream must keep; else infinity. */
  readonly #length: number;
  #written = 0;
  #sinceRound = 0;
  #isCancelled = false;
  /** Whether the stream is known to have no more to give. */
  #isOver = false;
  #peerHasEnded = false;
  /** Whether the end of the stream was read. */
  #hasEnded = false;
  /** Whether the stream has given more than its content length. */
  #isTooLong = false;
  #drained: (() => void) | undefined;

  /**
   * @param sink Where the body goes; the head is written.
   * @param plan What the head says.
   */
  constructor(
    { sink, work, plan }: { sink: BodySink; work: Work; plan: AnswerPlan },
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  ) {
    this.sink = sink;
    this.#work = work;
    this.status = plan.status;
    this.#length = plan.framing >= 0 ? plan.framing : Infinity;
    this.#reader = stream.getReader();
    this.#reader.closed.then(() => this.#isOver = true, () => {});
  }

  /** How many bytes of the body were written. */
  get written(): number {
    return this.#written;
  }

  /** Whether the stream's end was read. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether nothing has left of the answer, and nothing came of its body. */
  get isUnsent(): boolean {
    return this.sink.isUnsent && this.#written === 0;
  }

  /**
   * Writes the stream.
   *
   * @returns Whether the answer is whole; false when it was cancelled. The
   * stream may have more to give: see {@linkcode StreamPump.expectEnd}.
   * @throws What the stream throws, or that it ended before its content length;
   * the head has not left when {@linkcode StreamPump.isUnsent} says so.
   */
  async run(): Promise<boolean> {
    // The stream may wait for something that Deno's loop does.
    this.#work.beginWork();
    try {
      return await this.#writeAll();
    } catch (error) {
      if (this.#isCancelled) return false;
      if (!this.isUnsent) this.sink.flush();
      // Nobody waits for it: the stream has failed, or is of no more use.
      this.#reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      this.#work.endWork();
      if (this.#peerHasEnded) this.sink.setDeadline(Infinity);
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
        `The body is longer than its content-length of ${this.#length}`,
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
    // The content length is all that can be sent, whatever else there is.
    while (this.#written !== this.#length) {
      const reading = this.#reader.read();
      if (this.sink.isUnsent) await this.#giveRounds(reading);
      const { done, value } = await reading;
      if (this.#isCancelled) return false;
      if (done) {
        this.#hasEnded = true;
        break;
      }
      // It has begun, with whatever that is: Deno breaks its answer off.
      if (!(value instanceof Uint8Array)) this.sink.flush();
      const chunk = this.#count(checkChunk(value));
      if (isCopiedBehind(chunk.byteLength)) {
        this.#writeSmall(chunk);
        if (this.#mustWait) await this.#wait();
      } else {
        await this.#writeLarge(chunk);
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
    if (!this.#isCancelled) this.sink.flush();
  }

  /** Counts a chunk, and returns as much of it as may be sent. */
  #count(chunk: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { byteLength } = chunk;
    this.#written += byteLength;
    if (this.#written <= this.#length) return chunk;
    this.#isTooLong = true;
    const excess = this.#written - this.#length;
    this.#written = this.#length;
    return chunk.subarray(0, byteLength - excess);
  }

  #writeSmall(chunk: Uint8Array<ArrayBuffer>): void {
    const { byteLength } = chunk;
    this.#sinceRound += Math.max(byteLength, CHUNK_COST_BYTES);
    // A chunk of nothing would be the last.
    if (byteLength > 0) this.sink.data(chunk);
  }

  async #writeLarge(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    const { byteLength } = chunk;
    // A stream that gives a chunk and closes has closed a round later.
    await undefined;
    if (this.#isCancelled) return;
    this.sink.beginPieces(byteLength);
    for (let start = 0; start < byteLength; start += PIECE_BYTES) {
      if (chunk.byteLength !== byteLength) throw new TypeError(SHRUNK);
      const end = start + PIECE_BYTES;
      const piece = pieceOf(chunk, start, end);
      this.sink.piece(piece, end >= byteLength, this.#isOver);
      this.#sinceRound += piece.byteLength;
      if (this.#mustWait) await this.#wait();
      if (this.#isCancelled) return;
    }
  }

  #finish(): boolean {
    if (this.#written < this.#length && this.#length !== Infinity) {
      throw new TypeError(
        `The body has ${this.#written} bytes and its content-length says ` +
          `${this.#length}`,
      );
    }
    this.sink.end();
    return true;
  }

  get #mustWait(): boolean {
    return this.#sinceRound >= ROUND_BYTES || this.sink.isBusy;
  }

  async #wait(): Promise<void> {
    if (this.sink.isBusy) await this.#drain();
    if (this.#sinceRound < ROUND_BYTES) return;
    this.#sinceRound = 0;
    await new Promise<void>((resolve) => defer(resolve));
  }

  /** Waits for the peer, which may take all the time that it wants. */
  async #drain(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    if (this.#peerHasEnded) this.sink.setDeadline(Infinity);
    this.#work.endWork();
    await promise;
    this.#work.beginWork();
  }

  #watchSilence(): void {
    this.sink.setDeadline(SILENCE_MS);
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

function checkChunk(value: unknown): Uint8Array<ArrayBuffer> {
  if (value instanceof Uint8Array) return value as Uint8Array<ArrayBuffer>;
  // Deno's own words, for a program that looks for them.
  throw new TypeError(
    `Cannot send a chunk of type "${typeof value}": expected typed ` +
      "ArrayBufferView, which must be a Uint8Array",
  );
}
