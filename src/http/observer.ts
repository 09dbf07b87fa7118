/**
 * Observers: what a program hears of requests, for its logs and metrics.
 *
 * @module
 */

import type { ServeAddress } from "./transport.ts";

/** A request that has begun. */
export interface RequestBegan {
  /** The request that the handler gets. Its body is the handler's to read. */
  readonly request: Request;
  /** The peer's address, asked for when it is read. */
  readonly remoteAddr: ServeAddress;
}

/** A request that has ended. */
export interface RequestEnded extends RequestBegan {
  /** Bytes of the request's body that have come, without their framing. */
  readonly receivedBytes: number;
  /** Bytes of the answer's body that were handed over, without framing. */
  readonly sentBytes: number;
  /**
   * Milliseconds from the call of the handler until now; 0 for a request that no
   * handler has seen.
   */
  readonly durationMs: number;
}

/** A request whose answer was handed over in whole. */
export interface RequestAnswered extends RequestEnded {
  /** The status of the answer: from 200 to 599. */
  readonly status: number;
  /**
   * What the handler has thrown, when the answer is that of `onError`, else
   * `undefined`.
   */
  readonly error: unknown;
}

/** A request that the server itself has answered with a status. */
export interface RequestRefused extends Omit<RequestEnded, "request"> {
  /**
   * The request, as far as its head is valid: `undefined` for most requests
   * that no handler has seen.
   */
  readonly request: Request | undefined;
  /** The status of the answer: from 400 to 599. */
  readonly status: number;
}

/** A request whose answer will never be whole. */
export interface RequestFailed extends RequestEnded {
  /** The status of the answer, or `undefined` when no answer had begun. */
  readonly status: number | undefined;
  /**
   * Why: what the answer's stream has thrown, or why this side has reset the
   * client; `undefined` when the client has gone.
   */
  readonly error: unknown;
}

/**
 * Notified of requests, in order on each connection. A server without an
 * observer pays nothing for it.
 *
 * A function is called while the server works: it must be quick, and must not
 * wait. What it throws is printed, and changes nothing for the client.
 */
export interface Observer {
  /** A request has come, and its handler is called next. */
  began?(event: RequestBegan): void;
  /** An answer was handed over in whole, though the peer may not have read it. */
  answered?(event: RequestAnswered): void;
  /**
   * The server has answered a request that it cannot serve: 400, 408, 413, 414,
   * 417, 431, 501 or 503, as a rule before a handler was called. `began` comes
   * before only when a handler was called.
   */
  refused?(event: RequestRefused): void;
  /** The client has gone before it had its answer, or the answer has failed. */
  failed?(event: RequestFailed): void;
}

/** The names of an observer's functions. */
const NAMES = ["began", "answered", "refused", "failed"] as const;

/** What is said before the error that an observer threw. */
const OBSERVER_FAILED = "Exception in an observer";

/** Calls an observer, and reports what it throws. */
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
 * Returns the observer that an option means, `undefined` when there is none.
 *
 * @throws {TypeError} when it is no object, or has something else than functions.
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
