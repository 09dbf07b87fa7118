/**
 * A connection of HTTP/1.1: heads are read, exchanges run, bodies are fed, and
 * the connection is kept alive or closed.
 *
 * It knows no sockets: bytes come by `data` and leave by a `Transport`. Requests
 * are handled one after the other, so answers are in order by construction, and
 * a client that pipelines without end waits in its own buffers, not in ours.
 *
 * @module
 */

import { type AnswerPlan, Framing, planRefusal } from "../answer_plan.ts";
import type { BodySink, PendingExchange } from "../answer_sink.ts";
import { authorityOf } from "../authority.ts";
import { cancelEndless } from "../endless.ts";
import type { HttpError } from "../errors.ts";
import { Exchange } from "../exchange.ts";
import { notifyRefused } from "../observed_exchange.ts";
import { LazyRequest } from "../request.ts";
import { RequestFlag } from "../request_flag.ts";
import type { ResponseParts } from "../response.ts";
import type { Service } from "../service.ts";
import type { HttpTransport, ServeAddress } from "../transport.ts";
import { keepAddresses, localAddressOf, remoteAddressOf } from "./addresses.ts";
import { headRoom, writePlain, writeWhole } from "./answer_writer.ts";
import type { BodyIntake } from "./body_intake.ts";
import { closeUnasked, shutdown, terminate, timeout } from "./closing.ts";
import { ChunkWriter, headOutput } from "./chunk_writer.ts";
import type { RequestHead } from "./head.ts";
import { ConnectionField } from "./heads.ts";
import { addPending, keep, proceed } from "./pending.ts";
import { saysClose } from "./persistence.ts";
import { consume } from "./reading.ts";
import { saidStatus } from "./refusal.ts";
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
} from "./state.ts";

/** What handlers hear when this side has reset a client, by close reason. */
const RESETS: Readonly<Record<string, string>> = {
  write: "The client was reset: it has not read its answer in time",
  shed: "The client was reset: connections took all memory they may",
};

/**
 * One connection. Many connections wait for nothing but their next request:
 * fields that few connections need are kept in objects of their own.
 */
export class HttpConnection implements Http1 {
  /** The way to the peer. */
  readonly transport: HttpTransport;
  /** What all connections of the server share. */
  readonly service: Service;
  // What these are stands in `Http1`.
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

  /** @param transport The way to the peer. */
  constructor(transport: HttpTransport, service: Service) {
    this.transport = transport;
    this.service = service;
  }

  /** Whether it waits for a request, and owes nobody anything. */
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

  /** Whether the peer sends no more than what has come. */
  get peerHasEnded(): boolean {
    return this.transport.peerHasEnded;
  }

  /** Bytes of the current request's body that have come. */
  get receivedBytes(): number {
    return this.intake?.body.received ?? 0;
  }

  /** The authority for a request without `Host`. */
  get authority(): string {
    return authorityOf(this.service.addr ?? localAddressOf(this));
  }

  /** The peer's address, or our own for a Unix peer, which has none. */
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

  /** Takes bytes from the peer, which are kept only if retained. */
  data(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    const pending = this.pending;
    if (pending !== undefined) {
      return addPending(this, pending, bytes, start, end);
    }
    const intake = this.reading === Reading.BODY ? this.intake : undefined;
    const rest = consume(this, bytes, start, end, 0);
    if (rest < end) keep(this, bytes, rest, end);
    // A body that is neither whole nor gathered has copied its bytes.
    const isCopied = intake?.body.isComplete === false &&
      !intake.body.isGathered && this.intake === intake;
    // A request or a body may refer to these bytes from now on.
    if (rest > start && !isCopied) this.transport.retain?.(end);
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
    // Requests that have come are still answered: a peer may close its half.
    if (!(this.state & BUSY)) this.proceed();
  }

  /**
   * The peer sends no more than what has come. It may have gone, of which the
   * handler is notified (RFC 9112 section 9.5); its answer is still sent.
   */
  ending(): void {
    this.exchange?.peerEnded();
  }

  /** The peer has read: a stream goes on, and requests that waited for that. */
  drain(): void {
    this.exchange?.drain();
    if (!(this.state & BUSY)) this.proceed();
  }

  /**
   * Nothing can be sent any more: the handler's signal aborts, and a stream is
   * cancelled. A body that has come can still be read to its end.
   */
  broken(): void {
    this.ending();
    this.exchange?.cancelStream();
  }

  /**
   * The connection is gone.
   *
   * @param why What a reactor's connection says: its close reason.
   */
  closed(why: string = "ended"): void {
    this.state |= CLOSED;
    this.reading = Reading.NOTHING;
    this.pending = undefined;
    cancelEndless(this);
    const reset = RESETS[why];
    const cause = reset === undefined
      ? undefined
      : new Deno.errors.ConnectionReset(reset);
    // The reactor itself reports connections that it resets for memory.
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

  /** Something has taken too long: see `closing.ts`. */
  timeout(reason: string): void {
    timeout(this, reason);
  }

  /** Ends at once, whatever is in progress: see `closing.ts`. */
  terminate(): void {
    terminate(this);
  }

  /** All of the body has come: the next bytes are a head. */
  bodyEnded(): void {
    if (this.reading === Reading.BODY) this.reading = Reading.HEAD;
    if (this.intake!.isAnswered) this.#nextRequest();
  }

  /** A broken or too large body: the handler hears of it and may answer. */
  failBody(error: HttpError): void {
    const intake = this.intake!;
    intake.body.fail(error);
    this.state &= ~KEEP_ALIVE;
    this.reading = Reading.NOTHING;
    // Answered already: the client would take a second answer for its next one.
    if (intake.isAnswered) this.closeAnswered();
    else if (!(this.state & BUSY)) this.refuseUnseen(error.status);
  }

  /**
   * Says how much memory is taken for the peer, after bytes were kept or freed:
   * also when that is as much as before, since it tells that the peer moves.
   */
  countHeld(): void {
    const pending = this.pending?.queue.memoryBytes ?? 0;
    const held = pending + (this.intake?.body.memoryBytes ?? 0);
    const { transport } = this;
    if (held > 0 || transport.heldBytes > 0) transport.heldBytes = held;
  }

  /** Goes on with requests that waited. */
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

  // The answer of the current exchange.

  /** Keeps the exchange, whose handler has returned without an answer. */
  hold(exchange: PendingExchange): void {
    this.exchange = exchange;
  }

  /** An answer begins. */
  prepare(parts: ResponseParts): void {
    // Said in the answer, since the connection closes after it.
    if (this.intake?.answerBegins(parts)) this.state &= ~KEEP_ALIVE;
  }

  /** Writes the common answer, where the head says nothing of connections. */
  plain(type: string | undefined, text: string): boolean {
    if (this.#connectionField() !== ConnectionField.NONE) return false;
    return writePlain(this.transport, this.service.heads, type, text);
  }

  /** Writes an answer whose body is whole. */
  whole(plan: AnswerPlan): number {
    if (saysClose(plan.fields)) this.state &= ~KEEP_ALIVE;
    const connection = this.#connectionField();
    return writeWhole(this.transport, this.service.heads, plan, connection);
  }

  /** Writes the head of a streamed answer, which waits for its first bytes. */
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

  /** Makes ready for the next request. */
  #nextRequest(): void {
    const intake = this.intake;
    // As with Deno.serve, a reader of the body by now gets all of it.
    if (intake?.body.isHeld) return intake.goOnReading();
    if (!(this.state & KEEP_ALIVE)) return this.closeAnswered();
    if (intake === undefined) return;
    if (!intake.body.isComplete) return intake.discard();
    this.intake = undefined;
    this.countHeld();
  }

  /** Answers a request that cannot be served, and closes. */
  refuse(reason: number): number {
    const status = saidStatus(reason, this.service.requireHost);
    this.state &= ~(KEEP_ALIVE | BUSY);
    this.reading = Reading.NOTHING;
    this.exchange = undefined;
    this.whole(planRefusal(this.flags, status));
    this.closeAnswered();
    return status;
  }

  /** The same for a request that no handler has seen. */
  refuseUnseen(reason: number, head?: RequestHead): void {
    const { receivedBytes } = this;
    const status = this.refuse(reason);
    if (this.service.observer === undefined) return;
    const request = head &&
      new LazyRequest(head, new Exchange(this, head.flags), undefined);
    notifyRefused(this, request, { status, receivedBytes });
  }

  /** Ends an answer that is not whole: its end is not sent. */
  breakOff(body: BodySink): void {
    this.state &= ~(KEEP_ALIVE | BUSY);
    this.exchange = undefined;
    // Where the end of the connection is that of the body, a reset tells.
    if (body.endsByClosing) this.transport.abort();
    else this.closeAnswered();
  }

  /** Ends the connection at once. */
  abort(): void {
    this.transport.abort();
  }

  /** Closes after the last answer; unread bytes must not destroy it. */
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
