/**
 * The body of a request on its way to its reader: buffering and backpressure.
 *
 * The connection knows where the body ends, by the rules of its protocol. This
 * file only keeps the bytes for the reader.
 *
 * @module
 */

import { ByteQueue } from "../bytes/byte_queue.ts";
import { HttpError } from "./errors.ts";
import { type RequestBody, StreamBody } from "./stream_body.ts";
import { forgive } from "./unawaited.ts";

/**
 * Bytes of memory that an unread body may take before reading from the peer
 * stops.
 */
const MEMORY_BYTES_MAX = 65_536;
/**
 * Runs up to this size, a quarter of a read buffer, are copied when they are
 * kept: a reference keeps the whole buffer in memory, and counts for all of it.
 */
const COPY_BYTES_MAX = 16_384;

/** How the program reads a body. */
const Reader = {
  /** The program has not begun, though it may have the stream. */
  NONE: 0,
  /** The program has read from the stream. */
  STREAM: 1,
  /** The program has asked for the whole body in one array. */
  COLLECTOR: 2,
} as const;

/** What the body does with received bytes. */
const Keeping = {
  /** It refers to the buffer that the bytes were read into. */
  REFERRED: 0,
  /** It copies them: the handler waits, and the buffer is used again. */
  COPIED: 1,
  /** It keeps all of them, however many, for a reader that may be slow. */
  GATHERED: 2,
  /** It throws them away; the body cannot be read any more. */
  DISCARDED: 3,
} as const;

/** The connection, as a body uses it. */
export interface BodySupply {
  /**
   * A reader waits: read on, and send `100 Continue` if the client expects it.
   */
  wantBody(): void;
  /** The rest is thrown away, or kept whole for its reader: read on. */
  resumeBody(): void;
  /** Enough bytes wait for the reader: stop reading. */
  pauseBody(): void;
  /** The body takes another amount of memory: count it. */
  countBody(): void;
  /** A read of the body failed, and the program does not handle that. */
  reportBody(error: unknown): void;
}

/**
 * A request's body while it arrives. A body that arrives whole with its head
 * stays in the buffer that it was read into; any other body is in a queue.
 */
export class IncomingBody implements RequestBody {
  readonly #supply: BodySupply;
  /** All bytes that wait, as long as they are one run of a read buffer. */
  #run: Uint8Array<ArrayBuffer> | undefined = undefined;
  /** All bytes that wait, otherwise. */
  #queue: ByteQueue | undefined = undefined;
  #received = 0;
  #isComplete = false;
  /** One of `Reader`. */
  #reader: number = Reader.NONE;
  /** One of `Keeping`. */
  #keeping: number = Keeping.REFERRED;
  /** The body as a stream, once the program has asked for it. */
  #streamed: StreamBody | undefined = undefined;
  /** Why the body ended early. */
  #error: Error | undefined = undefined;
  #wake: (() => void) | undefined = undefined;

  /** @param supply The connection that the body arrives on. */
  constructor(supply: BodySupply) {
    this.#supply = supply;
  }

  /** Whether the whole body has arrived. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether the program has read from it. */
  get isUsed(): boolean {
    return this.#isCollected || this.#streamed?.isUsed === true;
  }

  /** Whether it was read from, or is locked by a reader. */
  get isUnusable(): boolean {
    return this.#isCollected || this.#streamed?.isUnusable === true;
  }

  /** Whether the program has it as a stream. */
  get isStreamed(): boolean {
    return this.#streamed !== undefined;
  }

  /** Whether its bytes are thrown away. */
  get isDiscarded(): boolean {
    return this.#keeping === Keeping.DISCARDED;
  }

  /**
   * Whether the program reads the bytes that are still to arrive: it collects
   * them, or holds the lock of the stream or of a clone's stream.
   */
  get isHeld(): boolean {
    if (this.#isComplete || this.isDiscarded) return false;
    return this.#isCollected || this.#streamed?.isHeld === true;
  }

  /** Whether a reader waits for bytes, or has not got any yet. */
  get isAwaited(): boolean {
    return this.#wake !== undefined || this.#reader !== Reader.STREAM;
  }

  /**
   * Whether the whole body takes memory, however fast it is read: the program
   * collects it, it is gathered for a reader, or one clone is read and the
   * other is not.
   */
  get isGathered(): boolean {
    return this.#isCollected || this.#keeping === Keeping.GATHERED ||
      this.#streamed?.hasIdleBranch === true;
  }

  /**
   * Bytes of memory that it takes, without a whole body that a collector takes
   * out. Clones take the bytes that only one of them has read; these can be
   * counted while the other was not read at all.
   */
  get memoryBytes(): number {
    const isOver = this.isDiscarded || this.#error !== undefined;
    const isCloned = !isOver && this.#streamed?.hasIdleBranch === true;
    const run = this.#isCollected ? undefined : this.#run;
    return (this.#queue?.memoryBytes ?? 0) + (isCloned ? this.taken : 0) +
      (run?.buffer.byteLength ?? 0);
  }

  /** Bytes received. */
  get received(): number {
    return this.#received;
  }

  /** Bytes that the reader has taken. */
  get taken(): number {
    return this.#received - (this.#queue?.byteLength ?? 0);
  }

  get #isCollected(): boolean {
    return this.#reader === Reader.COLLECTOR;
  }

  /**
   * Takes bytes of the body, and may refer to them until
   * {@linkcode IncomingBody.settle} is called. The caller checks the size of the body.
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
   * Ends a run of pushes, and wakes the reader. A body that is complete now, or
   * gathered, may refer to the bytes from now on, so the caller must not change
   * them. Any other body has copied them.
   *
   * @param isComplete Whether the body ends here.
   * @param isMore Whether bytes were pushed.
   */
  settle(isComplete: boolean, isMore: boolean): void {
    if (isComplete) this.#isComplete = true;
    // A pending handler keeps the body for longer than its turn: copy now.
    const mayRefer = isComplete &&
      (this.#keeping === Keeping.REFERRED || this.#isCollected);
    if (!mayRefer) this.#keepRun();
    if (isComplete || isMore) this.#wakeReader();
    if (isComplete || this.#isCollected) return;
    if (this.#keeping === Keeping.GATHERED) return;
    const memoryBytes = this.#queue?.memoryBytes ?? 0;
    if (memoryBytes >= MEMORY_BYTES_MAX) this.#supply.pauseBody();
  }

  /** Keeps the whole body for its reader, and reads on. */
  gather(): void {
    this.#keeping = Keeping.GATHERED;
    this.#supply.resumeBody();
  }

  /**
   * Ends the body early. Its reader gets `error`, as the cause of the error
   * that `Deno.serve` throws when the client has gone.
   */
  fail(error: Error): void {
    if (this.#isComplete) return;
    this.#error ??= error instanceof HttpError ? error : unavailable(error);
    if (this.#isCollected) this.#free();
    else this.#keepRun();
    this.#supply.countBody();
    this.#wakeReader();
  }

  /** Copies small parts, so that they do not keep large buffers in memory. */
  detach(): void {
    if (this.#keeping === Keeping.REFERRED) this.#keeping = Keeping.COPIED;
    const run = this.#run;
    if (run === undefined || run.byteLength > COPY_BYTES_MAX) return;
    if (run.byteLength < run.buffer.byteLength) this.#run = run.slice();
  }

  /** Throws its bytes away, also future ones: it cannot be read any more. */
  discard(): void {
    this.#keeping = Keeping.DISCARDED;
    this.#free();
    this.#wakeReader();
  }

  /** Resolves to the whole body: see {@linkcode RequestBody.collect}. */
  async collect(isOwned: boolean = false): Promise<Uint8Array<ArrayBuffer>> {
    if (this.isUnusable) throw new TypeError("Body already consumed");
    this.#reader = Reader.COLLECTOR;
    this.#streamed?.lock();
    while (!this.#isComplete) await this.#more();
    this.#throwIfFailed();
    return this.#takeAll(isOwned);
  }

  /** Returns the whole body: see {@linkcode RequestBody.collectNow}. */
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
    // A run that fills its buffer does not share it.
    const isShared = run.byteLength < run.buffer.byteLength;
    return isOwned && isShared ? run.slice() : run;
  }

  /** The body as a stream of bytes, which takes bytes only when it is read. */
  get stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#streamBody().stream;
  }

  /** Returns two bodies that read the same bytes. */
  tee(): [RequestBody, RequestBody] {
    // From now on the request has a branch, and detaches the branch only.
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
        this.#supply.resumeBody();
      },
    }, { highWaterMark: 0 });
  }

  #free(): void {
    this.#run = undefined;
    if (this.#queue === undefined) return;
    this.#queue = undefined;
    this.#supply.countBody();
  }

  /** Moves the run, if there is one, to a queue, and returns the queue. */
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

  /** Takes bytes in a buffer of their own, since a byte stream transfers it. */
  #takeChunk(): Uint8Array<ArrayBuffer> | undefined {
    const run = this.#run;
    this.#run = undefined;
    if (run !== undefined) return run.slice();
    const chunk = this.#queue?.takeFirst();
    if (chunk !== undefined) this.#supply.countBody();
    return chunk;
  }

  async #more(): Promise<void> {
    this.#throwIfFailed();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    this.#supply.wantBody();
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
    const supply = this.#supply;
    if (this.isStreamed) forgive(error, (error) => supply.reportBody(error));
    throw error;
  }
}

/** Returns the error that `Deno.serve` throws, with `cause` as its cause. */
function unavailable(cause: Error): Error {
  return new Deno.errors.BadResource(
    "Cannot read request body as underlying resource unavailable",
    { cause },
  );
}
