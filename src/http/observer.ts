/**
 * Observers: the events of requests, for a program's logs and metrics.
 *
 * @module
 */

import type { ServeAddress } from "./transport.ts";

/** A request that has begun. */
export interface RequestBegan {
  /** The handler's request. Only the handler may read its body. */
  readonly request: Request;
  /** The peer's address, looked up when it is read. */
  readonly remoteAddr: ServeAddress;
}

/** A request that has ended. */
export interface RequestEnded extends RequestBegan {
  /** Received bytes of the request's body, without their framing. */
  readonly receivedBytes: number;
  /**
   * Bytes of the answer's body that were handed over, without their framing.
   */
  readonly sentBytes: number;
  /**
   * Milliseconds from the call of the handler until now; 0 when no handler was
   * called.
   */
  readonly durationMs: number;
}

/** A request with a whole answer that was handed over. */
export interface RequestAnswered extends RequestEnded {
  /** The status of the answer: from 200 to 599, or 101. */
  readonly status: number;
  /**
   * The handler's error, when `onError` made the answer; `undefined` otherwise.
   */
  readonly error: unknown;
}

/** A request that the server refused with a status. */
export interface RequestRefused extends Omit<RequestEnded, "request"> {
  /**
   * The request, when its head is valid: `undefined` for most refused requests.
   */
  readonly request: Request | undefined;
  /** The status of the answer: from 400 to 599. */
  readonly status: number;
}

/** A request with an answer that will never be whole. */
export interface RequestFailed extends RequestEnded {
  /** The status of the answer, or `undefined` when no answer had begun. */
  readonly status: number | undefined;
  /**
   * The error of the answer's stream, or the reason why this side has reset the
   * client; `undefined` when the client has gone.
   */
  readonly error: unknown;
}

/**
 * Functions that the server notifies of requests, in order on each connection.
 * A server without an observer pays nothing.
 *
 * The server waits while a function runs: it must be quick. An error that it
 * throws is printed, and changes nothing for the client.
 */
export interface Observer {
  /** A request has begun: its handler is called next. */
  began?(event: RequestBegan): void;
  /**
   * A whole answer was handed over; the peer may not have read it yet. The 503
   * of `handlerMs` is such an answer, in the handler's place.
   */
  answered?(event: RequestAnswered): void;
  /**
   * The server has refused a request: 400, 408, 413, 414, 417, 431, 501 or 503,
   * usually before the handler was called. `began` is called before only when
   * the handler was called.
   */
  refused?(event: RequestRefused): void;
  /** The client went before it had its answer, or the answer failed. */
  failed?(event: RequestFailed): void;
}

/** The names of an observer's functions. */
const NAMES = ["began", "answered", "refused", "failed"] as const;

/** The text that is printed before an observer's error. */
const OBSERVER_FAILED = "Exception in an observer";

/** Calls an observer's function, and reports an error that it throws. */
export function notify<Name extends keyof Observer>(
  { observer, report }: {
    observer: Observer | undefined;
    report: (error: unknown, when?: string) => void;
  },
  name: Name,
  event: Parameters<Required<Observer>[Name]>[0],
): void {
  try {
    (observer?.[name] as ((event: unknown) => void) | undefined)?.call(
      observer,
      event,
    );
  } catch (error) {
    report(error, OBSERVER_FAILED);
  }
}

/**
 * Returns the observer of an option; `undefined` for a missing one.
 *
 * @throws {TypeError} when it is no object, or one of its functions is none.
 */
export function observerOf(option: unknown): Observer | undefined {
  if (option === undefined || option === null) return undefined;
  if (typeof option !== "object") {
    throw new TypeError(
      `Cannot use observer "${String(option)}": it must be an object`,
    );
  }
  const observer = option as Observer;
  for (let index = 0; index < NAMES.length; index++) {
    const value: unknown = observer[NAMES[index]!];
    if (value === undefined || typeof value === "function") continue;
    throw new TypeError(
      `Cannot use observer.${NAMES[index]} "${String(value)}": it must be a ` +
        "function",
    );
  }
  return observer;
}
