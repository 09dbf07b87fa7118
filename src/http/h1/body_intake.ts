/**
 * The body of the current request in HTTP/1.1: its end, its least rate, and the
 * rest that the handler does not read.
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

/** The states of a body and of the answer to its request. */
const Phase = {
  /** The client waits for `100 Continue` before it sends the body. */
  EXPECTED: 0,
  /** The client sends the body; its request is not answered. */
  COMING: 1,
  /** The request is answered; the rest is read for a reader, or discarded. */
  ANSWERED: 2,
  /** The connection closes: the rest is not read. */
  OVER: 3,
} as const;

/**
 * Milliseconds over which a body's rate is measured: a client may pause between
 * two writes.
 */
const WINDOW_MS = 10_000;
const SECOND_MS = 1_000;
/**
 * The rest of a body is discarded up to this size, so that the connection can
 * be used again; beyond it, a new connection is cheaper.
 */
const DISCARD_BYTES_MAX = 262_144;
/** The text that is reported before the error of an unhandled body read. */
const BODY_FAILED =
  "Reading a request body failed, and the handler did not catch it";
const CONTINUE = encodeLatin1("HTTP/1.1 100 Continue\r\n\r\n");

/** The part of a head that describes the body. */
type BodyHead = Pick<RequestHead, "flags" | "contentLength" | "hasNoBody">;

/** The connection, as a body uses it. */
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
  /** The body takes another amount of memory: count it. */
  countHeld(): void;
  /** The whole body has arrived. */
  bodyEnded(): void;
  /** The body will never be whole. */
  failBody(error: HttpError): void;
  /** Closes after the last answer. */
  closeAnswered(): void;
}

/** The body of one request while it arrives. */
export class BodyIntake implements BodySupply {
  /** The received bytes. */
  readonly body: IncomingBody;
  readonly #owner: IntakeOwner;
  /** Decodes chunks; `undefined` for a body of known length. */
  readonly #decoder: ChunkedDecoder | undefined;
  /** Missing bytes of a body of known length. */
  #remaining = 0;
  /** One of `Phase`. */
  #phase: number;
  /** Bytes received when the window began. */
  #marked = 0;
  /** Bytes that the reader had taken when the window began. */
  #markedTaken = 0;

  /**
   * @param head A head with a body behind it.
   * @param bytesMax The most bytes of the body. A head with a larger length was
   * refused before.
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
   * Takes the bytes of the body, and returns where they end.
   *
   * @throws {HttpError} when the framing is wrong, or the body too large.
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
   * Refuses more of a gathered body when all peers together take too much
   * memory.
   *
   * @throws {HttpError} 503: RFC 9110 section 15.6.4.
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
   * Begins a window in which the client must send enough. A closing server
   * checks each body that it waits for, also without a least rate.
   */
  watch(): void {
    const { limits, isClosing } = this.#owner.service;
    if (this.#phase === Phase.EXPECTED) return;
    if (limits.bodyBytesPerSecondMin > 0 || isClosing) this.#mark();
  }

  /** Begins a window in which the reader of the body must take bytes. */
  watchReader(): void {
    this.#mark();
  }

  #mark(): void {
    this.#marked = this.body.received;
    this.#markedTaken = this.body.taken;
    this.#owner.transport.setDeadline(WINDOW_MS);
  }

  /** Checks the received bytes at the end of a window. */
  check(): void {
    // The client waits for `100 Continue`, or for us to read: it is not slow.
    if (this.#phase === Phase.EXPECTED) return;
    if (this.#owner.isPaused) return this.#checkReader();
    const { bodyBytesPerSecondMin } = this.#owner.service.limits;
    const bytes = bodyBytesPerSecondMin * WINDOW_MS / SECOND_MS;
    if (this.body.received - this.#marked >= bytes) return this.watch();
    this.#owner.failBody(new HttpError(408, "The body came too slowly"));
  }

  /** Ends a body that delays a closing server and that its reader left. */
  #checkReader(): void {
    if (!this.#owner.service.isClosing || !this.isAnswered) return;
    if (this.body.taken > this.#markedTaken) this.#mark();
    else this.#owner.closeAnswered();
  }

  /**
   * The answer begins. A client that waits for `100 Continue` gets it now if
   * the answer may need the body, and need not send the body otherwise.
   *
   * @returns Whether the connection must close after the answer.
   */
  answerBegins({ status, body: answer }: ResponseParts): boolean {
    const { body } = this;
    if (this.#phase === Phase.EXPECTED) {
      // The answer's stream may read the body later, when the head of the
      // answer is sent and a 100 cannot be sent any more.
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
   * Whether the client still sends a body that the handler has not touched. As
   * with `Deno.serve`, the connection closes then, so that a client with an
   * early answer can stop sending; RFC 9112 section 9.3 allows it.
   */
  get #isIgnored(): boolean {
    const { isComplete, isDiscarded, isStreamed, isUsed } = this.body;
    return !isComplete && !isDiscarded && !isStreamed && !isUsed;
  }

  /** Whether the rest has no reader and is too large to discard. */
  get #isTooMuch(): boolean {
    return !this.body.isHeld && this.#isMuch;
  }

  /** Whether the rest is too large to discard. */
  get #isMuch(): boolean {
    const { isComplete, received } = this.body;
    if (isComplete) return false;
    return this.#decoder === undefined
      ? this.#remaining > DISCARD_BYTES_MAX
      : received > DISCARD_BYTES_MAX;
  }

  /** The request is answered, and the program still reads the body. */
  goOnReading(): void {
    const { body } = this;
    this.#phase = Phase.ANSWERED;
    // A reader that does not wait for bytes may have been dropped: gather the
    // body, so that the next request need not wait for it.
    if (!body.isAwaited && !this.#isMuch) body.gather();
    if (this.#owner.service.isClosing) this.#mark();
  }

  /** The request is answered, and the rest of the body has no reader. */
  discard(): void {
    this.#phase = Phase.ANSWERED;
    this.body.discard();
    this.#owner.unpause();
    this.#checkRest();
  }

  /** Discards the rest of an unread body, or closes when it is too large. */
  #checkRest(): void {
    const { body } = this;
    // The program reads it, though its request is answered.
    if (body.isHeld) return;
    body.discard();
    if (!this.#owner.isKeptAlive || this.#isTooMuch) {
      this.#owner.closeAnswered();
    }
  }

  /** The connection closes: the rest of the body is not read. */
  end(): void {
    this.#phase = Phase.OVER;
    if (!this.body.isComplete) this.body.discard();
  }

  /** A reader waits for bytes. */
  wantBody(): void {
    if (this.#phase === Phase.EXPECTED) {
      this.#phase = Phase.COMING;
      this.#owner.transport.write(CONTINUE);
      this.watch();
    }
    this.#owner.unpause();
  }

  /** The rest is discarded or gathered: reading goes on. */
  resumeBody(): void {
    this.#owner.unpause();
    if (!this.body.isComplete && this.isAnswered) this.#checkRest();
  }

  /** Enough bytes wait for the reader: reading stops. */
  pauseBody(): void {
    this.#owner.pause();
  }

  /** Counts the memory of the body. */
  countBody(): void {
    this.#owner.countHeld();
  }

  /** Reports the error of an unhandled read. */
  reportBody(error: unknown): void {
    this.#owner.service.report(error, BODY_FAILED);
  }
}
