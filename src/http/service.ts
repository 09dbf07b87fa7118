/**
 * The handler, the limits and the heads that all connections of a server share.
 *
 * @module
 */

import { Heads } from "./h1/heads.ts";
import type { HttpLimits } from "./http_limits.ts";
import type { Observer } from "./observer.ts";
import type { ServeAddress } from "./transport.ts";

/**
 * The second argument of a handler.
 *
 * @typeParam Addr The form of the server's address.
 */
export interface ServeHandlerInfo<Addr extends ServeAddress = Deno.NetAddr> {
  /**
   * The peer's address, looked up when it is read. A Unix peer has none, so it
   * is the server's address, as with `Deno.serve`.
   */
  readonly remoteAddr: Addr;
  /**
   * Resolves when the whole answer was handed over to the connection; the peer
   * may not have read it yet. Rejects with `Deno.errors.Interrupted` when the
   * client went, the server ended or the body failed before. A handler that
   * reads this property need not wait for the promise.
   */
  readonly completed: Promise<void>;
}

/**
 * Answers a request.
 *
 * @typeParam Addr The form of the server's address.
 */
export type Handler<Addr extends ServeAddress = Deno.NetAddr> = (
  request: Request,
  info: ServeHandlerInfo<Addr>,
) => Response | Promise<Response>;

/** The schemes that `Deno.serve` gives URLs, by TCP and by Unix sockets. */
export type Scheme = "http" | "http+unix";

/** What a service is made of. */
export interface ServiceOptions {
  /** Answers requests. */
  handler: Handler<ServeAddress>;
  /** The scheme of URLs; `http` when left out. */
  scheme?: Scheme;
  /** Answers for a handler that failed. */
  onError: (error: unknown) => Response | Promise<Response>;
  /** The limits of requests. */
  limits: HttpLimits;
  /**
   * Whether to refuse requests that `Deno.serve` takes and RFC 9112 does not:
   * no `Host` or an empty one, lines of a head that end in a bare LF, and
   * CONNECT. Also whether a head that is too large is 431, where Deno sends
   * 400. True when left out.
   */
  requireHost?: boolean;
  /** Called with an error that no answer shows, and a text for the log. */
  report: (error: unknown, when?: string) => void;
  /** Notified of requests, when given. */
  observer?: Observer;
  /** Counts a pending promise of a handler: Deno's loop must go on. */
  beginWork: () => void;
  /** Uncounts a promise that has settled. */
  endWork: () => void;
}

/** One server's handler, limits and kept heads. */
export class Service {
  /** Answers requests. */
  readonly handler: Handler<ServeAddress>;
  /** The scheme of URLs. */
  readonly scheme: Scheme;
  /** Answers for a handler that failed. */
  readonly onError: (error: unknown) => Response | Promise<Response>;
  /** The limits of requests. */
  readonly limits: HttpLimits;
  /** Whether to be stricter than `Deno.serve`. */
  readonly requireHost: boolean;
  /** Serialises heads. */
  readonly heads: Heads;
  /** Called with an error that no answer shows, and a text for the log. */
  readonly report: (error: unknown, when?: string) => void;
  /** Notified of requests. */
  readonly observer: Observer | undefined;
  /** Counts a pending promise of a handler. */
  readonly beginWork: () => void;
  /** Uncounts a promise that has settled. */
  readonly endWork: () => void;
  /** Whether the server shuts down: no connection is used again. */
  isClosing = false;
  /** The address, once the server listens: see `authorityOf`. */
  addr: ServeAddress | undefined = undefined;

  /** @param options See {@linkcode ServiceOptions}. */
  constructor(options: ServiceOptions) {
    this.handler = options.handler;
    this.scheme = options.scheme ?? "http";
    this.onError = options.onError;
    this.limits = options.limits;
    this.requireHost = options.requireHost ?? true;
    this.heads = new Heads(options.limits.keepAliveMs);
    this.report = options.report;
    this.observer = options.observer;
    this.beginWork = options.beginWork;
    this.endWork = options.endWork;
  }
}
