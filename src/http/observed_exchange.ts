/**
 * An exchange that notifies the server's observer.
 *
 * @module
 */

import { nowMs } from "../base/own.ts";
import type { AnswerSink } from "./answer_sink.ts";
import { Exchange } from "./exchange.ts";
import { notify, type RequestEnded } from "./observer.ts";
import type { LazyRequest } from "./request.ts";
import type { ServeAddress } from "./transport.ts";

/** An observer's event: the address is looked up when it is read. */
class Event {
  readonly request: Request;
  readonly #sink: AnswerSink;

  constructor(request: Request, sink: AnswerSink) {
    this.request = request;
    this.#sink = sink;
  }

  get remoteAddr(): ServeAddress {
    return this.#sink.peerAddress;
  }
}

/** An exchange that notifies the server's observer. */
export class ObservedExchange extends Exchange {
  readonly #sink: AnswerSink;
  #request: Request | undefined = undefined;
  #beganMs = 0;
  /** The error of the handler, or of the stream before its first byte. */
  #error: unknown = undefined;

  /** @param flags The request's bits of `RequestFlag`. */
  constructor(sink: AnswerSink, flags: number) {
    super(sink, flags);
    this.#sink = sink;
  }

  protected override began(request: LazyRequest): void {
    this.#beganMs = nowMs();
    this.#request = request as unknown as Request;
    notify(this.#sink.service, "began", this.#event());
  }

  protected override erred(error: unknown): void {
    this.#error = error;
  }

  protected override answered(status: number, sentBytes: number): void {
    const event = this.#ended(sentBytes);
    const all = Object.assign(event, { status, error: this.#error });
    notify(this.#sink.service, "answered", all);
  }

  protected override refused(status: number, receivedBytes: number): void {
    const event = Object.assign(this.#ended(0), { status, receivedBytes });
    notify(this.#sink.service, "refused", event);
  }

  protected override failed(
    status: number | undefined,
    sentBytes: number,
    error: unknown,
  ): void {
    const event = Object.assign(this.#ended(sentBytes), { status, error });
    notify(this.#sink.service, "failed", event);
  }

  #event(): Event {
    return new Event(this.#request!, this.#sink);
  }

  #ended(sentBytes: number): RequestEnded {
    return Object.assign(this.#event(), {
      receivedBytes: this.#sink.receivedBytes,
      sentBytes,
      durationMs: nowMs() - this.#beganMs,
    });
  }
}

/** Notifies an observer of a request that never reached a handler. */
export function notifyRefused(
  sink: AnswerSink,
  request: LazyRequest | undefined,
  what: { status: number; receivedBytes: number },
): void {
  const event = new Event(request as unknown as Request, sink);
  const all = Object.assign(event, { ...what, sentBytes: 0, durationMs: 0 });
  notify(sink.service, "refused", all);
}
