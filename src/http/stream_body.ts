/**
 * A request's body as its request reads it, and one that is a stream.
 *
 * @module
 */

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
