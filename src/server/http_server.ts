/**
 * An HTTP/1.1 server on one reactor.
 *
 * @module
 */

import type { HttpConnection } from "../http/h1/connection.ts";
import { http1 } from "../http/h1/protocol.ts";
import { type Observer, observerOf } from "../http/observer.ts";
import type { Handler, Service } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import type { UnixPath } from "../net/address.ts";
import type { Keepalive } from "../net/keepalive.ts";
import { allowFunction } from "../base/checks.ts";
import type { Connection, ConnectionHandlers } from "../reactor/connection.ts";
import type { AnyListener as Listener } from "../reactor/listener.ts";
import type { Reactor } from "../reactor/reactor.ts";
import type { Timer } from "../reactor/timers.ts";
import { Admission } from "./admission.ts";
import { timedHandler } from "./handler_time.ts";
import { serviceOf } from "./http_protocol.ts";
import {
  type LimitedOptions,
  type Settings,
  settingsOf,
} from "./option_table.ts";
import {
  announcement,
  checkCallback,
  checkSignal,
  hasPath,
  HOSTNAME_DEFAULT,
  PORT_DEFAULT,
  portOf,
  reactorOf,
  textOf,
} from "./serve_options.ts";

/** How to serve, wherever it is. */
export interface ServeBaseOptions<Addr extends ServeAddress>
  extends Omit<LimitedOptions, "tcpKeepalive"> {
  /**
   * Ends the server at once when it aborts: whatever is in progress is cut
   * off, but what a handler that aborts it answers in the same round of Deno's
   * loop is sent. A server whose signal has aborted before ends when
   * `onListen` was told.
   */
  signal?: AbortSignal;
  /** Called with the address; left out, the address is printed. */
  onListen?: (addr: Addr) => void;
  /** Answers when the handler fails; left out, 500 and the error is printed. */
  onError?: (error: unknown) => Response | Promise<Response>;
  /**
   * Notified of requests that begin, are answered, refused or fail: for logs and
   * metrics. Nothing is when left out. A module that runs on Workers exports it
   * beside its `fetch`: `export default { fetch, observer }`.
   */
  observer?: Observer;
  /** The reactor to serve on; this thread's shared one when left out. */
  reactor?: Reactor;
}

/** Where and how to serve. */
export interface ServeOptions extends ServeBaseOptions<Deno.NetAddr> {
  /** Always TCP. */
  transport?: "tcp";
  /** From 0 to 65535; 8000 when left out, 0 for one of the system's choosing. */
  port?: number;
  /** An address or a name; `0.0.0.0` when left out. */
  hostname?: string;
  /** Several servers on one address share its connections. */
  reusePort?: boolean;
  /** How silent clients are probed: see `LimitedOptions`. On when left out. */
  tcpKeepalive?: boolean | Partial<Keepalive>;
}

/** At which Unix socket and how to serve. */
export interface ServeUnixOptions
  extends ServeBaseOptions<Deno.UnixAddr>, UnixPath {
  /** Always a stream. */
  transport?: "unix";
}

/**
 * A running server.
 *
 * @typeParam Addr The form of its address.
 */
export interface HttpServer<Addr extends ServeAddress = Deno.NetAddr>
  extends AsyncDisposable {
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Addr;
  /**
   * Resolves when the server has shut down, its last connection closed, and
   * nothing of its reactor is pending in Deno: see `Reactor.settled`.
   */
  readonly finished: Promise<void>;
  /**
   * Stops accepting, answers what has come, and resolves as `finished` does. The
   * connections keep the process alive from now on, also after `unref()`.
   */
  shutdown(): Promise<void>;
  /** Keeps the process alive while the server runs, which is how it begins. */
  ref(): void;
  /** Lets the process end although the server runs. */
  unref(): void;
}

export type { Handler, ServeAddress };

/** Where and how to serve: at a port, or at a Unix socket. */
export type AnyServeOptions = ServeOptions | ServeUnixOptions;

/**
 * Serves HTTP/1.1.
 *
 * @throws {TypeError} when an option is of another type.
 * @throws {RangeError} when a number is out of its range.
 * @throws {Deno.errors.AddrInUse} and others of `Reactor.listen`.
 */
export function serveHttp(
  options: AnyServeOptions,
  handler: Handler<ServeAddress>,
): HttpServer<ServeAddress> {
  return new HttpServerOnReactor(options, handler);
}

class HttpServerOnReactor implements HttpServer<ServeAddress> {
  readonly addr: ServeAddress;
  readonly finished: Promise<void>;
  readonly #reactor: Reactor;
  readonly #service: Service;
  readonly #listener: Listener;
  readonly #finish: () => void;
  readonly #admission: Admission;
  #disobey: (() => void) | undefined = undefined;
  /** Ends the connections in the next turn, when shutting down. */
  #later: Timer | undefined = undefined;

  constructor(options: AnyServeOptions, handler: Handler<ServeAddress>) {
    const signal = checkSignal(options.signal);
    checkCallback("onListen", options.onListen);
    checkCallback("onError", options.onError);
    const reactor = this.#reactor = reactorOf(options.reactor);
    const observer = observerOf(options.observer);
    allowFunction("onError", options.onError ?? undefined);
    allowFunction("onListen", options.onListen ?? undefined);
    const settings = settingsOf(options);
    const { handlerMs } = settings;
    if (handlerMs !== Infinity) {
      handler = timedHandler(handler, handlerMs, reactor);
    }
    // A closing server looks at all of its connections by itself, when no
    // handler is at work any more.
    this.#admission = new Admission(
      settings,
      () => this.#service.isClosing ? [] : this.#connections(),
    );
    this.#service = serviceOf({
      handler,
      scheme: hasPath(options) ? "http+unix" : "http",
      limits: settings,
      requireHost: settings.requireHost,
      reactor,
      ...options.onError && { onError: options.onError },
      ...observer && { observer },
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    this.#listener = this.#listen(options, settings);
    // A reactor that drains or closes has closed the listener.
    this.#listener.onClose = () => {
      if (!reactor.isClosed) this.shutdown();
      this.#checkFinished();
    };
    this.addr = this.#service.addr = this.#listener.addr;
    this.#obey(signal);
    try {
      this.#announce(options);
    } catch (error) {
      this.shutdown();
      throw error;
    }
    if (signal?.aborted) this.#abort();
  }

  // Arrows, as those of Deno.serve's servers need no `this` either.

  readonly shutdown = (): Promise<void> => {
    if (!this.#service.isClosing) {
      this.#service.isClosing = true;
      this.#listener.acceptWaiting();
      this.#listener.close();
      // Somebody waits for their end, which the process must not come before.
      for (const connection of this.#connections()) connection.ref();
      // Later: the caller may be a handler, whose bytes lie where reads go.
      if (this.#admission.open > 0) {
        this.#later = this.#reactor.setTimer(0, () => {
          for (const connection of this.#connections()) connection.shutdown();
        });
      }
    }
    return this.finished;
  };

  readonly ref = (): void => {
    this.#listener.ref();
    for (const connection of this.#connections()) connection.ref();
  };

  readonly unref = (): void => {
    this.#listener.unref();
    for (const connection of this.#connections()) connection.unref();
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  #connections(): Iterable<Connection> {
    return this.#reactor.connections(this.#listener);
  }

  #listen(options: AnyServeOptions, settings: Settings): Listener {
    const { writeMs, keepAliveMs, tcpBacklog: backlog } = settings;
    const timeouts = { idleMs: keepAliveMs, writeMs };
    const bounds = { timeouts, ...backlog !== undefined && { backlog } };
    if (hasPath(options)) {
      const path = textOf("path", options.path);
      return this.#reactor.listen({ path, ...bounds }, this.#handlers());
    }
    const hostname = textOf("hostname", options.hostname ?? HOSTNAME_DEFAULT);
    const port = portOf(options.port ?? PORT_DEFAULT);
    const reusePort = Boolean(options.reusePort);
    const { tcpKeepalive: keepalive } = settings;
    const where = { hostname, port, reusePort, keepalive, ...bounds };
    return this.#reactor.listen(where, this.#handlers());
  }

  /** Tells of the address, which is of the options' own kind. */
  #announce(options: AnyServeOptions): void {
    const { addr } = this;
    // As Deno.serve does: the user of a program wants to know where.
    // deno-lint-ignore no-console
    if (!options.onListen) return console.error(announcement(addr));
    (options as { onListen(addr: ServeAddress): void }).onListen(addr);
  }

  /** Ends when `signal` aborts, and lets go of it when finished. */
  #obey(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = () => this.#abort();
    signal.addEventListener("abort", abort, { once: true });
    this.#disobey = () => signal.removeEventListener("abort", abort);
  }

  /** Ends at once, also when it is shutting down. */
  #abort(): void {
    // Clients that wait to be accepted are cut off as well.
    this.#listener.close();
    this.shutdown();
    for (const connection of this.#connections()) connection.terminate();
  }

  async #checkFinished(): Promise<void> {
    if (!this.#listener.isClosed || this.#admission.open > 0) return;
    this.#disobey?.();
    if (this.#later !== undefined) this.#reactor.clearTimer(this.#later);
    await this.#reactor.settled();
    this.#finish();
  }

  #handlers(): ConnectionHandlers<HttpConnection> {
    const admission = this.#admission;
    // A reactor's connection lends its buffers.
    const http = http1(this.#service) as unknown as Required<
      ConnectionHandlers<HttpConnection>
    >;
    return {
      ...http,
      open: (connection) => {
        if (admission.enter(connection)) http.open(connection);
        else connection.close();
      },
      shortage: () => void admission.makeRoom(),
      gone: (connection) => {
        admission.leave(connection);
        this.#checkFinished();
      },
    };
  }
}
