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
import {
  AdapterLink,
  adapterOf,
  type TopicAdapter,
} from "../websocket/adapter.ts";
import type { Sendable, SendOptions } from "../websocket/socket.ts";
import { hubOf } from "../websocket/hubs.ts";
import type { Hub } from "../websocket/topics.ts";
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
import { routeOf, type WebSockets, withWebSockets } from "./web_sockets.ts";

/** Options of a server at any address. */
export interface ServeBaseOptions<Addr extends ServeAddress>
  extends Omit<LimitedOptions, "tcpKeepalive"> {
  /**
   * Ends the server at once when it aborts: all connections are cut off, but
   * the answer of a handler that aborts the signal is sent, if it comes in the
   * same round of Deno's loop. If the signal has aborted before, the server
   * ends after it has called `onListen`.
   */
  signal?: AbortSignal;
  /** Called with the address; by default the address is printed. */
  onListen?: (addr: Addr) => void;
  /** Answers for a failed handler; by default 500, and the error is printed. */
  onError?: (error: unknown) => Response | Promise<Response>;
  /**
   * Notified of requests that begin, are answered, refused or fail: for logs
   * and metrics. A module that runs on Workers exports it beside its `fetch`:
   * `export default { fetch, observer }`.
   */
  observer?: Observer;
  /**
   * Handlers of WebSockets, which get the requests that ask for one. A module
   * that runs on Workers exports them beside its `fetch`:
   * `export default { fetch, websocket }`.
   */
  websocket?: WebSockets;
  /**
   * Carries messages of topics to the servers on other machines and from them,
   * such as `redisTopics`. The server closes it when it has shut down. A module
   * that runs on Workers exports it: `export default { fetch, topics }`.
   */
  topics?: TopicAdapter;
  /** The reactor to serve on; this thread's shared one when left out. */
  reactor?: Reactor;
}

/** Options of a server at a TCP port. */
export interface ServeOptions extends ServeBaseOptions<Deno.NetAddr> {
  /** Always TCP. */
  transport?: "tcp";
  /** From 0 to 65535; 8000 when left out, 0 lets the system choose. */
  port?: number;
  /** An address or a name; `0.0.0.0` when left out. */
  hostname?: string;
  /** Several servers on one address share its connections. */
  reusePort?: boolean;
  /** How the system probes silent clients: see `LimitedOptions`. */
  tcpKeepalive?: boolean | Partial<Keepalive>;
}

/** Options of a server at a Unix socket. */
export interface ServeUnixOptions
  extends ServeBaseOptions<Deno.UnixAddr>, UnixPath {
  /** Always a stream. */
  transport?: "unix";
}

/**
 * Handlers among the options of a server: in the form of `Deno.serve`, or of a
 * module. Without a handler of requests, those that ask for no WebSocket are
 * answered with 426.
 *
 * @typeParam Addr The form of a client's address.
 */
export type HandlerOptions<Addr extends ServeAddress> =
  | { handler: Handler<Addr> }
  | { fetch: Handler<Addr> }
  | { websocket: WebSockets };

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
   * Resolves when the server has shut down, its last connection has closed, and
   * its reactor has no pending operation in Deno: see `Reactor.settled`.
   */
  readonly finished: Promise<void>;
  /**
   * Stops accepting, answers received requests, and resolves as `finished`
   * does. From now on the connections keep the process alive, also after
   * `unref()`.
   */
  shutdown(): Promise<void>;
  /**
   * Publishes a message to all WebSockets of the server that have subscribed to
   * a topic, and to other machines when the server has `topics`: see
   * `ServerWebSocket.publish`.
   *
   * @returns How many WebSockets of the server are subscribed.
   * @throws {TypeError} when `topic` is no string, or `message` is neither text
   * nor bytes.
   * @throws {RangeError} when `topic` is empty or too long.
   */
  publish(topic: string, message: Sendable, options?: SendOptions): number;
  /** Keeps the process alive while the server runs, as it does at first. */
  ref(): void;
  /** Lets the process end although the server runs. */
  unref(): void;
}

export type { Handler, ServeAddress };

/** Options of a server at a TCP port or at a Unix socket. */
export type AnyServeOptions = ServeOptions | ServeUnixOptions;

/**
 * Serves HTTP/1.1.
 *
 * @throws {TypeError} when an option is of a wrong type.
 * @throws {RangeError} when a number is out of its range.
 * @throws {Deno.errors.AddrInUse} and others of `Reactor.listen`.
 */
export function serveHttp(
  options: AnyServeOptions,
  handler: Handler<ServeAddress>,
): HttpServerOnReactor {
  return new HttpServerOnReactor(options, handler);
}

/** A server, with what other files of denio need of it. */
export class HttpServerOnReactor implements HttpServer<ServeAddress> {
  readonly addr: ServeAddress;
  readonly finished: Promise<void>;
  /** The topics of its WebSockets. */
  readonly hub: Hub;
  readonly #reactor: Reactor;
  readonly #service: Service;
  readonly #listener: Listener;
  readonly #finish: () => void;
  readonly #admission: Admission;
  /** The way to other machines. */
  #adapter: AdapterLink | undefined = undefined;
  #unwatchSignal: (() => void) | undefined = undefined;
  /** Shuts the connections down in the next turn. */
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
    const route = routeOf(options.websocket);
    if (route !== undefined) handler = withWebSockets(handler, route);
    if (handlerMs !== Infinity) {
      handler = timedHandler(handler, handlerMs, reactor);
    }
    // A closing server shuts all connections down itself, outside of handlers.
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
    this.hub = hubOf(this.#service);
    route?.bind(this.hub);
    const adapter = adapterOf(options.topics);
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
    this.#watchSignal(signal);
    try {
      if (adapter !== undefined) this.#link(adapter);
      this.#announce(options);
    } catch (error) {
      this.shutdown();
      throw error;
    }
    if (signal?.aborted) this.#abort();
  }

  // Arrow functions: as with Deno.serve, they can be called without `this`.

  readonly shutdown = (): Promise<void> => {
    if (!this.#service.isClosing) {
      this.#service.isClosing = true;
      this.#listener.acceptWaiting();
      this.#listener.close();
      // The process must not end before the connections do.
      for (const connection of this.#connections()) connection.ref();
      // Later: the caller may be a handler, and its bytes lie in the read
      // buffer.
      if (this.#admission.open > 0) {
        this.#later = this.#reactor.setTimer(0, () => {
          for (const connection of this.#connections()) connection.shutdown();
        });
      }
    }
    return this.finished;
  };

  readonly publish = (
    topic: string,
    message: Sendable,
    options?: SendOptions,
  ): number => this.hub.publish(topic, message, options);

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

  #link(adapter: TopicAdapter): void {
    // What the adapter receives comes by Deno's loop.
    this.#reactor.shareThread();
    const { report } = this.#service;
    this.#adapter = new AdapterLink(adapter, this.hub, report);
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

  /** Calls `onListen` with the address, or prints the address. */
  #announce(options: AnyServeOptions): void {
    const { addr } = this;
    // As Deno.serve does: the user of a program wants to know the address.
    // deno-lint-ignore no-console
    if (!options.onListen) return console.error(announcement(addr));
    (options as { onListen(addr: ServeAddress): void }).onListen(addr);
  }

  /** Ends the server when `signal` aborts, until the server has finished. */
  #watchSignal(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = () => this.#abort();
    signal.addEventListener("abort", abort, { once: true });
    this.#unwatchSignal = () => signal.removeEventListener("abort", abort);
  }

  /** Ends the server at once, also during a shutdown. */
  #abort(): void {
    // First: clients that wait to be accepted are cut off as well.
    this.#listener.close();
    this.shutdown();
    for (const connection of this.#connections()) connection.terminate();
  }

  async #checkFinished(): Promise<void> {
    if (!this.#listener.isClosed || this.#admission.open > 0) return;
    this.#unwatchSignal?.();
    if (this.#later !== undefined) this.#reactor.clearTimer(this.#later);
    this.#adapter?.close();
    this.#adapter = undefined;
    await this.#reactor.settled();
    this.#finish();
  }

  #handlers(): ConnectionHandlers<HttpConnection> {
    const admission = this.#admission;
    // A reactor's connection has the shared buffers that `http1` may use.
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
