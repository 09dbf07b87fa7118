/**
 * A connection of HTTP/1.1: it reads heads and bodies, runs exchanges, and is
 * kept alive or closed.
 *
 * It knows no sockets: it receives bytes by `data` and sends by a `Transport`.
 * It handles one request after the other, so answers are in order, and the
 * requests of a client that pipelines without end wait in the client's buffers.
 *
 * @module
 */

import {
  type AnswerPlan,
  Framing,
  planRefusal,
  RequestFlag,
} from "../answer_plan.ts";
import type { BodySink, PendingExchange } from "../answer_sink.ts";
import { authorityOf } from "../authority.ts";
import { type HttpError, sentStatus } from "../errors.ts";
import { Exchange } from "../exchange.ts";
import { notifyRefused } from "../observed_exchange.ts";
import { LazyRequest } from "../request.ts";
import type { ResponseParts } from "../response.ts";
import type { Service } from "../service.ts";
import { cancelEndless } from "../stream_pump.ts";
import type { Handover } from "../takeover.ts";
import type { HttpTransport, ServeAddress } from "../transport.ts";
import { keepAddresses, localAddressOf, remoteAddressOf } from "./addresses.ts";
import { headRoom, writePlain, writeWhole } from "./answer_writer.ts";
import type { BodyIntake } from "./body_intake.ts";
import { closeUnasked, shutdown, terminate, timeout } from "./closing.ts";
import { ChunkWriter, headOutput } from "./chunk_writer.ts";
import type { RequestHead } from "./head.ts";
import { ConnectionField, saysClose } from "./heads.ts";
import { handOver, leave } from "./handover.ts";
import { addPending, keep, proceed } from "./pending.ts";
import { consume } from "./reading.ts";
import {
  BUSY,
  CLOSED,
  ENDED,
  type Http1,
  KEEP_ALIVE,
  PARTIAL,
  PAUSED,
  type Pending,
  Reading,
  READING_MASK,
  READING_SHIFT,
  REFERRED,
} from "./state.ts";

/** The errors that handlers get when this side resets, by close reason. */
const RESETS: Readonly<Record<string, string>> = {
  write: "The client was reset: it has not read its answer in time",
  shed: "The client was reset: connections took all memory they may",
};

/**
 * One connection. Most connections only wait for their next request, so fields
 * that few connections need are in separate objects.
 */
export class HttpConnection implements Http1 {
  /** Sends to the peer. */
  readonly transport: HttpTransport;
  /** The handler, limits and heads that all connections share. */
  readonly service: Service;
  // `Http1` describes these fields.
  /** @ignore */
  state: number = KEEP_ALIVE;
  /** @ignore */
  pending: Pending | undefined = undefined;
  /** @ignore */
  requests = 0;
  /** @ignore */
  flags = 0;
  /** @ignore */
  exchange: PendingExchange | undefined = undefined;
  /** @ignore */
  intake: BodyIntake | undefined = undefined;

  /** @param transport Sends to the peer. */
  constructor(transport: HttpTransport, service: Service) {
    this.transport = transport;
    this.service = service;
  }

  /** Whether it waits for a request, and all answers were sent. */
  get isIdle(): boolean {
    return this.reading === Reading.HEAD && (this.state & BUSY) === 0 &&
      this.transport.bufferedBytes === 0 &&
      (this.pending === undefined || (this.state & PARTIAL) !== 0);
  }

  /** Whether nothing can be sent any more. */
  get isClosed(): boolean {
    return (this.state & CLOSED) !== 0;
  }

  /** Whether reading is stopped. */
  get isPaused(): boolean {
    return (this.state & PAUSED) !== 0;
  }

  /** Whether the connection is used again after the current answer. */
  get isKeptAlive(): boolean {
    return (this.state & KEEP_ALIVE) !== 0;
  }

  /** Whether the peer has sent its end. */
  get peerHasEnded(): boolean {
    return this.transport.peerHasEnded;
  }

  /** Received bytes of the current request's body. */
  get receivedBytes(): number {
    return this.intake?.body.received ?? 0;
  }

  /** The authority for a request without `Host`. */
  get authority(): string {
    return authorityOf(this.service.addr ?? localAddressOf(this));
  }

  /** The peer's address; this side's for a Unix peer, which has none. */
  get peerAddress(): ServeAddress {
    return remoteAddressOf(this);
  }

  get reading(): number {
    return this.state >> READING_SHIFT & READING_MASK;
  }

  set reading(reading: number) {
    const others = this.state & ~(READING_MASK << READING_SHIFT);
    this.state = others | reading << READING_SHIFT;
  }

  /**
   * Takes bytes from the peer; they are valid until it returns, or retained.
   */
  data(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    const pending = this.pending;
    if (pending === undefined) this.#consume(bytes, start, end);
    else addPending(this, pending, bytes, start, end);
    if (this.reading === Reading.HANDED_OVER) leave(this);
  }

  #consume(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    const intake = this.reading === Reading.BODY ? this.intake : undefined;
    this.state &= ~REFERRED;
    const rest = consume(this, bytes, start, end, 0);
    if (rest < end) keep(this, bytes, rest, end);
    // A body that is neither whole nor gathered copies its bytes.
    const isCopied = intake?.body.isComplete === false &&
      !intake.body.isGathered && this.intake === intake;
    if (this.state & REFERRED && !isCopied) this.transport.retain?.(end);
    if (this.intake !== undefined) this.countHeld();
  }

  /** The peer sends no more. */
  end(): void {
    this.state |= ENDED;
    if (this.reading === Reading.BODY) {
      const error = new Deno.errors.UnexpectedEof("The body ended early");
      this.intake?.body.fail(error);
      this.reading = Reading.NOTHING;
      this.state &= ~KEEP_ALIVE;
    }
    this.ending();
    // Received requests are still answered: a peer may close its half only.
    if (!(this.state & BUSY)) this.proceed();
  }

  /**
   * The peer has sent its end, and unread bytes may come before it. The peer
   * may be gone: the request's signal aborts (RFC 9112 section 9.5), and the
   * answer is still sent.
   */
  ending(): void {
    this.exchange?.peerEnded();
  }

  /** The peer has read: a stream, or requests that waited, go on. */
  drain(): void {
    this.exchange?.drain();
    if (!(this.state & BUSY)) this.proceed();
  }

  /**
   * Nothing can be sent any more: the request's signal aborts, and a stream is
   * cancelled. What the peer has sent before is still acted on: requests that
   * waited until it reads go on.
   */
  broken(): void {
    this.ending();
    this.exchange?.cancelStream();
    if (!(this.state & BUSY)) this.proceed();
  }

  /**
   * The connection is gone.
   *
   * @param why The close reason of a reactor's connection.
   */
  closed(why: string = "ended"): void {
    this.state |= CLOSED;
    // Behind a 101 that was just written, `leave` follows.
    if (this.reading !== Reading.HANDED_OVER) this.reading = Reading.NOTHING;
    this.pending = undefined;
    cancelEndless(this);
    const reset = RESETS[why];
    const cause = reset === undefined
      ? undefined
      : new Deno.errors.ConnectionReset(reset);
    // The reactor reports connections that it resets for memory.
    if (why === "write") this.service.report(cause);
    const isBusy = (this.state & BUSY) !== 0;
    if (!isBusy && this.intake === undefined) return;
    const exchange = this.exchange;
    exchange?.lose(cause);
    const reason = cause ??
      new Deno.errors.ConnectionReset("The client has gone");
    this.intake?.body.fail(reason);
    if (isBusy) keepAddresses(this);
  }

  /** Closes when idle, or after the current answer: see `closing.ts`. */
  shutdown(): void {
    shutdown(this);
  }

  /** Closes a connection that waits for a request: see `closing.ts`. */
  closeUnasked(): void {
    closeUnasked(this);
  }

  /** A time is over: see `closing.ts`. */
  timeout(reason: string): void {
    timeout(this, reason);
  }

  /** Ends the connection at once: see `closing.ts`. */
  terminate(): void {
    terminate(this);
  }

  /** The whole body has arrived: the next bytes are a head. */
  bodyEnded(): void {
    if (this.reading === Reading.BODY) this.reading = Reading.HEAD;
    if (this.intake!.isAnswered) this.#nextRequest();
  }

  /** The body is malformed or too large: its reader gets the error. */
  failBody(error: HttpError): void {
    const intake = this.intake!;
    intake.body.fail(error);
    this.state &= ~KEEP_ALIVE;
    this.reading = Reading.NOTHING;
    // The client would take a second answer for that to its next request.
    if (intake.isAnswered) this.closeAnswered();
    else if (!(this.state & BUSY)) this.refuseUnseen(error.status);
  }

  /**
   * Counts the memory that is held for the peer, after bytes were kept or
   * freed. Also when the amount is the same: it shows that the peer makes
   * progress.
   */
  countHeld(): void {
    // A body may still be read: its memory is the program's then.
    if (this.reading === Reading.HANDED_OVER) return;
    const pending = this.pending?.queue.memoryBytes ?? 0;
    const held = pending + (this.intake?.body.memoryBytes ?? 0);
    const { transport } = this;
    if (held > 0 || transport.heldBytes > 0) transport.heldBytes = held;
  }

  /** Acts on requests that waited. */
  proceed(): void {
    proceed(this);
  }

  /** Stops reading. */
  pause(): void {
    if (this.state & PAUSED) return;
    this.state |= PAUSED;
    this.transport.pause();
  }

  /** Goes on reading. */
  unpause(): void {
    if (!(this.state & PAUSED)) return;
    this.state &= ~PAUSED;
    if (this.reading === Reading.BODY) this.intake!.watch();
    this.transport.resume();
  }

  // The methods of `AnswerSink`, for the current exchange.

  /** Keeps the exchange: its handler has returned without an answer. */
  hold(exchange: PendingExchange): void {
    this.exchange = exchange;
  }

  /** An answer begins. */
  prepare(parts: ResponseParts): void {
    // Before the head is written, which then says `Connection: close`.
    if (this.intake?.answerBegins(parts)) this.state &= ~KEEP_ALIVE;
  }

  /** Writes the common answer, when its head needs no `Connection`. */
  plain(type: string | undefined, text: string): boolean {
    if (this.#connectionField() !== ConnectionField.NONE) return false;
    return writePlain(this.transport, this.service.heads, type, text);
  }

  /** Writes an answer with a whole body. */
  whole(plan: AnswerPlan): number {
    if (saysClose(plan.fields)) this.state &= ~KEEP_ALIVE;
    const connection = this.#connectionField();
    return writeWhole(this.transport, this.service.heads, plan, connection);
  }

  /** Writes the head of a streamed answer, which waits for the first chunk. */
  head(plan: AnswerPlan): BodySink {
    const { framing } = plan;
    const isLast = framing === Framing.UNTIL_CLOSE || saysClose(plan.fields);
    if (isLast) this.state &= ~KEEP_ALIVE;
    const output = headOutput(headRoom(plan));
    const { heads } = this.service;
    heads.refresh(this.transport.nowMs);
    heads.write(output, plan, framing, this.#connectionField());
    return new ChunkWriter(this.transport, output, framing);
  }

  /** Writes a 101, and hands the connection over: see `handover.ts`. */
  handOver(plan: AnswerPlan, handover: Handover): void {
    handOver(this, plan, handover);
  }

  #connectionField(): number {
    if (this.service.isClosing) this.state &= ~KEEP_ALIVE;
    if (!(this.state & KEEP_ALIVE)) return ConnectionField.CLOSE;
    return this.flags & RequestFlag.HTTP_1_0
      ? ConnectionField.KEEP_ALIVE
      : ConnectionField.NONE;
  }

  /** The current request is answered. */
  finished(): void {
    this.state &= ~BUSY;
    this.exchange = undefined;
    this.#nextRequest();
  }

  /** Prepares for the next request, or closes. */
  #nextRequest(): void {
    const intake = this.intake;
    // As with Deno.serve, a reader of the body gets the whole body.
    if (intake?.body.isHeld) return intake.goOnReading();
    if (!(this.state & KEEP_ALIVE)) return this.closeAnswered();
    if (intake === undefined) return;
    if (!intake.body.isComplete) return intake.discard();
    this.intake = undefined;
    this.countHeld();
  }

  /** Refuses a request, and closes; returns the status that was sent. */
  refuse(reason: number): number {
    const status = sentStatus(reason, this.service.requireHost);
    this.state &= ~(KEEP_ALIVE | BUSY);
    this.reading = Reading.NOTHING;
    this.exchange = undefined;
    this.whole(planRefusal(this.flags, status));
    this.closeAnswered();
    return status;
  }

  /** Refuses a request that never reached a handler. */
  refuseUnseen(reason: number, head?: RequestHead): void {
    const { receivedBytes } = this;
    const status = this.refuse(reason);
    if (this.service.observer === undefined) return;
    const request = head &&
      new LazyRequest(head, new Exchange(this, head.flags), undefined);
    notifyRefused(this, request, { status, receivedBytes });
  }

  /** Ends an answer that is not whole, without sending an end of its body. */
  breakOff(body: BodySink): void {
    this.state &= ~(KEEP_ALIVE | BUSY);
    this.exchange = undefined;
    // When the end of the connection ends the body, only a reset shows that.
    if (body.endsByClosing) this.transport.abort();
    else this.closeAnswered();
  }

  /** Ends the connection at once. */
  abort(): void {
    this.transport.abort();
  }

  /** Closes after the last answer, which unread bytes must not destroy. */
  closeAnswered(): void {
    this.reading = Reading.NOTHING;
    this.pending = undefined;
    const intake = this.intake;
    this.intake = undefined;
    intake?.end();
    this.countHeld();
    this.transport.closeLingering();
  }
}
