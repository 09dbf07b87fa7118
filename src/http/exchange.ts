/**
 * An exchange: one request and its answer.
 *
 * An exchange calls the handler, waits for it, turns its errors into answers,
 * and knows how far the answer is. It knows nothing of the connection: the
 * order of answers and further requests belong to its sink.
 *
 * @module
 */

import { isPlain, planAnswer, planSwitch } from "./answer_plan.ts";
import type { AnswerSink, PendingExchange } from "./answer_sink.ts";
import { complete, completionOf, interrupt } from "./completion.ts";
import {
  HttpError,
  internalServerError,
  notAResponse,
  ON_ERROR_FAILED,
} from "./errors.ts";
import { LazyRequest, type RequestExchange } from "./request.ts";
import { type ResponseParts, takeResponse } from "./response.ts";
import type { ServeHandlerInfo } from "./service.ts";
import {
  CANCEL_REASON,
  reportStream,
  StreamPump,
  watchEnd,
} from "./stream_pump.ts";
import {
  type Handover,
  SWITCHING_PROTOCOLS,
  takeHandover,
} from "./takeover.ts";
import type { ServeAddress } from "./transport.ts";

/** How far the answer is: the lower two bits of the state. */
const Phase = {
  /** The handler has not answered. */
  HANDLER: 0,
  /** A stream is being written. */
  STREAM: 1,
  /** The answer will never be whole. */
  LOST: 2,
  /** The whole answer was handed over: both bits are set, from any phase. */
  ANSWERED: 3,
} as const;

const PHASE_MASK = 3;
/** The handler has read `completed`. */
const IS_AWAITED = 1 << 2;
/** A stream has failed before a byte of its answer was sent. */
const HAS_FAILED = 1 << 3;
/** The connection is gone, or the answer was broken off. */
const IS_LOST = 1 << 4;
/** The bits of `RequestFlag` begin here. */
const FLAGS_SHIFT = 5;

// Deno's globals are getters, which load a class on first use and cost a call.
const { ReadableStream, Response } = globalThis;

/** The streams that are being written: few exchanges have one. */
const pumps = new WeakMap<Exchange, StreamPump>();

/**
 * One request and its answer. The exchange is the second argument of the
 * handler too, since a separate object for that would cost memory for each
 * request.
 */
export class Exchange
  implements ServeHandlerInfo<ServeAddress>, RequestExchange, PendingExchange {
  readonly #sink: AnswerSink;
  #state: number;
  /** Aborts the request's signal; false when it is aborted but not made yet. */
  #abort: AbortController | false | undefined = undefined;

  /** @param flags The request's bits of `RequestFlag`. */
  constructor(sink: AnswerSink, flags: number) {
    this.#sink = sink;
    this.#state = flags << FLAGS_SHIFT;
  }

  /** The peer's address, looked up when it is read. */
  get remoteAddr(): ServeAddress {
    return this.#sink.peerAddress;
  }

  /** Settles when the answer was handed over, or never will be. */
  get completed(): Promise<void> {
    const phase = this.#phase;
    if (phase === Phase.ANSWERED) return completionOf(this, "whole");
    if (phase === Phase.LOST || this.#sink.isClosed) {
      return completionOf(this, "lost");
    }
    this.#state |= IS_AWAITED;
    this.#sink.hold(this);
    return completionOf(this, "pending");
  }

  /** The scheme of URLs. */
  get scheme(): string {
    return this.#sink.service.scheme;
  }

  /** The authority for a request that has none. */
  get authority(): string {
    return this.#sink.authority;
  }

  /** The request's signal, if it was made. */
  get madeSignal(): AbortSignal | false | undefined {
    return this.#abort && this.#abort.signal;
  }

  /** The request's signal, made when it is read first. */
  get signal(): AbortSignal {
    if (this.#abort) return this.#abort.signal;
    const controller = new AbortController();
    if (this.#abort === false) controller.abort();
    this.#abort = controller;
    return controller.signal;
  }

  /** Whether a stream is being written. */
  get isStreaming(): boolean {
    return this.#phase === Phase.STREAM;
  }

  /** Whether the peer takes the end of the connection for the body's end. */
  get endsByClosing(): boolean {
    return pumps.get(this)?.sink.endsByClosing === true;
  }

  get #phase(): number {
    return this.#state & PHASE_MASK;
  }

  set #phase(phase: number) {
    this.#state = this.#state & ~PHASE_MASK | phase;
  }

  get #flags(): number {
    return this.#state >> FLAGS_SHIFT;
  }

  /**
   * Calls the handler and answers. Static, and without a call of the exchange's
   * methods on the way to a plain answer: V8 does not allocate an exchange when
   * only its fields are used.
   */
  static run(exchange: Exchange, request: LazyRequest): void {
    const sink = exchange.#sink;
    const { handler, observer } = sink.service;
    if (observer !== undefined) exchange.began(request);
    try {
      const result = handler(request as unknown as Request, exchange);
      if (!(result instanceof Response)) {
        return exchange.#await(request, result);
      }
      if (sink.isClosed) {
        exchange.lose(undefined);
        return discard(result, exchange);
      }
      const parts = takeResponse(result);
      const bytes = answerPlain(sink, exchange.#state >> FLAGS_SHIFT, parts);
      if (bytes >= 0) {
        exchange.#state |= Phase.ANSWERED;
        if (exchange.#state & IS_AWAITED) exchange.#complete();
        if (observer !== undefined) exchange.answered(parts.status, bytes);
        return sink.finished();
      }
      exchange.#answer(parts, result);
      if (exchange.#phase === Phase.STREAM) exchange.#hold(request);
    } catch (error) {
      exchange.#hold(request);
      exchange.#fail(error);
    }
  }

  /** Answers a request that failed before its handler was called. */
  failBefore(request: LazyRequest, error: unknown): void {
    this.began(request);
    this.#hold(request);
    this.#fail(error);
  }

  /** The peer sends no more and may be gone: the request's signal aborts. */
  peerEnded(): void {
    this.abort();
    pumps.get(this)?.peerEnded();
  }

  /** Aborts the request's signal. */
  abort(): void {
    if (this.#abort) this.#abort.abort();
    else this.#abort = false;
  }

  /** The peer has read: the stream goes on. */
  drain(): void {
    pumps.get(this)?.drain();
  }

  /**
   * Cancels the stream: the peer is gone, or the stream was silent too long.
   */
  cancelStream(): void {
    const pump = pumps.get(this);
    if (pump === undefined) return;
    // First: the handler that waits for `completed` is notified before the
    // stream.
    this.#breakOff(pump, undefined);
    pump.cancel();
  }

  /**
   * The connection is gone.
   *
   * @param cause Why, when this side has ended the connection.
   */
  lose(cause: unknown): void {
    this.#interrupt(cause);
    this.abort();
    pumps.get(this)?.cancel();
  }

  /**
   * Keeps the exchange, and copies what the request needs of shared buffers.
   */
  #hold(request: LazyRequest): void {
    LazyRequest.detach(request);
    this.#sink.hold(this);
    // The handler itself may have ended the connection.
    if (this.#sink.isClosed) this.lose(undefined);
    else if (this.#sink.peerHasEnded) this.peerEnded();
  }

  /** Waits for a handler's promise. */
  #await(request: LazyRequest, result: Promise<Response>): void {
    if (typeof result?.then !== "function") throw notAResponse();
    this.#hold(request);
    this.#sink.service.beginWork();
    // A thenable of another library may settle at once, or twice.
    const promise = result instanceof Promise
      ? result
      : Promise.resolve(result);
    promise.then(
      (response) => this.#settle(response),
      (error) => {
        this.#sink.service.endWork();
        this.#fail(error);
        this.#sink.proceed();
      },
    );
  }

  #settle(response: Response): void {
    this.#sink.service.endWork();
    try {
      if (!(response instanceof Response)) throw notAResponse();
      this.#respond(response);
    } catch (error) {
      this.#fail(error);
    }
    this.#sink.proceed();
  }

  /** Answers for a handler, or a stream, that has failed. */
  #fail(error: unknown): void {
    if (this.#phase !== Phase.HANDLER) {
      // The answer had begun: only a reset shows the peer that it is not whole.
      this.#sink.abort();
      return;
    }
    if (error instanceof HttpError) {
      if (this.#sink.isClosed) return;
      this.#answered();
      const { receivedBytes } = this.#sink;
      this.refused(this.#sink.refuse(error.status), receivedBytes);
      return;
    }
    this.erred(error);
    this.#answerError(error).catch((second) => {
      this.#sink.service.report(second, ON_ERROR_FAILED);
      this.#respond(internalServerError());
      this.#sink.proceed();
    });
  }

  async #answerError(error: unknown): Promise<void> {
    const { onError, beginWork, endWork } = this.#sink.service;
    beginWork();
    try {
      const response = await onError(error);
      if (!(response instanceof Response)) throw notAResponse();
      this.#respond(response);
      this.#sink.proceed();
    } finally {
      endWork();
    }
  }

  /** Answers with a response, unless it is too late. */
  #respond(response: Response): void {
    if (this.#sink.isClosed || this.#phase !== Phase.HANDLER) {
      return discard(response, this);
    }
    const parts = takeResponse(response);
    const bytes = answerPlain(this.#sink, this.#flags, parts);
    if (bytes >= 0) return this.#finish(parts.status, bytes);
    this.#answer(parts, response);
  }

  /** Writes the answer, or begins to write it. */
  #answer(parts: ResponseParts, response: Response): void {
    const { body, status } = parts;
    const handover = status === SWITCHING_PROTOCOLS &&
      takeHandover(response, this);
    if (handover) return this.#handOver(parts, handover);
    if (!(body instanceof ReadableStream)) return this.#answerWhole(parts);
    try {
      this.#answerStream(parts, body);
    } catch (error) {
      body.cancel(error).catch(() => {});
      throw error;
    }
  }

  /** Hands the connection over to another protocol. */
  #handOver(parts: ResponseParts, handover: Handover): void {
    try {
      this.#sink.handOver(planSwitch(parts, handover.fields), handover);
    } catch (error) {
      handover.lost?.();
      throw error;
    }
    this.#answered();
    this.answered(SWITCHING_PROTOCOLS, 0);
  }

  #answerWhole(parts: ResponseParts): void {
    const plan = planAnswer(this.#flags, parts);
    this.#sink.prepare(parts);
    this.#finish(plan.status, this.#sink.whole(plan));
  }

  #answerStream(
    parts: ResponseParts,
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  ): void {
    const sink = this.#sink;
    const plan = planAnswer(this.#flags, parts);
    sink.prepare(parts);
    if (plan.body === null) {
      sink.whole(plan);
      stream.cancel(CANCEL_REASON).catch(() => {});
      return this.#finish(plan.status, 0);
    }
    const way = { sink: sink.head(plan), work: sink.service, plan };
    const pump = new StreamPump(way, stream);
    pumps.set(this, pump);
    this.#phase = Phase.STREAM;
    if (sink.peerHasEnded) pump.peerEnded();
    this.#write(pump);
  }

  async #write(pump: StreamPump): Promise<void> {
    const sink = this.#sink;
    try {
      if (!await pump.run()) return;
      pumps.delete(this);
      if (!pump.hasEnded) watchEnd(sink, pump);
      this.#finish(pump.status, pump.written);
      sink.proceed();
    } catch (error) {
      const isCurrent = pumps.get(this) === pump;
      if (isCurrent && pump.isUnsent) return this.#answerUnsent(error);
      reportStream(sink.service, error);
      if (isCurrent) this.#breakOff(pump, error);
      else sink.abort();
    }
  }

  /** Answers for a stream that failed before a byte of its answer was sent. */
  #answerUnsent(error: unknown): void {
    pumps.delete(this);
    this.#phase = Phase.HANDLER;
    if ((this.#state & HAS_FAILED) === 0) {
      this.#state |= HAS_FAILED;
      return this.#fail(error);
    }
    // The stream was itself the answer of `onError`, and the next may fail too.
    this.#sink.service.report(error, ON_ERROR_FAILED);
    this.#respond(internalServerError());
    this.#sink.proceed();
  }

  /** Ends an answer that is not whole. */
  #breakOff(pump: StreamPump, cause: unknown): void {
    this.#interrupt(cause);
    pumps.delete(this);
    this.#sink.breakOff(pump.sink);
  }

  /** The answer was handed over: the sink begins the next request. */
  #finish(status: number, sentBytes: number): void {
    this.#answered();
    this.answered(status, sentBytes);
    this.#sink.finished();
  }

  #complete(): void {
    complete(this);
  }

  #answered(): void {
    this.#state |= Phase.ANSWERED;
    if (this.#state & IS_AWAITED) complete(this);
  }

  #interrupt(cause: unknown): void {
    if (this.#state & IS_LOST) return;
    this.#state |= IS_LOST;
    // In the handler's phase the handler may still fail, which is reported.
    if (this.#phase === Phase.STREAM) this.#phase = Phase.LOST;
    if (this.#state & IS_AWAITED) interrupt(this, cause);
    const pump = pumps.get(this);
    this.failed(pump?.status, pump?.written ?? 0, cause);
  }

  // Hooks of `ObservedExchange`; they do nothing without an observer.

  /** The handler is called next. */
  protected began(_request: LazyRequest): void {}

  /** The handler failed, or a stream before its first byte. */
  protected erred(_error: unknown): void {}

  /** The answer was handed over. */
  protected answered(_status: number, _sentBytes: number): void {}

  /** The server has refused the request. */
  protected refused(_status: number, _receivedBytes: number): void {}

  /** The answer will never be whole. */
  protected failed(
    _status: number | undefined,
    _sentBytes: number,
    _error: unknown,
  ): void {}
}

/**
 * Writes a plain answer.
 *
 * @returns The length of its body in bytes; -1 when the answer is not plain.
 */
function answerPlain(
  sink: AnswerSink,
  flags: number,
  parts: ResponseParts,
): number {
  if (!isPlain(flags, parts)) return -1;
  sink.prepare(parts);
  const text = parts.body as string;
  return sink.plain(parts.contentType, text) ? text.length : -1;
}

/** Throws away a response that is too late. */
function discard(response: Response, exchange: Exchange): void {
  takeHandover(response, exchange)?.lost?.();
  response.body?.cancel(CANCEL_REASON).catch(() => {});
}
