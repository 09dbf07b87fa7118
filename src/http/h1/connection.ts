/**
 * HTTP/1.1 on one connection: reading a head, its body, the handler, writing,
 * and again while the connection is kept alive.
 *
 * Knows no sockets: bytes come in by `data` and leave by a `Transport`.
 * Requests are handled one after the other, so answers are in order by
 * construction and a client that pipelines without end waits in its own
 * buffers, not in ours.
 *
 * @module
 */

import { defer } from "../../base/own.ts";
import { ByteQueue } from "../../bytes/byte_queue.ts";
import {
  ConnectionField,
  fieldBytes,
  Framing,
  HEAD_BYTES_FIXED,
} from "./heads.ts";
import { authorityOf } from "../authority.ts";
import { type BodyHost, IncomingBody } from "../body.ts";
import {
  complete,
  completionOf,
  interrupt,
  type Outcome,
} from "../completion.ts";
import {
  HttpError,
  internalServerError,
  notAResponse,
  notSendable,
  REASONS,
} from "../errors.ts";
import {
  declaredLength,
  fieldList,
  type Fields,
  mayHaveBody,
  saysClose,
  staticFraming,
  streamFraming,
} from "../framing.ts";
import {
  emptyLinesEnd,
  HeadFlag,
  isBareLineEnd,
  methodFlag,
  parseHead,
  type RequestHead,
  tooLongStatus,
} from "./head.ts";
import { ASCII_ROOM, encodeLatin1, writeAscii } from "../latin1.ts";
import { checkRange } from "../limits.ts";
import {
  excessOf,
  isIgnored,
  isMuch,
  isTooMuch,
  refusal,
  saidStatus,
} from "./refusal.ts";
import { LazyRequest, type RequestHost } from "../request.ts";
import { type ResponseParts, takeResponse } from "../response.ts";
import { RequestInfo, type Service } from "../service.ts";
import { CANCEL_REASON, headOutput, StreamWriter } from "../stream_writer.ts";
import {
  BUSY_BYTES,
  type Output,
  roomFor,
  sendOwn,
  type StreamAddr,
  type Transport,
} from "../transport.ts";

/** What the next bytes are. */
const Reading = {
  /** A request head. */
  HEAD: 0,
  /** The body of the current request. */
  BODY: 1,
  /** Of no interest: the connection is being closed. */
  NOTHING: 2,
} as const;

/** How far the answer to the current request is. */
const Writing = {
  /** There is no current request. */
  IDLE: 0,
  /** The handler has not answered. */
  HANDLER: 1,
  /** A stream is being written. */
  STREAM: 2,
} as const;

/** The connection is used again after the current answer. */
const KEEP_ALIVE = 1;
/** It is gone. */
const CLOSED = 1 << 1;
/** The peer has sent its end. */
const ENDED = 1 << 2;
/** Reading is stopped. */
const PAUSED = 1 << 3;
/** The client waits to be told to send its body. */
const MUST_CONTINUE = 1 << 4;
/** The request is answered and its body is still coming. */
const DISCARDING = 1 << 5;
/** All that waits was looked at: it is a head that is not whole. */
const PARTIAL = 1 << 6;
/** Where in the state the two bits of `Reading` and of `Writing` begin. */
const READING_SHIFT = 7;
const WRITING_SHIFT = 9;
const TWO_BITS = 3;

/**
 * Memory that bytes may take which are kept for later while a request is
 * handled; then reading stops.
 */
const PENDING_BYTES_MAX = 65_536;
/**
 * How long a body's rate is taken over: a pause of a client's between two
 * writes is not its rate.
 */
const BODY_WINDOW_MS = 10_000;
const SECOND_MS = 1_000;
/** Beside the bits of `HeadFlag`: somebody waits for the answer to be sent. */
const IS_AWAITED = 1 << 15;
/** Text bodies up to this length are written in place, where they fit. */
const TEXT_MAX = 32_768;

// Deno's globals are getters, which load a class on first use and cost a call.
const { ReadableStream, Response } = globalThis;

/** What `Deno.serve` says before the error that `onError` threw. */
const ON_ERROR_FAILED = "Exception in onError while handling exception";
/** What comes before the error of a reading that nobody waits for. */
const BODY_FAILED = "Reading a request body failed, and nobody waited for it";
const CONTINUE = encodeLatin1("HTTP/1.1 100 Continue\r\n\r\n");
const encoder = new TextEncoder();

/** What came and was not acted on. */
interface Pending {
  readonly queue: ByteQueue;
  /** How many of its first bytes are known to be empty lines before a head. */
  emptyBytes: number;
}

/** What readers hear when this side has reset a client, by close reason. */
const RESETS: Readonly<Record<string, string>> = {
  write: "The client was reset: it has not read its answer in time",
  shed: "The client was reset: connections took all memory they may",
};

/** The addresses of those that went while a request was handled. */
const gone = new WeakMap<
  HttpConnection,
  { local: StreamAddr; remote: StreamAddr }
>();

/** Streams behind whole answers that a connection waits for to end. */
const ENDLESS_MAX = 16;
/**
 * Streams whose answers are whole, by their length, and that are not known to
 * be at their end.
 */
const endless = new WeakMap<HttpConnection, Set<StreamWriter>>();

/** Requests whose stream has failed before a byte of the answer had left. */
const failed = new WeakSet<LazyRequest>();

/**
 * One HTTP/1.1 connection. There can be many that wait for nothing but their
 * next request: what few need is kept elsewhere.
 */
export class HttpConnection implements BodyHost, RequestHost {
  readonly #transport: Transport;
  readonly #service: Service;
  /** Bits that are named above, then those of `Reading` and of `Writing`. */
  #state = KEEP_ALIVE;
  #pending: Pending | undefined = undefined;
  /** Requests that have begun. */
  #requests = 0;
  /** The current head's bits of `HeadFlag`. */
  #flags = 0;
  /**
   * The current request, once its handler has returned without an answer. A
   * store for each request would be the garbage collector's work.
   */
  #request: LazyRequest | undefined = undefined;
  #body: IncomingBody | undefined = undefined;
  #stream: StreamWriter | undefined = undefined;

  /** @param transport The way to the peer. */
  constructor(transport: Transport, service: Service) {
    this.#transport = transport;
    this.#service = service;
  }

  /** Whether it waits for a request, and owes nobody anything. */
  get isIdle(): boolean {
    return this.#reading === Reading.HEAD && this.#writing === Writing.IDLE &&
      this.#transport.bufferedBytes === 0 &&
      (this.#pending === undefined || (this.#state & PARTIAL) !== 0);
  }

  /** The authority for a request without `Host`. */
  get authority(): string {
    return authorityOf(this.#service.addr ?? this.#localAddress);
  }

  /** What URLs begin with. */
  get scheme(): string {
    return this.#service.scheme;
  }

  /**
   * The peer's address, also when it has gone while a request was handled; our
   * own for a Unix peer, who has none.
   */
  get remoteAddress(): StreamAddr {
    if (this.#service.scheme === "http+unix") return this.#localAddress;
    return gone.get(this)?.remote ?? this.#transport.remoteAddress;
  }

  get #localAddress(): StreamAddr {
    return gone.get(this)?.local ?? this.#transport.localAddress;
  }

  get #reading(): number {
    return this.#state >> READING_SHIFT & TWO_BITS;
  }

  set #reading(reading: number) {
    const others = this.#state & ~(TWO_BITS << READING_SHIFT);
    this.#state = others | reading << READING_SHIFT;
  }

  get #writing(): number {
    return this.#state >> WRITING_SHIFT & TWO_BITS;
  }

  set #writing(writing: number) {
    const others = this.#state & ~(TWO_BITS << WRITING_SHIFT);
    this.#state = others | writing << WRITING_SHIFT;
  }

  /** Takes bytes from the peer, which are kept only if retained. */
  data(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    const pending = this.#pending;
    if (pending !== undefined) {
      return this.#addPending(pending, bytes, start, end);
    }
    const body = this.#reading === Reading.BODY ? this.#body : undefined;
    const rest = this.#consume(bytes, start, end, 0);
    if (rest < end) this.#keep(bytes, rest, end);
    // A body that is not whole, or gathered, has copied what it took.
    const isCopied = body?.isComplete === false && !body.isGathered &&
      this.#body === body;
    // A request or a body may refer to these bytes from now on.
    if (rest > start && !isCopied) this.#transport.retain(end);
    if (this.#body !== undefined) this.#countHeld();
  }

  #addPending(
    pending: Pending,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void {
    const { queue } = pending;
    const kept = queue.byteLength;
    queue.push(bytes, start, end);
    if (!this.#isHeld()) {
      return this.#consumePending(pending, this.#state & PARTIAL ? kept : 0);
    }
    this.#state &= ~PARTIAL;
    this.#boundPending(pending);
  }

  /** The peer sends no more. */
  end(): void {
    this.#state |= ENDED;
    if (this.#reading === Reading.BODY) {
      this.#body?.fail(new Deno.errors.UnexpectedEof("The body ended early"));
      this.#reading = Reading.NOTHING;
      this.#state &= ~KEEP_ALIVE;
    }
    this.ending();
    // What has come is still answered: a peer may close its half.
    if (this.#writing === Writing.IDLE) this.#resumePending();
  }

  /**
   * The peer sends no more than what has come. It may have gone, of which the
   * handler is told (RFC 9112 section 9.5); what it answers is still sent.
   */
  ending(): void {
    if (this.#writing === Writing.IDLE) return;
    if (this.#request !== undefined) LazyRequest.abort(this.#request);
    this.#stream?.peerEnded();
  }

  /** The peer has read: go on writing, and with what waited for that. */
  drain(): void {
    this.#stream?.drain();
    if (this.#writing === Writing.IDLE) this.#resumePending();
  }

  /**
   * Nothing can be sent any more: the handler's signal aborts, and a stream is
   * cancelled. A body that has come can still be read to its end.
   */
  broken(): void {
    this.ending();
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#breakOff(stream);
    stream.cancel();
  }

  /**
   * The connection is gone.
   *
   * @param why What a reactor's connection says: its close reason.
   */
  closed(why: string = "ended"): void {
    this.#state |= CLOSED;
    this.#reading = Reading.NOTHING;
    this.#pending = undefined;
    for (const writer of endless.get(this) ?? []) writer.cancel();
    const reset = RESETS[why];
    const cause = reset === undefined
      ? undefined
      : new Deno.errors.ConnectionReset(reset);
    // The reactor itself tells of connections that it resets for memory.
    if (why === "write") this.#service.report(cause);
    if (this.#flags & IS_AWAITED) this.#tellAwaiting("lost", cause);
    if (this.#writing === Writing.IDLE && this.#body === undefined) return;
    const reason = cause ??
      new Deno.errors.ConnectionReset("The client has gone");
    this.#body?.fail(reason);
    if (this.#writing === Writing.IDLE) return;
    if (this.#request !== undefined) LazyRequest.abort(this.#request);
    this.#stream?.cancel();
    const addresses = addressesOf(this.#transport);
    if (addresses !== undefined) gone.set(this, addresses);
  }

  /**
   * Closes when idle, else after the current answer. Never call it while bytes
   * are told: it reads what has come by now, which is still answered.
   */
  shutdown(): void {
    this.#state &= ~KEEP_ALIVE;
    if (this.#writing !== Writing.IDLE) return;
    // Its request is answered, and whoever reads its body gets all of it.
    if (this.#body?.isHeld) return this.#watchHolder(this.#body);
    if (this.#reading !== Reading.HEAD) return;
    // While the peer does not read, requests may wait unread in the system.
    if (this.#transport.bufferedBytes > 0) return this.#closeAnswered();
    this.#transport.readNow();
    if (this.isIdle) this.#closeIdle();
  }

  /**
   * Closes one that waits for a request, unless bytes of one have come by now.
   * Never call it while bytes are told.
   */
  closeUnasked(): void {
    // Then a handler may be at work, and all are looked at when it is done.
    if (this.#service.isClosing) return;
    if (this.#transport.readNow() === 0 && this.isIdle) this.#closeIdle();
  }

  #closeIdle(): void {
    // A request that crosses our end cannot be answered any more.
    this.#reading = Reading.NOTHING;
    this.#pending = undefined;
    this.#countHeld();
    this.#transport.closeIdle();
  }

  /**
   * Something has taken too long: `write`, unsent bytes; `idle`, any byte;
   * `deadline`, what the last one was set for.
   */
  timeout(reason: string): void {
    if (reason === "write") return this.#transport.abort();
    const stream = this.#stream;
    if (stream !== undefined && this.#transport.peerHasEnded) {
      // It had nothing to give, for longer than who has gone is waited for.
      if (reason !== "deadline") return;
      // Who waits for the answer hears of it before whoever made the stream.
      this.#breakOff(stream);
      return stream.cancel();
    }
    // Nobody knows whether it still listens, and it has had all its time.
    if (reason === "idle" && this.#transport.peerHasEnded) {
      return this.#transport.close();
    }
    if (this.#reading === Reading.BODY) {
      if (reason === "deadline") this.#checkBody(this.#body!);
      else if (this.#writing === Writing.IDLE) this.#closeAnswered();
      return;
    }
    // While a handler works, or the client owes us reading, it is not late.
    if (this.#reading !== Reading.HEAD) return;
    if (!this.isIdle && this.#isHeld()) return;
    if (this.#state & PARTIAL) this.#refuse(408, 0);
    else if (reason === "idle") this.closeUnasked();
  }

  /**
   * Ends at once, whatever is in progress; what was written is still sent. A
   * handler that has not answered may do so in this round of Deno's loop, as
   * with `Deno.serve`: it may be the one that ends the server.
   */
  terminate(): void {
    this.#state &= ~KEEP_ALIVE;
    if (this.#writing === Writing.HANDLER) defer(() => this.#cutOff());
    else this.#cutOff();
  }

  #cutOff(): void {
    if (this.#state & CLOSED) return;
    // A peer that is owed bytes would take those that came for all.
    if (!this.#stream?.endsByClosing) this.#transport.close();
    if (!(this.#state & CLOSED)) this.#transport.abort();
  }

  /**
   * Settles when the answer to a request of this connection is written, or
   * cannot be any more.
   */
  completed(request: LazyRequest): Promise<void> {
    if (!this.#isCurrent(request)) return completionOf(request, "whole");
    if (this.#state & CLOSED) return completionOf(request, "lost");
    this.#request = request;
    this.#flags |= IS_AWAITED;
    return completionOf(request, "pending");
  }

  /** Whether a request is the one that is being answered. */
  #isCurrent(request: LazyRequest): boolean {
    if (this.#writing === Writing.IDLE) return false;
    if (this.#request !== undefined) return this.#request === request;
    // Its handler has not returned, so nobody keeps it but the handler.
    return LazyRequest.flags(request) === this.#flags;
  }

  #tellAwaiting(outcome: Outcome, cause?: unknown): void {
    this.#flags &= ~IS_AWAITED;
    if (outcome === "whole") complete(this.#request!);
    else interrupt(this.#request!, cause);
  }

  /** Somebody reads the body: has it come. */
  wantBody(): void {
    if (this.#state & MUST_CONTINUE && this.#writing === Writing.HANDLER) {
      this.#state &= ~MUST_CONTINUE;
      this.#transport.write(CONTINUE);
      this.#watchBody();
    }
    this.#unpause();
  }

  /** Nobody has to wait for the rest of the body: has it come. */
  resumeBody(): void {
    this.#unpause();
    const body = this.#body;
    const isComing = body?.isComplete === false;
    if (isComing && this.#state & DISCARDING) this.#checkDiscard(body);
  }

  /** Nobody reads the body: lets it wait. */
  pauseBody(): void {
    this.#pause();
  }

  /** A body takes more or less memory than before. */
  countBody(): void {
    this.#countHeld();
  }

  /** Reports the error of a reading that nobody waits for. */
  reportBody(error: unknown): void {
    this.#service.report(error, BODY_FAILED);
  }

  /**
   * Acts on bytes and returns where it stopped.
   *
   * @param scanned How many of them are known to be no whole head.
   */
  #consume(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    scanned: number,
  ): number {
    let at = start;
    while (at < end && !(this.#state & CLOSED)) {
      if (this.#reading === Reading.NOTHING) return end;
      if (this.#reading === Reading.BODY) {
        at = this.#feed(bytes, at, end);
      } else if (this.#isHeld()) {
        return at;
      } else {
        const { requireHost } = this.#service;
        const head = parseHead(bytes, at, end, scanned, requireHost);
        if (typeof head === "number") {
          this.#flags = methodFlag(bytes, at, end);
          if (head < 0) return this.#refuse(-head, end);
          this.#beginPartial();
          return at;
        }
        scanned = 0;
        this.#state &= ~PARTIAL;
        at = this.#begin(head, bytes, end);
      }
    }
    return at;
  }

  /** Whether the next request must wait. */
  #isHeld(): boolean {
    return this.#reading === Reading.HEAD &&
      (this.#writing !== Writing.IDLE ||
        this.#transport.bufferedBytes >= BUSY_BYTES ||
        this.#transport.isOverfull && this.#awaitsRoom());
  }

  /** Whether the next request must wait for memory that other peers take. */
  #awaitsRoom(): boolean {
    const transport = this.#transport;
    const { heldBytes } = transport;
    // Memory that is held for this peer is freed only by going on.
    if (heldBytes > 0) transport.heldBytes = 0;
    const { isOverfull } = transport;
    if (heldBytes > 0) transport.heldBytes = heldBytes;
    if (isOverfull) transport.awaitRoom();
    return isOverfull;
  }

  #beginPartial(): void {
    if (this.#state & PARTIAL) return;
    this.#state |= PARTIAL;
    const { headMs } = this.#service.limits;
    if (headMs !== Infinity) this.#transport.setDeadline(headMs);
  }

  /** Keeps bytes until the current request is answered, or a head complete. */
  #keep(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    const queue = new ByteQueue();
    queue.push(bytes, start, end);
    this.#boundPending(this.#pending = { queue, emptyBytes: 0 });
  }

  #consumePending(pending: Pending, scanned: number): void {
    const { queue } = pending;
    const { requireHost } = this.#service;
    const bytes = queue.joined();
    const end = bytes.byteLength;
    // They are looked at once, and not with every piece that follows them.
    const from = emptyLinesEnd(bytes, pending.emptyBytes, end, requireHost);
    const rest = requireHost && isBareLineEnd(bytes, from)
      ? this.#refuse(400, end)
      : this.#consume(bytes, from, end, Math.max(0, scanned - from));
    if (this.#pending !== pending) return;
    if (rest === from) {
      if (from === end) this.#beginPartial();
      pending.emptyBytes = from;
    } else {
      queue.shift(rest);
      pending.emptyBytes = 0;
    }
    if (queue.byteLength === 0) this.#pending = undefined;
    this.#boundPending(pending);
  }

  /** Refuses a head that is too long, and stops reading when enough waits. */
  #boundPending({ queue }: Pending): void {
    const { headBytesMax } = this.#service.limits;
    if (this.#state & PARTIAL && queue.byteLength > headBytesMax) {
      this.#refuse(tooLongStatus(queue.joined(), 0, headBytesMax), 0);
    }
    // A head that is not whole must come, however large it may be.
    const isFull = queue.memoryBytes >= PENDING_BYTES_MAX ||
      this.#transport.isOverfull;
    if (isFull && this.#isHeld()) this.#pause();
    this.#countHeld();
  }

  /**
   * Says how much memory is taken for the peer, after bytes were kept or freed:
   * also when that is as much as before, since it tells that the peer moves.
   */
  #countHeld(): void {
    const pending = this.#pending?.queue.memoryBytes ?? 0;
    const held = pending + (this.#body?.memoryBytes ?? 0);
    const transport = this.#transport;
    if (held > 0 || transport.heldBytes > 0) transport.heldBytes = held;
  }

  #resumePending(): void {
    const pending = this.#pending;
    if (this.#state & CLOSED || this.#isHeld()) return;
    this.#unpause();
    // What is partial has not become more.
    const isNew = pending !== undefined && !(this.#state & PARTIAL);
    if (isNew) this.#consumePending(pending, 0);
    const isAnswered = this.#writing === Writing.IDLE && !this.#isHeld();
    if (this.#state & ENDED && isAnswered) this.#transport.close();
  }

  /** Begins a request and returns where in the bytes it goes on. */
  #begin(
    head: RequestHead,
    bytes: Uint8Array<ArrayBuffer>,
    end: number,
  ): number {
    const { flags, end: headEnd } = head;
    const isKept = (flags & HeadFlag.KEEP_ALIVE) !== 0 &&
      !this.#service.isClosing &&
      ++this.#requests < this.#service.limits.requestsMax;
    this.#state = isKept ? this.#state | KEEP_ALIVE : this.#state & ~KEEP_ALIVE;
    this.#flags = flags;
    const excess = excessOf(head, this.#service.limits);
    if (excess !== 0) return this.#refuse(excess, end);
    if (flags & HeadFlag.EXPECT_OTHER) return this.#refuse(417, end);
    let at = headEnd;
    if (flags & (HeadFlag.CHUNKED | HeadFlag.HAS_LENGTH)) {
      const isChunked = (flags & HeadFlag.CHUNKED) !== 0;
      const length = isChunked ? undefined : head.contentLength;
      const bytesMax = this.#bodyBytesMax(head);
      if (bytesMax === undefined) return end;
      if (length !== undefined && length > bytesMax) {
        return this.#refuse(413, end);
      }
      if (flags & HeadFlag.EXPECT_CONTINUE) this.#state |= MUST_CONTINUE;
      if (length !== 0) {
        this.#body = new IncomingBody(this, length, bytesMax);
        if (head.hasNoBody) this.#body.discard();
        this.#reading = Reading.BODY;
        if (at < end) at = this.#feed(bytes, at, end);
        if (this.#reading === Reading.NOTHING) return end;
        if (!this.#body.isComplete && !(this.#state & MUST_CONTINUE)) {
          this.#watchBody();
        }
      }
    }
    this.#handle(new LazyRequest(head, this, this.#body));
    return at;
  }

  /** How large a body may be; nothing when asking failed, which is answered. */
  #bodyBytesMax(head: RequestHead): number | undefined {
    const { bodyBytesMax } = this.#service.limits;
    if (typeof bodyBytesMax === "number") return bodyBytesMax;
    const request = new LazyRequest(head, this, undefined);
    try {
      const bytesMax = bodyBytesMax(request as unknown as Request);
      checkRange("bodyBytesMax", bytesMax, 0);
      return bytesMax;
    } catch (error) {
      // Where its body ends is known, but not that anybody would want it.
      this.#state &= ~KEEP_ALIVE;
      this.#reading = Reading.NOTHING;
      this.#writing = Writing.HANDLER;
      LazyRequest.detach(request);
      this.#request = request;
      this.#handleError(request, error);
      return undefined;
    }
  }

  /** Begins a time in which the body must bring enough. */
  #watchBody(): void {
    const { limits, isClosing } = this.#service;
    // A closing server looks at each body that it still waits for.
    if (limits.bodyBytesPerSecondMin === 0 && !isClosing) return;
    this.#watchHolder(this.#body!);
  }

  /** Begins a time in which the body's reader must take something. */
  #watchHolder(body: IncomingBody): void {
    body.mark();
    this.#transport.setDeadline(BODY_WINDOW_MS);
  }

  #checkBody(body: IncomingBody): void {
    // What we did not want, or asked for, cannot come too slowly.
    if (this.#state & MUST_CONTINUE) return;
    if (this.#state & PAUSED) return this.#checkHolder(body);
    const { bodyBytesPerSecondMin } = this.#service.limits;
    const bytes = bodyBytesPerSecondMin * BODY_WINDOW_MS / SECOND_MS;
    if (body.receivedSinceMark >= bytes) return this.#watchBody();
    this.#failBody(body, new HttpError(408, "The body came too slowly"), 0);
  }

  /** Ends a body that keeps a closing server, and that nobody reads. */
  #checkHolder(body: IncomingBody): void {
    if (!this.#service.isClosing || !(this.#state & DISCARDING)) return;
    if (body.isTakenSinceMark) this.#watchHolder(body);
    else this.#closeAnswered();
  }

  #feed(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): number {
    const body = this.#body!;
    try {
      const at = body.feed(bytes, start, end);
      this.#state &= ~MUST_CONTINUE;
      if (!body.isComplete) {
        if (body.isGathered) this.#checkRoom();
        if (this.#state & DISCARDING) this.#checkDiscard(body);
        return at;
      }
      if (this.#reading === Reading.BODY) this.#reading = Reading.HEAD;
      if (this.#state & DISCARDING) this.#nextRequest();
      return at;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      return this.#failBody(body, error, end);
    }
  }

  /**
   * Ends a body for which memory is taken when all peers together have too much.
   *
   * @throws {HttpError} 503, of RFC 9110 section 15.6.4.
   */
  #checkRoom(): void {
    this.#countHeld();
    if (!this.#transport.isOverfull) return;
    const error = new HttpError(503, "Connections take all memory they may");
    this.#service.report(error);
    throw error;
  }

  /** A broken or too large body: the handler hears of it and may answer. */
  #failBody(body: IncomingBody, error: HttpError, end: number): number {
    body.fail(error);
    this.#state &= ~KEEP_ALIVE;
    this.#reading = Reading.NOTHING;
    // Answered already: a second answer would be taken for the next one's.
    if (this.#state & DISCARDING) this.#closeAnswered();
    else if (this.#writing === Writing.IDLE) this.#refuse(error.status, end);
    return end;
  }

  #handle(request: LazyRequest): void {
    const { handler } = this.#service;
    this.#writing = Writing.HANDLER;
    try {
      const info = new RequestInfo(request);
      const result = handler(request as unknown as Request, info);
      if (!(result instanceof Response)) return this.#await(request, result);
      this.#respond(result);
      if (this.#writing !== Writing.STREAM) return;
      LazyRequest.detach(request);
      this.#request = request;
      if (this.#transport.peerHasEnded) this.ending();
    } catch (error) {
      LazyRequest.detach(request);
      this.#request = request;
      this.#handleError(request, error);
    }
  }

  /** Waits for a handler's promise. */
  #await(request: LazyRequest, result: Promise<Response>): void {
    if (typeof result?.then !== "function") throw notAResponse();
    LazyRequest.detach(request);
    this.#request = request;
    if (this.#transport.peerHasEnded) this.ending();
    const { beginWork, endWork } = this.#service;
    beginWork();
    // A thenable of somebody else's may settle at once, or twice.
    const promise = result instanceof Promise
      ? result
      : Promise.resolve(result);
    promise.then(
      (response) => {
        endWork();
        this.#settle(request, response);
      },
      (error) => {
        endWork();
        this.#handleError(request, error);
        this.#resumePending();
      },
    );
  }

  #settle(request: LazyRequest, response: Response): void {
    try {
      if (!(response instanceof Response)) throw notAResponse();
      if (this.#request === request) this.#respond(response);
      else response.body?.cancel(CANCEL_REASON).catch(() => {});
    } catch (error) {
      this.#handleError(request, error);
    }
    this.#resumePending();
  }

  #handleError(request: LazyRequest, error: unknown): void {
    if (this.#request !== request || this.#writing !== Writing.HANDLER) {
      // The answer had begun: all that can be told is that it is not whole.
      this.#transport.abort();
      return;
    }
    if (error instanceof HttpError) {
      this.#refuse(error.status, 0);
      return;
    }
    this.#answerError(request, error).catch((second) => {
      this.#service.report(second, ON_ERROR_FAILED);
      if (this.#request === request) this.#respond(internalServerError());
      this.#resumePending();
    });
  }

  async #answerError(request: LazyRequest, error: unknown): Promise<void> {
    const { onError, beginWork, endWork } = this.#service;
    beginWork();
    try {
      const response = await onError(error);
      if (!(response instanceof Response)) throw notAResponse();
      if (this.#request === request) this.#respond(response);
      this.#resumePending();
    } finally {
      endWork();
    }
  }

  /** Writes the answer to the current request. */
  #respond(response: Response): void {
    if (this.#state & CLOSED) {
      response.body?.cancel(CANCEL_REASON).catch(() => {});
      return;
    }
    if (this.#writing !== Writing.HANDLER) return;
    const parts = takeResponse(response);
    // RFC 9110 section 15: 101 needs an upgrade, which is not offered here;
    // 0 is Response.error().
    if (parts.status < 200) throw notSendable(parts.status);
    if (this.#state & MUST_CONTINUE) this.#endExpectation(parts);
    const { body } = parts;
    const incoming = this.#body;
    // Said in the answer, since the connection closes after it.
    const isLast = incoming !== undefined &&
      (isIgnored(incoming) || isTooMuch(incoming));
    if (isLast) this.#state &= ~KEEP_ALIVE;
    if (body instanceof ReadableStream) {
      try {
        this.#respondStream(parts, body);
      } catch (error) {
        body.cancel(error).catch(() => {});
        throw error;
      }
    } else {
      this.#respondStatic(parts, body);
      this.#nextRequest();
    }
  }

  /** Answers a client that waits to be told to send its body. */
  #endExpectation({ status, body }: ResponseParts): void {
    // Somebody reads it, or the answer may be made of it, also when its stream
    // has not asked for it yet: behind the head there is no 100 any more.
    const mayRead = body instanceof ReadableStream &&
      (status < 300 || this.#body?.isStreamed);
    if (mayRead || this.#body?.isHeld) return this.wantBody();
    this.#state &= ~MUST_CONTINUE;
    // It need not send at all.
    if (this.#body !== undefined) this.#state &= ~KEEP_ALIVE;
  }

  #respondStatic(
    parts: ResponseParts,
    body: string | Uint8Array<ArrayBuffer> | null,
  ): void {
    const isPlain = parts.headers === undefined && parts.status === 200 &&
      (this.#flags & (HeadFlag.HEAD_METHOD | HeadFlag.CONNECT_METHOD)) === 0;
    if (isPlain && typeof body === "string" && this.#writeText(parts, body)) {
      return;
    }
    const fields = this.#takeFields(parts);
    if (typeof body === "string" && this.#writeWhole(parts, fields, body)) {
      return;
    }
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    const length = bytes?.byteLength ?? 0;
    const framing = staticFraming(this.#flags, parts, fields, length);
    const room = this.#roomFor(parts, fields);
    const sends = bytes !== null && length > 0 &&
      mayHaveBody(this.#flags, parts.status);
    const together = sends && this.#transport.reserve(room + length);
    const output = together || roomFor(this.#transport, room);
    this.#writeHead(output, parts, fields, framing);
    if (together && bytes) {
      together.bytes.set(bytes, together.length);
      together.length += length;
      return;
    }
    sendOwn(this.#transport, output);
    // They are the response's own, which is used up.
    if (sends) this.#transport.writeOwned(bytes);
  }

  /** Writes a short ASCII answer, with any head; false when it is not one. */
  #writeWhole(parts: ResponseParts, fields: Fields, body: string): boolean {
    const { length } = body;
    if (length > TEXT_MAX || !mayHaveBody(this.#flags, parts.status)) {
      return false;
    }
    const room = this.#roomFor(parts, fields) + length + ASCII_ROOM;
    const output = this.#transport.reserve(room);
    if (output === undefined) return false;
    const start = output.length;
    // A character is a byte, or all is written again.
    this.#writeHead(output, parts, fields, length);
    const end = writeAscii(output.bytes, output.length, body);
    output.length = end < 0 ? start : end;
    return end >= 0;
  }

  /** The same for a head with no field but its type, which is kept as bytes. */
  #writeText(parts: ResponseParts, body: string): boolean {
    const { length } = body;
    if (length > TEXT_MAX) return false;
    const connection = this.#connectionField();
    if (connection !== ConnectionField.NONE) return false;
    const type = parts.contentType;
    const room = HEAD_BYTES_FIXED + (type?.length ?? 0) + length + ASCII_ROOM;
    const output = this.#transport.reserve(room);
    if (output === undefined) return false;
    const start = output.length;
    const { nowMs } = this.#transport;
    this.#service.heads.writePlain(output, nowMs, type, length);
    const end = writeAscii(output.bytes, output.length, body);
    output.length = end < 0 ? start : end;
    return end >= 0;
  }

  #respondStream(
    parts: ResponseParts,
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  ): void {
    const fields = this.#takeFields(parts);
    const declared = declaredLength(fields) ?? parts.length;
    const framing = streamFraming(this.#flags, parts, declared);
    if (framing === Framing.UNTIL_CLOSE) this.#state &= ~KEEP_ALIVE;
    const room = this.#roomFor(parts, fields);
    if (!mayHaveBody(this.#flags, parts.status)) {
      const output = roomFor(this.#transport, room);
      this.#writeHead(output, parts, fields, framing);
      sendOwn(this.#transport, output);
      stream.cancel(CANCEL_REASON).catch(() => {});
      return this.#nextRequest();
    }
    const head = headOutput(room);
    this.#writeHead(head, parts, fields, framing);
    this.#writing = Writing.STREAM;
    const way = { transport: this.#transport, service: this.#service };
    const writer = new StreamWriter({ ...way, head, framing }, stream);
    this.#stream = writer;
    if (this.#transport.peerHasEnded) writer.peerEnded();
    this.#writeStream(writer);
  }

  async #writeStream(writer: StreamWriter): Promise<void> {
    try {
      if (!await writer.run()) return;
      this.#stream = undefined;
      this.#expectEnd(writer);
      this.#nextRequest();
      this.#resumePending();
    } catch (error) {
      if (this.#stream === writer && writer.isUnsent) {
        return this.#answerFailed(error);
      }
      this.#reportStream(error);
      if (this.#stream === writer) this.#breakOff(writer, error);
      else this.#transport.abort();
    }
  }

  /** Answers for a stream that failed before a byte of its answer has left. */
  #answerFailed(error: unknown): void {
    const request = this.#request!;
    this.#stream = undefined;
    this.#writing = Writing.HANDLER;
    if (!failed.has(request)) {
      failed.add(request);
      return this.#handleError(request, error);
    }
    // It was the answer to an error itself, and the next one may fail as well.
    this.#service.report(error, ON_ERROR_FAILED);
    this.#respond(internalServerError());
    this.#resumePending();
  }

  /** Tells of what a stream has to give behind its whole answer. */
  async #expectEnd(writer: StreamWriter): Promise<void> {
    if (writer.hasEnded) return;
    const writers = endless.get(this) ?? new Set();
    endless.set(this, writers.add(writer));
    const [oldest] = writers;
    if (writers.size > ENDLESS_MAX) oldest!.cancel();
    try {
      await writer.expectEnd();
    } catch (error) {
      this.#reportStream(error);
    }
    writers.delete(writer);
  }

  /**
   * Tells of a stream that failed as of a handler that did, as Deno does; what
   * is answered to that is not sent, since the answer had begun.
   */
  async #reportStream(error: unknown): Promise<void> {
    try {
      const response = await this.#service.onError(error);
      response?.body?.cancel().catch(() => {});
    } catch (second) {
      this.#service.report(second, ON_ERROR_FAILED);
    }
  }

  /**
   * Ends an answer that is not whole, so that the peer can tell: all that was
   * written is sent, but not the end of the body.
   */
  #breakOff(stream: StreamWriter, cause?: unknown): void {
    if (this.#flags & IS_AWAITED) this.#tellAwaiting("lost", cause);
    this.#stream = undefined;
    this.#writing = Writing.IDLE;
    this.#state &= ~KEEP_ALIVE;
    // Where the end of the connection is that of the body, a reset tells.
    if (stream.endsByClosing) this.#transport.abort();
    else this.#closeAnswered();
  }

  /** The handler's fields; its `Connection` is obeyed, not sent. */
  #takeFields(parts: ResponseParts): Fields {
    const fields = fieldList(parts);
    if (saysClose(fields)) this.#state &= ~KEEP_ALIVE;
    return fields;
  }

  #roomFor(
    parts: ResponseParts,
    fields: Fields,
  ): number {
    return HEAD_BYTES_FIXED + parts.statusText.length +
      (parts.contentType?.length ?? 0) + fieldBytes(fields);
  }

  #writeHead(
    output: Output,
    parts: ResponseParts,
    fields: Fields,
    framing: number,
  ): void {
    const connection = this.#connectionField();
    this.#service.heads.write(output, this.#transport.nowMs, {
      parts,
      fields,
      framing,
      connection,
    });
  }

  #connectionField(): number {
    if (this.#service.isClosing) this.#state &= ~KEEP_ALIVE;
    if (!(this.#state & KEEP_ALIVE)) return ConnectionField.CLOSE;
    return this.#flags & HeadFlag.HTTP_1_0
      ? ConnectionField.KEEP_ALIVE
      : ConnectionField.NONE;
  }

  /** The current request is answered: makes ready for the next. */
  #nextRequest(): void {
    this.#writing = Writing.IDLE;
    if (this.#flags & IS_AWAITED) this.#tellAwaiting("whole");
    const body = this.#body;
    // As with Deno.serve, whoever reads the body by now gets all of it.
    if (body?.isHeld) {
      this.#state |= DISCARDING;
      // A reader that waits for nothing may have been forgotten: the next request
      // need not wait for it.
      if (!body.isAwaited && !isMuch(body)) body.keep();
      if (this.#service.isClosing) this.#watchHolder(body);
      return;
    }
    if (!(this.#state & KEEP_ALIVE)) return this.#closeAnswered();
    if (body !== undefined && !body.isComplete) {
      this.#state |= DISCARDING;
      body.discard();
      this.#unpause();
      return this.#checkDiscard(body);
    }
    this.#state &= ~DISCARDING;
    this.#request = undefined;
    if (body === undefined) return;
    this.#body = undefined;
    this.#countHeld();
  }

  /** Reads an unread body to its end, unless it is too much to read. */
  #checkDiscard(body: IncomingBody): void {
    // Somebody reads it, though its request is answered.
    if (body.isHeld) return;
    body.discard();
    const isLast = !(this.#state & KEEP_ALIVE);
    if (isLast || isTooMuch(body)) this.#closeAnswered();
  }

  /** Closes after the last answer; unread bytes must not destroy it. */
  #closeAnswered(): void {
    this.#reading = Reading.NOTHING;
    this.#pending = undefined;
    const body = this.#body;
    this.#body = undefined;
    if (body?.isComplete === false) body.discard();
    this.#countHeld();
    this.#transport.closeLingering();
  }

  /** Answers a request that cannot be served and closes. */
  #refuse(reason: number, end: number): number {
    const status = saidStatus(reason, this.#service.requireHost);
    this.#state &= ~KEEP_ALIVE;
    this.#reading = Reading.NOTHING;
    this.#writing = Writing.IDLE;
    if (this.#flags & IS_AWAITED) this.#tellAwaiting("whole");
    const text = `${REASONS[status] ?? "Error"}\n`;
    const output = roomFor(this.#transport, HEAD_BYTES_FIXED);
    this.#service.heads.write(output, this.#transport.nowMs, {
      parts: refusal(status),
      fields: [],
      framing: text.length,
      connection: ConnectionField.CLOSE,
    });
    if (!(this.#flags & HeadFlag.HEAD_METHOD)) {
      output.length = writeAscii(output.bytes, output.length, text);
    }
    sendOwn(this.#transport, output);
    this.#closeAnswered();
    return end;
  }

  #pause(): void {
    if (this.#state & PAUSED) return;
    this.#state |= PAUSED;
    this.#transport.pause();
  }

  #unpause(): void {
    if (!(this.#state & PAUSED)) return;
    this.#state &= ~PAUSED;
    if (this.#reading === Reading.BODY) this.#watchBody();
    this.#transport.resume();
  }
}

/** The addresses, unless the system knows them no more: who asks hears that. */
function addressesOf(
  transport: Transport,
): { local: StreamAddr; remote: StreamAddr } | undefined {
  try {
    return { local: transport.localAddress, remote: transport.remoteAddress };
  } catch {
    return undefined;
  }
}
