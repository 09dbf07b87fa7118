/**
 * The body of the current request as HTTP/1.1 sends it: where it ends, how fast
 * it must come, and what becomes of a body that its handler does not read.
 *
 * @module
 */

import { type BodySupply, IncomingBody } from "../body.ts";
import { HttpError } from "../errors.ts";
import { encodeLatin1 } from "../latin1.ts";
import type { ResponseParts } from "../response.ts";
import type { Service } from "../service.ts";
import type { HttpTransport } from "../transport.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { HeadFlag, type RequestHead } from "./head.ts";

// Deno's globals are getters, which cost a call.
const { ReadableStream } = globalThis;

/** How far the body and the answer to its request are. */
const Phase = {
  /** The client sends the body when it is told to: `Expect: 100-continue`. */
  EXPECTED: 0,
  /** The body comes, and its request is not answered. */
  COMING: 1,
  /** Its request is answered; the rest is read for a reader, or for nothing. */
  ANSWERED: 2,
  /** The connection closes, and wants nothing of the body any more. */
  OVER: 3,
} as const;

/**
 * Time over which a body's rate is taken: a client that pauses between two
 * writes is not slow.
 */
const WINDOW_MS = 10_000;
const SECOND_MS = 1_000;
/**
 * A body that was looked at and is not wanted any more is read to its end up to
 * this size, so that the connection can be used again; for more, a new
 * connection is cheaper.
 */
const DISCARD_BYTES_MAX = 262_144;
/** What is said before the error of a reading that nobody waits for. */
const BODY_FAILED = "Reading a request body failed, and nobody waited for it";
const CONTINUE = encodeLatin1("HTTP/1.1 100 Continue\r\n\r\n");

/** What a head says of the body behind it. */
type BodyHead = Pick<RequestHead, "flags" | "contentLength" | "hasNoBody">;

/** What a body needs of the connection that it comes on. */
export interface IntakeOwner {
  readonly transport: HttpTransport;
  readonly service: Service;
  /** Whether reading is stopped. */
  readonly isPaused: boolean;
  /** Whether the connection is used again after the current answer. */
  readonly isKeptAlive: boolean;
  /** Stops reading. */
  pause(): void;
  /** Goes on reading. */
  unpause(): void;
  /** The body takes more or less memory than before. */
  countHeld(): void;
  /** All of the body has come. */
  bodyEnded(): void;
  /** The body will never be whole. */
  failBody(error: HttpError): void;
  /** Closes after the last answer. */
  closeAnswered(): void;
}

/** One request's body on its way in. */
export class BodyIntake implements BodySupply {
  /** The bytes that have come. */
  readonly body: IncomingBody;
  readonly #owner: IntakeOwner;
  /** Decodes chunks; a body of known length needs no decoder. */
  readonly #decoder: ChunkedDecoder | undefined;
  /** Bytes of a body of known length that are still to come. */
  #remaining = 0;
  /** One of `Phase`. */
  #phase: number;
  /** Bytes received, and taken by the reader, when the window began. */
  #marked = 0;
  #markedTaken = 0;

  /**
   * @param head A head that says that a body follows.
   * @param bytesMax How many bytes the body may have; a head that says that
   * there are more was refused.
   */
  constructor(owner: IntakeOwner, head: BodyHead, bytesMax: number) {
    this.#owner = owner;
    this.body = new IncomingBody(this);
    const isChunked = (head.flags & HeadFlag.CHUNKED) !== 0;
    this.#decoder = isChunked ? new ChunkedDecoder(bytesMax) : undefined;
    if (!isChunked) this.#remaining = head.contentLength;
    const isExpected = (head.flags & HeadFlag.EXPECT_CONTINUE) !== 0;
    this.#phase = isExpected ? Phase.EXPECTED : Phase.COMING;
    if (head.hasNoBody) this.body.discard();
  }

  /** Whether the request of the body is answered. */
  get isAnswered(): boolean {
    return this.#phase === Phase.ANSWERED;
  }

  /**
   * Takes the bytes that belong to the body and returns where they end.
   *
   * @throws {HttpError} when framing or size is wrong.
   */
  feed(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): number {
    const { body } = this;
    const decoder = this.#decoder;
    const at = decoder === undefined
      ? this.#feedCounted(bytes, start, end)
      : decoder.feed(bytes, start, end, body);
    const isComplete = decoder === undefined
      ? this.#remaining === 0
      : decoder.isDone;
    body.settle(isComplete, at > start);
    if (this.#phase === Phase.EXPECTED) this.#phase = Phase.COMING;
    if (isComplete) {
      this.#owner.bodyEnded();
      return at;
    }
    if (body.isGathered) this.#checkRoom();
    if (this.isAnswered) this.#checkRest();
    return at;
  }

  #feedCounted(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    const stop = Math.min(end, start + this.#remaining);
    if (stop > start) this.body.push(bytes, start, stop);
    this.#remaining -= stop - start;
    return stop;
  }

  /**
   * Ends a body for which memory is taken when all peers together have too much.
   *
   * @throws {HttpError} 503, of RFC 9110 section 15.6.4.
   */
  #checkRoom(): void {
    const { transport, service } = this.#owner;
    this.#owner.countHeld();
    if (!transport.isOverfull) return;
    const error = new HttpError(503, "Connections take all memory they may");
    service.report(error);
    throw error;
  }

  /**
   * Begins a time in which the body must bring enough. A server that is closing
   * looks at each body that it still waits for.
   */
  watch(): void {
    const { limits, isClosing } = this.#owner.service;
    if (this.#phase === Phase.EXPECTED) return;
    if (limits.bodyBytesPerSecondMin > 0 || isClosing) this.#mark();
  }

  /** Begins a time in which the body's reader must take something. */
  watchReader(): void {
    this.#mark();
  }

  #mark(): void {
    this.#marked = this.body.received;
    this.#markedTaken = this.body.taken;
    this.#owner.transport.setDeadline(WINDOW_MS);
  }

  /** Looks what the body has brought when its time is over. */
  check(): void {
    // The server did not want it yet, or has stopped reading: it is not slow.
    if (this.#phase === Phase.EXPECTED) return;
    if (this.#owner.isPaused) return this.#checkReader();
    const { bodyBytesPerSecondMin } = this.#owner.service.limits;
    const bytes = bodyBytesPerSecondMin * WINDOW_MS / SECOND_MS;
    if (this.body.received - this.#marked >= bytes) return this.watch();
    this.#owner.failBody(new HttpError(408, "The body came too slowly"));
  }

  /** Ends a body that keeps a closing server, and that nobody reads. */
  #checkReader(): void {
    if (!this.#owner.service.isClosing || !this.isAnswered) return;
    if (this.body.taken > this.#markedTaken) this.#mark();
    else this.#owner.closeAnswered();
  }

  /**
   * The answer begins: a client that waits for it is told to send its body, or
   * need not send it any more.
   *
   * @returns Whether the connection must close after the answer.
   */
  answerBegins({ status, body: answer }: ResponseParts): boolean {
    const { body } = this;
    if (this.#phase === Phase.EXPECTED) {
      // The answer may be made of the body, also when its stream has not asked
      // for it yet: behind the head of the answer there is no 100 any more.
      const mayRead = answer instanceof ReadableStream &&
        (status < 300 || body.isStreamed);
      if (mayRead || body.isHeld) this.wantBody();
      else {
        this.#phase = Phase.COMING;
        return true;
      }
    }
    return this.#isIgnored || this.#isTooMuch;
  }

  /**
   * Whether a body comes at which its handler has not looked. As with
   * `Deno.serve`, the connection closes then, so that a client that gets its
   * answer early can stop sending; RFC 9112 section 9.3 leaves the choice.
   */
  get #isIgnored(): boolean {
    const { isComplete, isDiscarded, isStreamed, isUsed } = this.body;
    return !isComplete && !isDiscarded && !isStreamed && !isUsed;
  }

  /** Whether more is still to come than is read for nothing. */
  get #isTooMuch(): boolean {
    return !this.body.isHeld && this.#isMuch;
  }

  /** The same, also when somebody reads the body. */
  get #isMuch(): boolean {
    const { isComplete, received } = this.body;
    if (isComplete) return false;
    return this.#decoder === undefined
      ? this.#remaining > DISCARD_BYTES_MAX
      : received > DISCARD_BYTES_MAX;
  }

  /** The request is answered, and somebody still reads the body. */
  goOnReading(): void {
    const { body } = this;
    this.#phase = Phase.ANSWERED;
    // A reader that waits for nothing may have been forgotten: the next request
    // need not wait for it.
    if (!body.isAwaited && !this.#isMuch) body.gather();
    if (this.#owner.service.isClosing) this.#mark();
  }

  /** The request is answered, and nobody wants the rest of the body. */
  discard(): void {
    this.#phase = Phase.ANSWERED;
    this.body.discard();
    this.#owner.unpause();
    this.#checkRest();
  }

  /** Reads an unread body to its end, unless it is too much to read. */
  #checkRest(): void {
    const { body } = this;
    // Somebody reads it, though its request is answered.
    if (body.isHeld) return;
    body.discard();
    if (!this.#owner.isKeptAlive || this.#isTooMuch) {
      this.#owner.closeAnswered();
    }
  }

  /** The connection closes: nothing of the body is wanted any more. */
  end(): void {
    this.#phase = Phase.OVER;
    if (!this.body.isComplete) this.body.discard();
  }

  /** A reader wants bytes. */
  wantBody(): void {
    if (this.#phase === Phase.EXPECTED) {
      this.#phase = Phase.COMING;
      this.#owner.transport.write(CONTINUE);
      this.watch();
    }
    this.#owner.unpause();
  }

  /** Nobody has to wait for the rest of the body. */
  resumeBody(): void {
    this.#owner.unpause();
    if (!this.body.isComplete && this.isAnswered) this.#checkRest();
  }

  /** Nobody reads the body: it waits at the client. */
  pauseBody(): void {
    this.#owner.pause();
  }

  /** The body takes more or less memory than before. */
  countBody(): void {
    this.#owner.countHeld();
  }

  /** Reports the error of a reading that nobody waits for. */
  reportBody(error: unknown): void {
    this.#owner.service.report(error, BODY_FAILED);
  }
}
