/**
 * A body as its request reads it, and a body that is a stream.
 *
 * @module
 */

/** A body as its request reads it. */
export interface RequestBody {
  /** Whether the program has read from it. */
  readonly isUsed: boolean;
  /** Whether it was read from, or is locked by a reader. */
  readonly isUnusable: boolean;
  /** The body as a stream of bytes, the same each time. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * Resolves to the whole body in one array.
   *
   * @param isOwned Whether the program may keep or change the array; otherwise
   * it may lie in a buffer that other requests share.
   */
  collect(isOwned?: boolean): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Returns the whole body without a promise; `undefined` when it has not
   * arrived yet, or was read from.
   */
  collectNow(isOwned: boolean): Uint8Array<ArrayBuffer> | undefined;
  /** Returns two bodies with the same bytes, and locks this one. */
  tee(): [RequestBody, RequestBody];
  /** Copies small parts, so that they do not keep large buffers in memory. */
  detach(): void;
}

/**
 * A body that is a stream: of an `IncomingBody`, a branch of one, or an empty
 * one. A `Response` around the stream knows whether the stream was read from,
 * which a stream does not show.
 */
export class StreamBody implements RequestBody {
  readonly #response: Response;
  /** The branches of `tee`, which lock this body. */
  #branches: [StreamBody, StreamBody] | undefined;

  /** @param body A body for a `Response`; nothing is read from it here. */
  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>> | string) {
    this.#response = new Response(body);
  }

  /** Whether the program has read from it. */
  get isUsed(): boolean {
    return this.#response.bodyUsed;
  }

  /** Whether it was read from, or is locked by a reader. */
  get isUnusable(): boolean {
    return this.isUsed || this.stream.locked;
  }

  /** Whether a reader holds its lock, or the lock of one of its branches. */
  get isHeld(): boolean {
    return this.#branches?.some(({ isHeld }) => isHeld) ?? this.stream.locked;
  }

  /** Whether it has branches, one of them not read from yet. */
  get hasIdleBranch(): boolean {
    return this.#branches?.some(({ isIdle }) => isIdle) === true;
  }

  /** Whether it, or one of its branches, was not read from yet. */
  get isIdle(): boolean {
    return this.#branches === undefined ? !this.isUnusable : this.hasIdleBranch;
  }

  /** The stream. */
  get stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#response.body!;
  }

  /** Locks the stream, so that it cannot be read any more. */
  lock(): void {
    this.stream.getReader();
  }

  /** Resolves to the whole body. */
  collect(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#response.bytes();
  }

  /** Returns `undefined`: a stream is read by promises. */
  collectNow(): undefined {
    return undefined;
  }

  /** Returns two bodies with the same bytes. */
  tee(): [RequestBody, RequestBody] {
    const [left, right] = this.stream.tee();
    return this.#branches = [new StreamBody(left), new StreamBody(right)];
  }

  /** Does nothing: a stream refers to no shared buffer. */
  detach(): void {}
}
