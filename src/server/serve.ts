/**
 * An HTTP/1.1 server in the shape of `Deno.serve`.
 *
 * @module
 */

import { HttpConnection } from "../http/connection.ts";
import {
  DEFAULT_LIMITS,
  type Handler,
  type Limits,
  Service,
} from "../http/service.ts";
import type { StreamAddr } from "../http/transport.ts";
import type { UnixPath } from "../net/address.ts";
import type { Connection, ConnectionHandlers } from "../reactor/connection.ts";
import type { AnyListener as Listener } from "../reactor/listener.ts";
import { Reactor } from "../reactor/reactor.ts";
import {
  type ServeModuleOptions,
  serveOnWorkers,
  type WorkersServer,
} from "./workers.ts";

/** The port that `Deno.serve` takes when none is given. */
const PORT_DEFAULT = 8000;
/** The address that `Deno.serve` takes when none is given: all of them. */
const HOSTNAME_DEFAULT = "0.0.0.0";

/** How to serve, wherever it is. */
export interface ServeBaseOptions<Addr extends StreamAddr> {
  /** Shuts the server down when it aborts. */
  signal?: AbortSignal;
  /** Told of the address; left out, it is printed. */
  onListen?: (addr: Addr) => void;
  /** Answers when the handler fails; left out, 500 and the error is printed. */
  onError?: (error: unknown) => Response | Promise<Response>;
  /** Bytes of a request head; more is 431. 16 KiB when left out. */
  headBytesMax?: number;
  /** Bytes of a request body; more is 413. 128 MiB when left out. */
  bodyBytesMax?: number;
  /** The reactor to serve on; this thread's shared one when left out. */
  reactor?: Reactor;
}

/** Where and how to serve. */
export interface ServeOptions extends ServeBaseOptions<Deno.NetAddr> {
  /** From 0 to 65535; 8000 when left out, 0 for one of the system's choosing. */
  port?: number;
  /** An address or a name; `0.0.0.0` when left out. */
  hostname?: string;
  /** Several servers on one address share its connections. */
  reusePort?: boolean;
  /** Connections that may wait to be accepted; 511 when left out. */
  tcpBacklog?: number;
}

/** At which Unix socket and how to serve. */
export interface ServeUnixOptions
  extends ServeBaseOptions<Deno.UnixAddr>, UnixPath {
  /** Connections that may wait to be accepted; 511 when left out. */
  tcpBacklog?: number;
}

/**
 * A running server.
 *
 * @typeParam Addr The form of its address.
 */
export interface HttpServer<Addr extends StreamAddr = Deno.NetAddr>
  extends AsyncDisposable {
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Addr;
  /** Resolves when the server has shut down and its last connection closed. */
  readonly finished: Promise<void>;
  /** Stops accepting, answers what has come, and resolves when all is closed. */
  shutdown(): Promise<void>;
  /** Keeps the process alive while the server runs, which is how it begins. */
  ref(): void;
  /** Lets the process end although the server runs. */
  unref(): void;
}

export type { Handler, StreamAddr };

type Options = ServeOptions | ServeUnixOptions;

/**
 * Serves HTTP/1.1.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { serve } from "./serve.ts";
 *
 * await using server = serve(
 *   { hostname: "127.0.0.1", port: 0, onListen() {} },
 *   (request) => new Response(`Hello from ${new URL(request.url).pathname}`),
 * );
 * const response = await fetch(`http://127.0.0.1:${server.addr.port}/here`);
 * assertEquals(await response.text(), "Hello from /here");
 * ```
 *
 * @param handler Answers requests.
 * @throws {Deno.errors.AddrInUse} when somebody listens there already.
 * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
 */
export function serve(handler: Handler): HttpServer;
/**
 * Serves HTTP/1.1 with options.
 *
 * @param options Where and how, the handler among it.
 */
export function serve(
  options: ServeOptions & { handler: Handler },
): HttpServer;
/**
 * Serves HTTP/1.1 with options.
 *
 * @param options Where and how.
 * @param handler Answers requests.
 */
export function serve(options: ServeOptions, handler: Handler): HttpServer;
/**
 * Serves HTTP/1.1 on a Unix socket, whose path is removed in the end. URLs begin
 * with `http+unix:`, as those of `Deno.serve` do.
 *
 * @param options At which path and how.
 * @param handler Answers requests.
 */
export function serve(
  options: ServeUnixOptions,
  handler: Handler<Deno.UnixAddr>,
): HttpServer<Deno.UnixAddr>;
/**
 * Serves HTTP/1.1 on a Unix socket with options.
 *
 * @param options At which path and how, the handler among it.
 */
export function serve(
  options: ServeUnixOptions & { handler: Handler<Deno.UnixAddr> },
): HttpServer<Deno.UnixAddr>;
/**
 * Serves a module on Workers, each with a reactor of its own. The system shares
 * connections out among them by a hash of their addresses: with few connections
 * some Workers may have none, which `accepted` shows.
 *
 * Needs `--allow-read` for denio's own files, as Deno asks it of any Worker. The
 * permissions of a Worker are those of who starts it.
 *
 * @param options The module, on how many Workers, where and how.
 * @throws {RangeError} when the number of Workers is none.
 * @throws {Error} what the module throws, or binding does.
 */
export function serve(options: ServeModuleOptions): Promise<WorkersServer>;
export function serve(
  first: Handler | ServeModuleOptions | Options & { handler?: unknown },
  second?: unknown,
): HttpServer<StreamAddr> | Promise<WorkersServer> {
  if (typeof first === "object" && "module" in first) {
    return serveOnWorkers({
      port: PORT_DEFAULT,
      hostname: HOSTNAME_DEFAULT,
      ...first,
    });
  }
  const options: Options & { handler?: unknown } = typeof first === "function"
    ? {}
    : first;
  const handler = typeof first === "function" ? first : second ?? first.handler;
  if (typeof handler !== "function") {
    throw new TypeError(
      `Cannot serve with handler "${String(handler)}": it must be a function`,
    );
  }
  options.signal?.throwIfAborted();
  return new Server(options, handler as Handler<StreamAddr>);
}

class Server implements HttpServer<StreamAddr> {
  readonly addr: StreamAddr;
  readonly finished: Promise<void>;
  readonly #reactor: Reactor;
  readonly #service: Service;
  readonly #listener: Listener;
  readonly #finish: () => void;
  #open = 0;

  constructor(options: Options, handler: Handler<StreamAddr>) {
    const reactor = this.#reactor = options.reactor ?? Reactor.shared;
    this.#service = new Service({
      handler,
      scheme: "path" in options ? "http+unix" : "http",
      onError: options.onError ?? answerError,
      limits: limitsOf(options),
      report: logError,
      beginWork: () => reactor.beginWork(),
      endWork: () => reactor.endWork(),
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    this.#listener = this.#listen(options);
    this.addr = this.#listener.addr;
    this.#obey(options.signal);
    try {
      // The address is of the options' own kind.
      ((options.onListen ?? logListening) as (addr: StreamAddr) => void)(
        this.addr,
      );
    } catch (error) {
      this.shutdown();
      throw error;
    }
  }

  shutdown(): Promise<void> {
    if (!this.#service.isClosing) {
      this.#service.isClosing = true;
      this.#listener.close();
      for (const connection of this.#reactor.connections(this.#listener)) {
        (connection.data as HttpConnection).shutdown();
      }
      this.#checkFinished();
    }
    return this.finished;
  }

  ref(): void {
    this.#listener.ref();
    for (const connection of this.#reactor.connections(this.#listener)) {
      connection.ref();
    }
  }

  unref(): void {
    this.#listener.unref();
    for (const connection of this.#reactor.connections(this.#listener)) {
      connection.unref();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  #listen(options: Options): Listener {
    const { tcpBacklog } = options;
    const backlog = tcpBacklog === undefined ? {} : { backlog: tcpBacklog };
    if ("path" in options) {
      const { path } = options;
      return this.#reactor.listen({ path, ...backlog }, this.#handlers());
    }
    const {
      port = PORT_DEFAULT,
      hostname = HOSTNAME_DEFAULT,
      reusePort = false,
    } = options;
    const where = { hostname, port, reusePort, ...backlog };
    return this.#reactor.listen(where, this.#handlers());
  }

  /** Shuts down when `signal` aborts, and lets go of it when finished. */
  #obey(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const shutdown = () => void this.shutdown();
    signal.addEventListener("abort", shutdown, { once: true });
    this.finished.then(() => signal.removeEventListener("abort", shutdown));
  }

  #checkFinished(): void {
    if (this.#service.isClosing && this.#open === 0) this.#finish();
  }

  #handlers(): ConnectionHandlers<HttpConnection> {
    const service = this.#service;
    return {
      open: (connection: Connection<HttpConnection>) => {
        this.#open++;
        connection.data = new HttpConnection(connection, service);
      },
      data: (connection, bytes, start, end) => {
        connection.data.data(bytes, start, end);
      },
      end: (connection) => connection.data.end(),
      ending: (connection) => connection.data.ending(),
      timeout: (connection, reason) => connection.data.timeout(reason),
      drain: (connection) => connection.data.drain(),
      close: (connection) => {
        this.#open--;
        try {
          connection.data.closed();
        } finally {
          this.#checkFinished();
        }
      },
    };
  }
}

function limitsOf(options: Options): Limits {
  const limits = { ...DEFAULT_LIMITS };
  for (const name of ["headBytesMax", "bodyBytesMax"] as const) {
    const value = options[name];
    if (value === undefined) continue;
    if (!(value >= 0)) {
      throw new RangeError(
        `Cannot use ${name} "${value}": it must be zero or more`,
      );
    }
    limits[name] = value;
  }
  return limits;
}

function logListening(addr: StreamAddr): void {
  // As Deno.serve does: somebody who starts a server wants to know where.
  // deno-lint-ignore no-console
  console.log(`Listening on ${placeOf(addr)}`);
}

function placeOf(addr: StreamAddr): string {
  if ("path" in addr) return addr.path.replaceAll("\0", "\\0");
  const { hostname, port } = addr;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `http://${host}:${port}/`;
}

function answerError(error: unknown): Response {
  logError(error);
  return new Response("Internal Server Error", { status: 500 });
}

function logError(error: unknown): void {
  // As Deno.serve does: nobody else is told of it.
  // deno-lint-ignore no-console
  console.error(error);
}
