/**
 * Reads a streamed body and writes it, chunk by chunk, no faster than the peer
 * reads; then waits for the end of the stream, which may come late or never.
 *
 * Each chunk is written, or copied, before the next one is read, since a stream
 * may fill one buffer again and again. Only the head waits for the first chunk,
 * while that is there at once.
 *
 * @module
 */

import { defer } from "../base/own.ts";
import type { AnswerPlan } from "./answer_plan.ts";
import type { BodySink } from "./answer_sink.ts";
import { ON_ERROR_FAILED } from "./errors.ts";
import type { Service } from "./service.ts";
import { isCopiedBehind } from "../stream/copying.ts";

/**
 * Large chunks are written in pieces of this size, each when the peer has read
 * enough, since the part of a piece that the system does not take is copied.
 */
const PIECE_BYTES = 262_144;
/** Bytes between two rounds of Deno's loop: a stream can be endless. */
const ROUND_BYTES = 262_144;
/** The least that a chunk counts in `ROUND_BYTES`, for the time it takes. */
const CHUNK_COST_BYTES = 256;
/**
 * Rounds of microtasks that a first chunk may take to be there at once: through
 * three pipes it takes eleven. They cost less than a microsecond an answer.
 */
const ROUNDS_AT_ONCE = 16;
/**
 * Milliseconds for which a stream may give nothing after the peer's end. The
 * peer may still read, or be gone, and only sending bytes shows which. Giving
 * up at once, as Deno does, breaks clients that end their half first; a second
 * costs little for a client that has gone.
 */
const SILENCE_MS = 1_000;

/** The reason for cancelling a stream; the same as Deno's. */
export const CANCEL_REASON = "resource closed";

/** Counts work, for which Deno's loop must go on. */
type Work = Pick<Service, "beginWork" | "endWork">;

/** One streamed body on its way out. */
export class StreamPump {
  /** Where the body goes. */
  readonly sink: BodySink;
  /** The status of the answer. */
  readonly status: number;
  readonly #work: Work;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  /** The content length, which the stream must keep; infinity without one. */
  readonly #length: number;
  #written = 0;
  #sinceRound = 0;
  #isCancelled = false;
  /** Whether the stream has closed. */
  #isOver = false;
  #peerHasEnded = false;
  /** Whether the end of the stream was read. */
  #hasEnded = false;
  /** Whether the stream gave more bytes than its content length. */
  #isTooLong = false;
  #drained: (() => void) | undefined;

  /**
   * @param sink Where the body goes; the head is written already.
   * @param plan The plan of the answer.
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

  /** Written bytes of the body. */
  get written(): number {
    return this.#written;
  }

  /** Whether the end of the stream was read. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether no byte of the answer was sent, and none of its body written. */
  get isUnsent(): boolean {
    return this.sink.isUnsent && this.#written === 0;
  }

  /**
   * Writes the stream.
   *
   * @returns Whether the answer is whole; false when the stream was cancelled.
   * The stream may have more to give: see {@linkcode StreamPump.expectEnd}.
   * @throws The stream's error, or a `TypeError` when the stream ended before
   * its content length. The head was not sent if
   * {@linkcode StreamPump.isUnsent}.
   */
  async run(): Promise<boolean> {
    // The stream may wait for work of Deno's loop.
    this.#work.beginWork();
    try {
      return await this.#writeAll();
    } catch (error) {
      if (this.#isCancelled) return false;
      if (!this.isUnsent) this.sink.flush();
      // The result does not matter: the stream failed, or is not needed now.
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
   * @throws The stream's error, or a `TypeError` when the stream is longer than
   * its content length.
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

  /** The peer has read: the pump goes on. */
  drain(): void {
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.();
  }

  /** The peer sends no more: it may be gone, or read on. */
  peerEnded(): void {
    this.#peerHasEnded = true;
    if (this.#drained === undefined) this.#watchSilence();
  }

  /** Cancels the stream. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.drain();
    this.#reader.cancel(CANCEL_REASON).catch(() => {});
  }

  async #writeAll(): Promise<boolean> {
    // Nothing can be sent beyond the content length.
    while (this.#written !== this.#length) {
      const reading = this.#reader.read();
      if (this.sink.isUnsent) await this.#giveRounds(reading);
      const { done, value } = await reading;
      if (this.#isCancelled) return false;
      if (done) {
        this.#hasEnded = true;
        break;
      }
      // Deno sends the head, and breaks the answer off, for a chunk of any
      // type.
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

  /** Sends the head alone, unless the first chunk is there at once. */
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

  /** Counts a chunk, and returns the part that may be sent. */
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
    // An empty chunk would be the last one.
    if (byteLength > 0) this.sink.data(chunk);
  }

  async #writeLarge(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    const { byteLength } = chunk;
    // A stream that closes right after a chunk closes one round later.
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

  /** Waits until the peer has read; `writeMs` limits that time. */
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

/** Returns a piece; a copy of memory that other threads may write to. */
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
  // The same text as Deno's, for programs that look for it.
  throw new TypeError(
    `Cannot send a chunk of type "${typeof value}": expected typed ` +
      "ArrayBufferView, which must be a Uint8Array",
  );
}

/** Streams that one connection may have behind whole answers. */
const ENDLESS_MAX = 16;

/** Pumps of whole answers that wait for the end of their streams. */
const waiting = new WeakMap<object, Set<StreamPump>>();

/**
 * Waits for the end of a stream behind its whole answer, and reports an error
 * or further bytes. When a connection has more than sixteen such streams, the
 * oldest is cancelled.
 */
export async function watchEnd(
  connection: { readonly service: Service },
  pump: StreamPump,
): Promise<void> {
  const pumps = waiting.get(connection) ?? new Set();
  waiting.set(connection, pumps.add(pump));
  const [oldest] = pumps;
  if (pumps.size > ENDLESS_MAX) oldest!.cancel();
  try {
    await pump.expectEnd();
  } catch (error) {
    reportStream(connection.service, error);
  }
  pumps.delete(pump);
}

/**
 * Reports a failed stream to `onError`, as Deno does. The response of `onError`
 * is not sent, since the answer had begun.
 */
export async function reportStream(
  { onError, report }: Service,
  error: unknown,
): Promise<void> {
  try {
    const response = await onError(error);
    response?.body?.cancel().catch(() => {});
  } catch (second) {
    report(second, ON_ERROR_FAILED);
  }
}

/** Cancels the streams behind whole answers of a connection that is gone. */
export function cancelEndless(connection: object): void {
  waiting.get(connection)?.forEach((pump) => pump.cancel());
}
