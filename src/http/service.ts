/**
 * What all connections of one server share: the handler and the limits.
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
   * The peer's address, asked for when it is read. A Unix peer has none: it is
   * the server's own, as `Deno.serve` has it.
   */
  readonly remoteAddr: Addr;
  /**
   * Resolves when the answer was handed over in whole: written, though the peer
   * may not have read it. Rejects with `Deno.errors.Interrupted` when it could
   * not be, because the client went, the server was ended or the body failed.
   * A handler that reads it need not wait for it.
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

/** The way from a connection to its server. */
export interface ServiceOptions {
  /** Answers requests. */
  handler: Handler<ServeAddress>;
  /** What URLs begin with; `http` when left out. */
  scheme?: Scheme;
  /** Answers when the handler fails. */
  onError: (error: unknown) => Response | Promise<Response>;
  /** What a peer may ask. */
  limits: HttpLimits;
  /**
   * Whether to refuse what `Deno.serve` takes and RFC 9112 does not: no `Host`
   * or an empty one, lines of a head that end in a bare LF, and CONNECT. Also
   * whether a head that is too large is 431, where Deno says 400. True when left
   * out.
   */
  requireHost?: boolean;
  /** Called with an error that nobody answers, and when that was. */
  report: (error: unknown, when?: string) => void;
  /** Notified of requests; left out, nothing is. */
  observer?: Observer;
  /** A handler's promise is pending: Deno's loop must go on. */
  beginWork: () => void;
  /** It has settled. */
  endWork: () => void;
}

/** One server's handler, limits and kept heads. */
export class Service {
  /** Answers requests. */
  readonly handler: Handler<ServeAddress>;
  /** What URLs begin with. */
  readonly scheme: Scheme;
  /** Answers when the handler fails. */
  readonly onError: (error: unknown) => Response | Promise<Response>;
  /** What a peer may ask. */
  readonly limits: HttpLimits;
  /** Whether to be stricter than `Deno.serve`. */
  readonly requireHost: boolean;
  /** Serialises heads. */
  readonly heads: Heads;
  /** Called with an error that nobody answers, and when that was. */
  readonly report: (error: unknown, when?: string) => void;
  /** Notified of requests. */
  readonly observer: Observer | undefined;
  /** Counts a pending handler. */
  readonly beginWork: () => void;
  /** Uncounts it. */
  readonly endWork: () => void;
  /** Whether the server is shutting down: no connection is used again. */
  isClosing = false;
  /** Where the server listens, once it does: see `authorityOf`. */
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
