/**
 * The body of a request on its way in: framing, buffering, backpressure.
 *
 * @module
 */

import { ByteQueue } from "../bytes/byte_queue.ts";
import { ChunkedDecoder, type DataSink } from "./h1/chunked.ts";
import { HttpError } from "./errors.ts";
import { forgive } from "./unawaited.ts";

/**
 * Memory that a body which nobody reads may take before reading from the peer
 * stops.
 */
const MEMORY_BYTES_MAX = 65_536;
/**
 * What was read and is kept is copied up to this length, a quarter of a read
 * buffer: what is referred to keeps all of that in memory, and is counted so.
 */
const COPY_BYTES_MAX = 16_384;

/** What a body needs of its connection. */
export interface BodyHost {
  /** Somebody wants bytes: read on, and send `100 Continue` if it is due. */
  wantBody(): void;
  /** The rest is thrown away, or kept for whoever reads it: read on. */
  resumeBody(): void;
  /** Enough bytes wait: stop reading. */
  pauseBody(): void;
  /** The body takes more or less memory than before. */
  countBody(): void;
  /** A reading of the body that nobody waits for has failed. */
  reportBody(error: unknown): void;
}

/** A body as its request reads it. */
export interface RequestBody {
  /** Whether somebody has read of it. */
  readonly isUsed: boolean;
  /** Whether it was read, or somebody else is reading it. */
  readonly isUnusable: boolean;
  /** It as a stream of bytes, the same each time. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * Resolves to all of it in one array.
   *
   * @param isOwned Whether the array is for somebody to keep, or change; else it
   * may lie in a buffer that other requests share.
   */
  collect(isOwned?: boolean): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The same without a promise, where all has come and nobody has read of it;
   * else nothing.
   */
  collectNow(isOwned: boolean): Uint8Array<ArrayBuffer> | undefined;
  /** Returns two that read the same bytes; this one is locked from now on. */
  tee(): [RequestBody, RequestBody];
  /** Lets go of the buffers that small parts of it lie in. */
  detach(): void;
}

/**
 * A request's body while it comes. A body that comes whole with its head is
 * referred to where it was read; any other is in a queue.
 */
export class IncomingBody implements RequestBody {
  readonly #host: BodyHost;
  readonly #decoder: ChunkedDecoder | undefined;
  readonly #sink: DataSink | undefined;
  readonly #bytesMax: number;
  #remaining: number;
  /** All that waits, as long as that is one run of read bytes. */
  #run: Uint8Array<ArrayBuffer> | undefined;
  /** All that waits, otherwise. */
  #queue: ByteQueue | undefined;
  #received = 0;
  #marked = 0;
  #markedTaken = 0;
  #isComplete = false;
  #isDiscarded = false;
  #isDetached = false;
  #isKept = false;
  /** Whether its stream has been read of. */
  #isBegun = false;
  #collects = false;
  /** Its stream, once somebody has it as one. */
  #streamed: StreamBody | undefined;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  /**
   * @param length The body's length, or `undefined` when it is chunked.
   * @param bytesMax How many bytes it may have.
   */
  constructor(host: BodyHost, length: number | undefined, bytesMax: number) {
    this.#host = host;
    this.#remaining = length ?? 0;
    this.#bytesMax = bytesMax;
    if (length !== undefined) return;
    this.#decoder = new ChunkedDecoder(bytesMax);
    this.#sink = (bytes, start, end) => this.#take(bytes, start, end);
  }

  /** Whether all of it has come. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether somebody has read of it. */
  get isUsed(): boolean {
    return this.#collects || this.#streamed?.isUsed === true;
  }

  /** Whether it was read, or somebody else is reading it. */
  get isUnusable(): boolean {
    return this.#collects || this.#streamed?.isUnusable === true;
  }

  /** Whether somebody has it as a stream. */
  get isStreamed(): boolean {
    return this.#streamed !== undefined;
  }

  /** Whether what comes of it is thrown away. */
  get isDiscarded(): boolean {
    return this.#isDiscarded;
  }

  /**
   * Whether somebody reads what is still to come: collects it, or has the lock
   * of its stream or of a clone's.
   */
  get isHeld(): boolean {
    if (this.#isComplete || this.#isDiscarded) return false;
    return this.#collects || this.#streamed?.isHeld === true;
  }

  /** Whether a reader waits for bytes, or has not had any yet. */
  get isAwaited(): boolean {
    return this.#wake !== undefined || !this.#isBegun;
  }

  /**
   * Whether memory is taken for all of it, however fast it is read: somebody
   * collects it, it is kept, or one clone is read and another is not.
   */
  get isGathered(): boolean {
    return this.#collects || this.#isKept ||
      this.#streamed?.hasIdleBranch === true;
  }

  /**
   * Bytes of memory that it takes, but for a whole body that is being taken
   * out. Clones take what was read of one and not yet of another, which is known
   * as long as one of them was not read at all.
   */
  get memoryBytes(): number {
    const isOver = this.#isDiscarded || this.#error !== undefined;
    const isCloned = !isOver && this.#streamed?.hasIdleBranch === true;
    const run = this.#collects ? undefined : this.#run;
    return (this.#queue?.memoryBytes ?? 0) + (isCloned ? this.#taken : 0) +
      (run?.buffer.byteLength ?? 0);
  }

  /** How many bytes are known to be still to come; infinity when chunked. */
  get remaining(): number {
    if (this.#isComplete) return 0;
    return this.#decoder === undefined ? this.#remaining : Infinity;
  }

  /** How many bytes of data have come. */
  get received(): number {
    return this.#received;
  }

  /** How many bytes of data have come since {@linkcode IncomingBody.mark}. */
  get receivedSinceMark(): number {
    return this.#received - this.#marked;
  }

  /** Whether any was taken out since then. */
  get isTakenSinceMark(): boolean {
    return this.#taken > this.#markedTaken;
  }

  /** Counts from here on. */
  mark(): void {
    this.#marked = this.#received;
    this.#markedTaken = this.#taken;
  }

  /** How many bytes of its stream were read. */
  get #taken(): number {
    return this.#received - (this.#queue?.byteLength ?? 0);
  }

  /**
   * Takes what of the bytes belongs to the body and returns where it ends. When
   * that makes it complete, or it is gathered, the bytes may be referred to, not
   * copied: the caller keeps them as they are.
   *
   * @throws {HttpError} when framing or size is wrong.
   */
  feed(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): number {
    const at = this.#decoder === undefined
      ? this.#feedCounted(bytes, start, end)
      : this.#decoder.feed(bytes, start, end, this.#sink!);
    if (this.#decoder?.isDone) this.#isComplete = true;
    // Nobody would copy it later where it is left.
    const mayRefer = this.#isComplete && (!this.#isDetached || this.#collects);
    if (!mayRefer) this.#keepRun();
    if (this.#isComplete || at > start) this.#wakeConsumer();
    if (!this.#isComplete && !this.#collects && !this.#isKept) {
      const memoryBytes = this.#queue?.memoryBytes ?? 0;
      if (memoryBytes >= MEMORY_BYTES_MAX) this.#host.pauseBody();
    }
    return at;
  }

  /** Has all of it come, and wait for its reader. */
  keep(): void {
    this.#isKept = true;
    this.#host.resumeBody();
  }

  /**
   * Ends the body before its time. Whoever reads it gets `error`, in the class
   * that `Deno.serve` gives a body whose client has gone.
   */
  fail(error: Error): void {
    if (this.#isComplete) return;
    this.#error ??= error instanceof HttpError ? error : unavailable(error);
    if (this.#collects) this.#free();
    else this.#keepRun();
    this.#host.countBody();
    this.#wakeConsumer();
  }

  /** Lets go of the buffers that small parts of it lie in. */
  detach(): void {
    this.#isDetached = true;
    const run = this.#run;
    if (run === undefined || run.byteLength > COPY_BYTES_MAX) return;
    if (run.byteLength < run.buffer.byteLength) this.#run = run.slice();
  }

  /** Throws away what has come and still comes; it cannot be read any more. */
  discard(): void {
    this.#isDiscarded = true;
    this.#free();
    this.#wakeConsumer();
  }

  /** Resolves to all of it: see {@linkcode RequestBody.collect}. */
  async collect(isOwned: boolean = false): Promise<Uint8Array<ArrayBuffer>> {
    if (this.isUnusable) throw new TypeError("Body already consumed");
    this.#collects = true;
    this.#streamed?.lock();
    while (!this.#isComplete) await this.#more();
    this.#throwIfFailed();
    return this.#takeAll(isOwned);
  }

  /** Returns all of it: see {@linkcode RequestBody.collectNow}. */
  collectNow(isOwned: boolean): Uint8Array<ArrayBuffer> | undefined {
    const isThere = this.#isComplete && !this.#isDiscarded;
    if (!isThere || this.#collects || this.#streamed !== undefined) {
      return undefined;
    }
    this.#collects = true;
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
    // One that fills its buffer shares it with nobody.
    const isShared = run.byteLength < run.buffer.byteLength;
    return isOwned && isShared ? run.slice() : run;
  }

  /** It as a stream of bytes, which reads only when it is read. */
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
      if (this.#collects) this.#streamed.lock();
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

  /** Returns the queue, with a copy of what was only referred to. */
  #keepRun(): ByteQueue | undefined {
    const run = this.#run;
    if (run === undefined) return this.#queue;
    this.#run = undefined;
    const queue = this.#queue = new ByteQueue();
    queue.push(run, 0, run.byteLength);
    return queue;
  }

  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    this.#isBegun = true;
    for (;;) {
      const chunk = this.#takeChunk();
      if (chunk !== undefined) return chunk;
      if (this.#isComplete) break;
      await this.#more();
    }
    this.#throwIfFailed();
    return undefined;
  }

  /** Takes bytes in a buffer of their own: a byte stream takes that away. */
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

  #wakeConsumer(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #throwIfFailed(): void {
    if (this.#isDiscarded) {
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

  #feedCounted(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    const stop = Math.min(end, start + this.#remaining);
    if (stop > start) this.#take(bytes, start, stop);
    this.#remaining -= stop - start;
    if (this.#remaining === 0) this.#isComplete = true;
    return stop;
  }

  #take(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    this.#received += end - start;
    if (this.#received > this.#bytesMax) {
      throw new HttpError(
        413,
        `The body is larger than ${this.#bytesMax} bytes`,
      );
    }
    if (this.#isDiscarded) return;
    const queue = this.#keepRun();
    if (queue === undefined) this.#run = bytes.subarray(start, end);
    else if (this.#collects && end - start > COPY_BYTES_MAX) {
      queue.pushOwned(bytes, start, end);
    } else queue.push(bytes, start, end);
  }
}

/**
 * A body that is all in a stream: that of an {@linkcode IncomingBody}, a branch
 * of it, or one without a byte. A `Response` around the stream knows what a
 * stream does not tell: whether it was read.
 */
export class StreamBody implements RequestBody {
  readonly #response: Response;
  /** Those that it was shared out to, which have it locked. */
  #branches: [StreamBody, StreamBody] | undefined;

  /** @param body What `Response` takes; nothing is read of it here. */
  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>> | string) {
    this.#response = new Response(body);
  }

  /** Whether somebody has read of it. */
  get isUsed(): boolean {
    return this.#response.bodyUsed;
  }

  /** Whether it was read, or somebody else is reading it. */
  get isUnusable(): boolean {
    return this.isUsed || this.stream.locked;
  }

  /** Whether somebody has the lock of it, or of a branch of it. */
  get isHeld(): boolean {
    return this.#branches?.some(({ isHeld }) => isHeld) ?? this.stream.locked;
  }

  /** Whether it has branches, and one of them was not read yet. */
  get hasIdleBranch(): boolean {
    return this.#branches?.some(({ isIdle }) => isIdle) === true;
  }

  /** Whether nobody has begun to read it, or a branch of it. */
  get isIdle(): boolean {
    return this.#branches === undefined ? !this.isUnusable : this.hasIdleBranch;
  }

  /** The stream. */
  get stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#response.body!;
  }

  /** Has nobody read it any more. */
  lock(): void {
    this.stream.getReader();
  }

  /** Resolves to all of it. */
  collect(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#response.bytes();
  }

  /** Returns nothing: a stream comes by promises. */
  collectNow(): undefined {
    return undefined;
  }

  /** Returns two that read the same bytes. */
  tee(): [RequestBody, RequestBody] {
    const [left, right] = this.stream.tee();
    return this.#branches = [new StreamBody(left), new StreamBody(right)];
  }

  /** Does nothing: a stream's bytes are its own. */
  detach(): void {}
}

/** As `Deno.serve` says it; why it is so is the cause. */
function unavailable(cause: Error): Error {
  return new Deno.errors.BadResource(
    "Cannot read request body as underlying resource unavailable",
    { cause },
  );
}
