/**
 * The body of a request on its way to its reader: buffering, backpressure.
 *
 * Where the body ends is for the connection to know, by the rules of its
 * protocol; here are the bytes, and what becomes of them.
 *
 * @module
 */

import { ByteQueue } from "../bytes/byte_queue.ts";
import { HttpError } from "./errors.ts";
import { type RequestBody, StreamBody } from "./stream_body.ts";
import { forgive } from "./unawaited.ts";

/**
 * Memory that a body which nobody reads may take before reading from the peer
 * stops.
 */
const MEMORY_BYTES_MAX = 65_536;
/**
 * Bytes up to this number are copied when they are kept, a quarter of a read
 * buffer: a reference to them keeps the whole buffer in memory, and is counted
 * as such.
 */
const COPY_BYTES_MAX = 16_384;

/** How a body is read. */
const Reader = {
  /** Nobody has begun, though somebody may have the stream. */
  NONE: 0,
  /** The stream has been read from. */
  STREAM: 1,
  /** Somebody has asked for all of it in one array. */
  COLLECTOR: 2,
} as const;

/** What becomes of the bytes that have come and that still come. */
const Keeping = {
  /** Bytes may stay in the buffer that they were read into. */
  REFERRED: 0,
  /** They are copied: the handler waits, and the buffer is needed again. */
  COPIED: 1,
  /** All of them are kept, however many, for a reader that may be slow. */
  GATHERED: 2,
  /** They are thrown away; the body cannot be read any more. */
  DISCARDED: 3,
} as const;

/** What a body needs of its connection. */
export interface BodySupply {
  /** A reader wants bytes: read on, and send `100 Continue` if it is due. */
  wantBody(): void;
  /** The rest is thrown away, or kept for its reader: read on. */
  resumeBody(): void;
  /** Enough bytes wait: stop reading. */
  pauseBody(): void;
  /** The body takes more or less memory than before. */
  countBody(): void;
  /** A reading of the body that nobody waits for has failed. */
  reportBody(error: unknown): void;
}

/**
 * A request's body while it comes. A body that comes whole with its head is
 * referred to where it was read; any other is in a queue.
 */
export class IncomingBody implements RequestBody {
  readonly #host: BodySupply;
  /** All that waits, as long as that is one run of read bytes. */
  #run: Uint8Array<ArrayBuffer> | undefined = undefined;
  /** All that waits, otherwise. */
  #queue: ByteQueue | undefined = undefined;
  #received = 0;
  #isComplete = false;
  /** One of `Reader`. */
  #reader: number = Reader.NONE;
  /** One of `Keeping`. */
  #keeping: number = Keeping.REFERRED;
  /** The body as a stream, once somebody has asked for that. */
  #streamed: StreamBody | undefined = undefined;
  /** Why no more bytes come, when the body has ended before its time. */
  #error: Error | undefined = undefined;
  #wake: (() => void) | undefined = undefined;

  /** Made by the connection that the body comes on. */
  constructor(host: BodySupply) {
    this.#host = host;
  }

  /** Whether all of it has come. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether somebody has read of it. */
  get isUsed(): boolean {
    return this.#isCollected || this.#streamed?.isUsed === true;
  }

  /** Whether it was read, or somebody else is reading it. */
  get isUnusable(): boolean {
    return this.#isCollected || this.#streamed?.isUnusable === true;
  }

  /** Whether somebody has it as a stream. */
  get isStreamed(): boolean {
    return this.#streamed !== undefined;
  }

  /** Whether its bytes are thrown away. */
  get isDiscarded(): boolean {
    return this.#keeping === Keeping.DISCARDED;
  }

  /**
   * Whether somebody reads the bytes that are still to come: collects them, or
   * has the lock of the stream or of a clone's.
   */
  get isHeld(): boolean {
    if (this.#isComplete || this.isDiscarded) return false;
    return this.#isCollected || this.#streamed?.isHeld === true;
  }

  /** Whether a reader waits for bytes, or has not had any yet. */
  get isAwaited(): boolean {
    return this.#wake !== undefined || this.#reader !== Reader.STREAM;
  }

  /**
   * Whether memory is taken for all of it, however fast it is read: somebody
   * collects it, it is gathered for a reader, or one clone is read and another
   * is not.
   */
  get isGathered(): boolean {
    return this.#isCollected || this.#keeping === Keeping.GATHERED ||
      this.#streamed?.hasIdleBranch === true;
  }

  /**
   * Bytes of memory that it takes, but for a whole body that is being taken
   * out. Clones take the bytes that one of them has read and the other has not,
   * which are known as long as one of them was not read at all.
   */
  get memoryBytes(): number {
    const isOver = this.isDiscarded || this.#error !== undefined;
    const isCloned = !isOver && this.#streamed?.hasIdleBranch === true;
    const run = this.#isCollected ? undefined : this.#run;
    return (this.#queue?.memoryBytes ?? 0) + (isCloned ? this.taken : 0) +
      (run?.buffer.byteLength ?? 0);
  }

  /** How many bytes have come. */
  get received(): number {
    return this.#received;
  }

  /** How many bytes its reader has taken. */
  get taken(): number {
    return this.#received - (this.#queue?.byteLength ?? 0);
  }

  get #isCollected(): boolean {
    return this.#reader === Reader.COLLECTOR;
  }

  /**
   * Takes bytes of the body. They may be referred to until
   * {@linkcode IncomingBody.settle} is called. How many there may be is for the
   * caller to check.
   */
  push(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    this.#received += end - start;
    if (this.isDiscarded) return;
    const queue = this.#keepRun();
    if (queue === undefined) this.#run = bytes.subarray(start, end);
    else if (this.#isCollected && end - start > COPY_BYTES_MAX) {
      queue.pushOwned(bytes, start, end);
    } else queue.push(bytes, start, end);
  }

  /**
   * Ends a run of pushes, and notifies the reader. Bytes of a body that is
   * complete now, or gathered, may be referred to from now on: the caller
   * keeps them as they are. All others have been copied.
   *
   * @param isComplete Whether the body ends here.
   * @param isMore Whether anything has come.
   */
  settle(isComplete: boolean, isMore: boolean): void {
    if (isComplete) this.#isComplete = true;
    // A handler that waits would copy the bytes later, where they are left.
    const mayRefer = isComplete &&
      (this.#keeping === Keeping.REFERRED || this.#isCollected);
    if (!mayRefer) this.#keepRun();
    if (isComplete || isMore) this.#wakeReader();
    if (isComplete || this.#isCollected) return;
    if (this.#keeping === Keeping.GATHERED) return;
    const memoryBytes = this.#queue?.memoryBytes ?? 0;
    if (memoryBytes >= MEMORY_BYTES_MAX) this.#host.pauseBody();
  }

  /** Has all of it come, and wait for its reader. */
  gather(): void {
    this.#keeping = Keeping.GATHERED;
    this.#host.resumeBody();
  }

  /**
   * Ends the body before its time. Its reader gets `error`, in the class that
   * `Deno.serve` gives a body whose client has gone.
   */
  fail(error: Error): void {
    if (this.#isComplete) return;
    this.#error ??= error instanceof HttpError ? error : unavailable(error);
    if (this.#isCollected) this.#free();
    else this.#keepRun();
    this.#host.countBody();
    this.#wakeReader();
  }

  /** Lets go of the buffers that small parts of it lie in. */
  detach(): void {
    if (this.#keeping === Keeping.REFERRED) this.#keeping = Keeping.COPIED;
    const run = this.#run;
    if (run === undefined || run.byteLength > COPY_BYTES_MAX) return;
    if (run.byteLength < run.buffer.byteLength) this.#run = run.slice();
  }

  /** Throws its bytes away, also those to come: it cannot be read any more. */
  discard(): void {
    this.#keeping = Keeping.DISCARDED;
    this.#free();
    this.#wakeReader();
  }

  /** Resolves to all of it: see {@linkcode RequestBody.collect}. */
  async collect(isOwned: boolean = false): Promise<Uint8Array<ArrayBuffer>> {
    if (this.isUnusable) throw new TypeError("Body already consumed");
    this.#reader = Reader.COLLECTOR;
    this.#streamed?.lock();
    while (!this.#isComplete) await this.#more();
    this.#throwIfFailed();
    return this.#takeAll(isOwned);
  }

  /** Returns all of it: see {@linkcode RequestBody.collectNow}. */
  collectNow(isOwned: boolean): Uint8Array<ArrayBuffer> | undefined {
    const isThere = this.#isComplete && !this.isDiscarded;
    if (!isThere || this.#isCollected || this.#streamed !== undefined) {
      return undefined;
    }
    this.#reader = Reader.COLLECTOR;
    return this.#takeAll(isOwned);
  }

  #takeAll(isOwned: boolean): Uint8Array<ArrayBuffer> {
    const run = this.#run;
    if (run === undefined) {
      const all = this.#queue?.take() ?? new Uint8Array(0);
      this.#free();
      return all;
    }
    this.#run = undefined;
    // A run that fills its buffer shares it with nobody.
    const isShared = run.byteLength < run.buffer.byteLength;
    return isOwned && isShared ? run.slice() : run;
  }

  /** The body as a stream of bytes, which reads only when it is read. */
  get stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#streamBody().stream;
  }

  /** Returns two that read the same bytes. */
  tee(): [RequestBody, RequestBody] {
    // The request has its branch from now on, and detaches that one.
    this.detach();
    return this.#streamBody().tee();
  }

  #streamBody(): StreamBody {
    if (this.#streamed === undefined) {
      this.#streamed = new StreamBody(this.#makeStream());
      if (this.#isCollected) this.#streamed.lock();
    }
    return this.#streamed;
  }

  #makeStream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      type: "bytes",
      pull: async (controller) => {
        const chunk = await this.#next();
        if (chunk !== undefined) return controller.enqueue(chunk);
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel: () => {
        this.discard();
        this.#host.resumeBody();
      },
    }, { highWaterMark: 0 });
  }

  #free(): void {
    this.#run = undefined;
    if (this.#queue === undefined) return;
    this.#queue = undefined;
    this.#host.countBody();
  }

  /** Returns the queue, with a copy of the run that was referred to. */
  #keepRun(): ByteQueue | undefined {
    const run = this.#run;
    if (run === undefined) return this.#queue;
    this.#run = undefined;
    const queue = this.#queue = new ByteQueue();
    queue.push(run, 0, run.byteLength);
    return queue;
  }

  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#reader === Reader.NONE) this.#reader = Reader.STREAM;
    for (;;) {
      const chunk = this.#takeChunk();
      if (chunk !== undefined) return chunk;
      if (this.#isComplete) break;
      await this.#more();
    }
    this.#throwIfFailed();
    return undefined;
  }

  /** Takes bytes in a buffer of their own: a byte stream transfers it. */
  #takeChunk(): Uint8Array<ArrayBuffer> | undefined {
    const run = this.#run;
    this.#run = undefined;
    if (run !== undefined) return run.slice();
    const chunk = this.#queue?.takeFirst();
    if (chunk !== undefined) this.#host.countBody();
    return chunk;
  }

  async #more(): Promise<void> {
    this.#throwIfFailed();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    this.#host.wantBody();
    await promise;
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #throwIfFailed(): void {
    if (this.isDiscarded) {
      this.#error ??= new TypeError(
        "The body is gone: its request was answered",
      );
    }
    const error = this.#error;
    if (error === undefined) return;
    const host = this.#host;
    if (this.isStreamed) forgive(error, (error) => host.reportBody(error));
    throw error;
  }
}

/** The error that `Deno.serve` gives; why the body ended is its cause. */
function unavailable(cause: Error): Error {
  return new Deno.errors.BadResource(
    "Cannot read request body as underlying resource unavailable",
    { cause },
  );
}
