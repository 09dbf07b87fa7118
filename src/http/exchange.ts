/**
 * An exchange: one request and its answer.
 *
 * It runs the handler, waits for it, turns its errors into answers, and knows
 * how far the answer is. It knows nothing of the connection: not the order of
 * answers, not whether a further request follows. Those belong to its sink.
 *
 * @module
 */

import { isPlain, planAnswer } from "./answer_plan.ts";
import type { AnswerSink, PendingExchange } from "./answer_sink.ts";
import { complete, completionOf, interrupt } from "./completion.ts";
import { reportStream, watchEnd } from "./endless.ts";
import {
  HttpError,
  internalServerError,
  notAResponse,
  ON_ERROR_FAILED,
} from "./errors.ts";
import { LazyRequest, type RequestExchange } from "./request.ts";
import { type ResponseParts, takeResponse } from "./response.ts";
import type { ServeHandlerInfo } from "./service.ts";
import { CANCEL_REASON, StreamPump } from "./stream_pump.ts";
import type { ServeAddress } from "./transport.ts";

/** How far the answer is: two bits of the state. */
const Phase = {
  /** The handler has not answered. */
  HANDLER: 0,
  /** A stream is being written. */
  STREAM: 1,
  /** The answer will never be whole. */
  LOST: 2,
  /** The answer was handed over in whole: all bits are set, from any phase. */
  ANSWERED: 3,
} as const;

const PHASE_MASK = 3;
/** Somebody waits for the answer to be handed over. */
const IS_AWAITED = 1 << 2;
/** A stream has failed before a byte of the answer had left. */
const HAS_FAILED = 1 << 3;
/** The connection is gone, or the answer was broken off. */
const IS_LOST = 1 << 4;
/** Above the bits of the state are those of `RequestFlag`. */
const FLAGS_SHIFT = 5;

// Deno's globals are getters, which load a class on first use and cost a call.
const { ReadableStream, Response } = globalThis;

/** Streams that are being written: few exchanges have one. */
const pumps = new WeakMap<Exchange, StreamPump>();

/**
 * One request and its answer. The handler gets it as its second argument: an
 * object of its own for that would be made for each request.
 */
export class Exchange
  implements ServeHandlerInfo<ServeAddress>, RequestExchange, PendingExchange {
  readonly #sink: AnswerSink;
  #state: number;
  /** What aborts the request's signal; false when it has aborted unasked. */
  #abort: AbortController | false | undefined = undefined;

  /** @param flags The request's bits of `RequestFlag`. */
  constructor(sink: AnswerSink, flags: number) {
    this.#sink = sink;
    this.#state = flags << FLAGS_SHIFT;
  }

  /** The peer's address, asked for when it is read. */
  get remoteAddr(): ServeAddress {
    return this.#sink.peerAddress;
  }

  /** Settles when the answer is handed over, or cannot be any more. */
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

  /** What URLs begin with. */
  get scheme(): string {
    return this.#sink.service.scheme;
  }

  /** The authority for a request that names none. */
  get authority(): string {
    return this.#sink.authority;
  }

  /** The request's signal, when somebody has asked for it. */
  get madeSignal(): AbortSignal | false | undefined {
    return this.#abort && this.#abort.signal;
  }

  /** The request's signal, made when it is asked for first. */
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

  /** Whether the peer would take the end of the connection for the body's. */
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
   * Has the handler answer the request. Static, and without a method of the
   * exchange on the way to a plain answer: V8 does not allocate an exchange of
   * which only fields are used.
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
        return discard(result);
      }
      const parts = takeResponse(result);
      const bytes = answerPlain(sink, exchange.#state >> FLAGS_SHIFT, parts);
      if (bytes >= 0) {
        exchange.#state |= Phase.ANSWERED;
        if (exchange.#state & IS_AWAITED) exchange.#complete();
        if (observer !== undefined) exchange.answered(parts.status, bytes);
        return sink.finished();
      }
      exchange.#answer(parts);
      if (exchange.#phase === Phase.STREAM) exchange.#hold(request);
    } catch (error) {
      exchange.#hold(request);
      exchange.#fail(error);
    }
  }

  /** Answers a request that has failed before its handler was called. */
  failBefore(request: LazyRequest, error: unknown): void {
    this.began(request);
    this.#hold(request);
    this.#fail(error);
  }

  /** The peer sends no more: it may have gone, and the handler is notified. */
  peerEnded(): void {
    this.abort();
    pumps.get(this)?.peerEnded();
  }

  /** Aborts the request's signal. */
  abort(): void {
    if (this.#abort) this.#abort.abort();
    else this.#abort = false;
  }

  /** The peer has read: a stream goes on. */
  drain(): void {
    pumps.get(this)?.drain();
  }

  /** Nothing more of a stream can be sent, or has come for too long. */
  cancelStream(): void {
    const pump = pumps.get(this);
    if (pump === undefined) return;
    // The handler that waits for the answer hears of it before the stream does.
    this.#breakOff(pump, undefined);
    pump.cancel();
  }

  /**
   * The connection is gone.
   *
   * @param cause Why, if this side has ended it.
   */
  lose(cause: unknown): void {
    this.#interrupt(cause);
    this.abort();
    pumps.get(this)?.cancel();
  }

  /** Keeps the exchange, and what the request needs of a shared buffer. */
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
      // The answer had begun: the peer can only be shown that it is not whole.
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

  /** Answers with a response, unless it comes too late. */
  #respond(response: Response): void {
    if (this.#sink.isClosed || this.#phase !== Phase.HANDLER) {
      return discard(response);
    }
    const parts = takeResponse(response);
    const bytes = answerPlain(this.#sink, this.#flags, parts);
    if (bytes >= 0) return this.#finish(parts.status, bytes);
    this.#answer(parts);
  }

  /** Writes the answer, or begins to. */
  #answer(parts: ResponseParts): void {
    const { body } = parts;
    if (!(body instanceof ReadableStream)) return this.#answerWhole(parts);
    try {
      this.#answerStream(parts, body);
    } catch (error) {
      body.cancel(error).catch(() => {});
      throw error;
    }
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

  /** Answers for a stream that failed before a byte of its answer has left. */
  #answerUnsent(error: unknown): void {
    pumps.delete(this);
    this.#phase = Phase.HANDLER;
    if ((this.#state & HAS_FAILED) === 0) {
      this.#state |= HAS_FAILED;
      return this.#fail(error);
    }
    // It was the answer to an error itself, and the next one may fail as well.
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

  /** The answer is handed over: the sink goes on with the next request. */
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
    // A handler may still fail, and that is reported.
    if (this.#phase === Phase.STREAM) this.#phase = Phase.LOST;
    if (this.#state & IS_AWAITED) interrupt(this, cause);
    const pump = pumps.get(this);
    this.failed(pump?.status, pump?.written ?? 0, cause);
  }

  // What an exchange of which an observer is notified does: nothing here.

  /** The handler is called next. */
  protected began(_request: LazyRequest): void {}

  /** The handler has thrown, or a stream before its first byte. */
  protected erred(_error: unknown): void {}

  /** The answer was handed over. */
  protected answered(_status: number, _sentBytes: number): void {}

  /** The server itself has answered. */
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
 * @returns The bytes of its body; -1 when the answer is not plain.
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

/** Throws a response away that comes too late. */
function discard(response: Response): void {
  response.body?.cancel(CANCEL_REASON).catch(() => {});
}
