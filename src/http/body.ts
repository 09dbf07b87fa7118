/**
 * The body of a request on its way in: framing, buffering, backpressure.
 *
 * @module
 */

import { ChunkedDecoder } from "./chunked.ts";
import { HttpError } from "./errors.ts";

/** Bytes that wait for a slow handler before reading from the peer stops. */
const BUFFER_BYTES = 65_536;
/**
 * Parts up to this size are copied when they must wait: each would keep a whole
 * read buffer in memory, which a client that sends single bytes could abuse.
 */
const COPY_BYTES_MAX = 16_384;

/** What a body needs of its connection. */
export interface BodyHost {
  /** Somebody wants bytes: read on, and send `100 Continue` if it is due. */
  wantBody(): void;
  /** Nobody wants the rest: read on, to throw it away. */
  resumeBody(): void;
  /** Enough bytes wait: stop reading. */
  pauseBody(): void;
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

/** A request's body while it comes. */
export class IncomingBody implements RequestBody {
  readonly #host: BodyHost;
  readonly #decoder: ChunkedDecoder | undefined;
  readonly #bytesMax: number;
  #remaining: number;
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #buffered = 0;
  #received = 0;
  #marked = 0;
  #isComplete = false;
  #isDiscarded = false;
  #collects = false;
  /** Whether its stream has been read of, or cloned. */
  #isBegun = false;
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
    this.#decoder = length === undefined
      ? new ChunkedDecoder(bytesMax)
      : undefined;
    this.#bytesMax = bytesMax;
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

  /** Whether somebody has what is still to come for itself. */
  get isHeld(): boolean {
    if (this.#isComplete || this.#isDiscarded) return false;
    return this.#collects || this.#streamed?.isLocked === true;
  }

  /**
   * Whether somebody waits for what is still to come, or is about to read it.
   * A reader that has read and waits for nothing may have been forgotten, and
   * clones have the stream locked, read or not.
   */
  get isWanted(): boolean {
    if (!this.isHeld) return false;
    return this.#collects || this.#wake !== undefined || !this.#isBegun;
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

  /** Counts from here on. */
  mark(): void {
    this.#marked = this.#received;
  }

  /**
   * Takes what of the bytes belongs to the body and returns where it ends. The
   * bytes may be referred to, not copied: the caller keeps them as they are.
   *
   * @throws {HttpError} when framing or size is wrong.
   */
  feed(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): number {
    const at = this.#decoder === undefined
      ? this.#feedCounted(bytes, start, end)
      : this.#decoder.feed(bytes, start, end, this.#take);
    if (this.#decoder?.isDone) this.#isComplete = true;
    if (this.#isComplete || at > start) this.#wakeConsumer();
    if (!this.#collects && this.#buffered >= BUFFER_BYTES) {
      if (!this.#isComplete) this.#host.pauseBody();
    }
    return at;
  }

  /**
   * Ends the body before its time. Whoever reads it gets `error`, in the class
   * that `Deno.serve` gives a body whose client has gone.
   */
  fail(error: Error): void {
    if (this.#isComplete) return;
    this.#error ??= error instanceof HttpError ? error : unavailable(error);
    this.#wakeConsumer();
  }

  /** Lets go of the buffers that small parts of it lie in. */
  detach(): void {
    const chunks = this.#chunks;
    for (let index = 0; index < chunks.length; index++) {
      const chunk = chunks[index]!;
      const { byteLength } = chunk;
      if (byteLength === chunk.buffer.byteLength) continue;
      if (byteLength <= COPY_BYTES_MAX) chunks[index] = chunk.slice();
    }
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
    const chunks = this.#chunks;
    const buffered = this.#buffered;
    const first = chunks[0];
    this.#free();
    if (first === undefined || chunks.length > 1) {
      return concat(chunks, buffered);
    }
    // One that fills its buffer shares it with nobody.
    const isShared = first.byteLength < first.buffer.byteLength;
    return isOwned && isShared ? first.slice() : first;
  }

  /** It as a stream of bytes, which reads only when it is read. */
  get stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    if (this.#streamed === undefined) {
      this.#streamed = new StreamBody(this.#makeStream());
      if (this.#collects) this.#streamed.lock();
    }
    return this.#streamed.stream;
  }

  /** Returns two that read the same bytes. */
  tee(): [RequestBody, RequestBody] {
    const [left, right] = this.stream.tee();
    this.#isBegun = true;
    // The request has its branch from now on, and detaches that one.
    this.detach();
    return [new StreamBody(left), new StreamBody(right)];
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
    this.#chunks = [];
    this.#buffered = 0;
  }

  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    this.#isBegun = true;
    while (this.#chunks.length === 0 && !this.#isComplete) await this.#more();
    const chunk = this.#chunks.shift();
    if (chunk === undefined) {
      this.#throwIfFailed();
      return undefined;
    }
    this.#buffered -= chunk.byteLength;
    // A copy: a byte stream takes the chunk's whole buffer away, and that is
    // shared with other requests.
    return chunk.slice();
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
    if (this.#error !== undefined) throw this.#error;
    if (this.#isDiscarded) {
      throw new TypeError("The body is gone: its request was answered");
    }
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

  readonly #take = (
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void => {
    this.#received += end - start;
    if (this.#received > this.#bytesMax) {
      throw new HttpError(
        413,
        `The body is larger than ${this.#bytesMax} bytes`,
      );
    }
    if (this.#isDiscarded) return;
    const length = end - start;
    const isWhole = this.#decoder === undefined && length === this.#remaining;
    const refers = isWhole || length > COPY_BYTES_MAX;
    this.#chunks.push(
      refers ? bytes.subarray(start, end) : bytes.slice(start, end),
    );
    this.#buffered += length;
  };
}

/**
 * A body that is all in a stream: that of an {@linkcode IncomingBody}, a branch
 * of it, or one without a byte. A `Response` around the stream knows what a
 * stream does not tell: whether it was read.
 */
export class StreamBody implements RequestBody {
  readonly #response: Response;

  /** @param body What `Response` takes; nothing is read of it here. */
  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>> | string) {
    this.#response = new Response(body);
  }

  /** Whether somebody has read of it. */
  get isUsed(): boolean {
    return this.#response.bodyUsed;
  }

  /** Whether somebody is reading it. */
  get isLocked(): boolean {
    return this.stream.locked;
  }

  /** Whether it was read, or somebody else is reading it. */
  get isUnusable(): boolean {
    return this.isUsed || this.isLocked;
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
    return [new StreamBody(left), new StreamBody(right)];
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

function concat(
  chunks: Uint8Array<ArrayBuffer>[],
  length: number,
): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return all;
}
