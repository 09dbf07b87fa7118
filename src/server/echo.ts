/**
 * An echo server, TCP or Unix: bytes out equal bytes in.
 *
 * @module
 */

import type {
  StreamAddress,
  TcpAddress,
  UnixAddress,
  UnixPath,
} from "../net/address.ts";
import type { AnyListener as Listener } from "../reactor/listener.ts";
import type { ConnectionHandlers } from "../reactor/connection.ts";
import type { Reactor } from "../reactor/reactor.ts";
import type { Timer } from "../reactor/timers.ts";
import { checkGraceMs, hasPath, reactorOf, textOf } from "./serve_options.ts";

/**
 * The time that a container has until it is killed, and more than a reading
 * peer needs. `Deno.serve` waits without limit, as nginx does by default.
 */
const GRACE_MS_DEFAULT = 30_000;

/** Only this machine can connect; with `0.0.0.0` other machines can, too. */
const HOSTNAME_DEFAULT = "127.0.0.1";

/** Where to echo. */
export interface EchoOptions {
  /** From 0 to 65535; 0 lets the system choose. */
  port: number;
  /** An address or a name; `127.0.0.1` when left out. */
  hostname?: string;
  /** Several servers on one address share its connections. */
  reusePort?: boolean;
  /**
   * Milliseconds that peers have to read their last bytes when the server shuts
   * down; then they are reset. 30000 when left out; from 0, or `Infinity` for
   * no limit.
   */
  graceMs?: number;
  /** The reactor to serve on; this thread's shared one when left out. */
  reactor?: Reactor;
}

/** The Unix socket to echo on. */
export interface EchoUnixOptions extends UnixPath {
  /** As for a TCP echo server. */
  graceMs?: number;
  /** The reactor to serve on; this thread's shared one when left out. */
  reactor?: Reactor;
}

/**
 * A running echo server.
 *
 * @typeParam Address The form of its address.
 */
export interface EchoServer<Address extends StreamAddress = TcpAddress>
  extends AsyncDisposable {
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Address;
  /** Resolves when the server has shut down and its last connection closed. */
  readonly finished: Promise<void>;
  /**
   * Stops accepting, sends back the received bytes, and closes all connections
   * within `graceMs`.
   */
  shutdown(): Promise<void>;
}

/**
 * Sends back all bytes that a peer sends, and then its end. The server does not
 * read from a peer that does not read.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { echo } from "./echo.ts";
 *
 * await using server = echo({ port: 0 });
 * using client = await Deno.connect(server.addr);
 * await client.write(new TextEncoder().encode("hello"));
 * const reply = new Uint8Array(5);
 * await client.read(reply);
 * assertEquals(new TextDecoder().decode(reply), "hello");
 * ```
 *
 * @throws {Deno.errors.AddrInUse} when the address is in use.
 * @throws {RangeError} when `graceMs` is below 0, or the port out of range.
 * @throws {TypeError} when an option is of a wrong type, or there is no port.
 */
export function echo(options: EchoOptions): EchoServer;
/**
 * Sends back all bytes that a peer of a Unix socket sends. The server removes
 * the path in the end.
 *
 * @throws {Deno.errors.AddrInUse} when the path exists.
 */
export function echo(options: EchoUnixOptions): EchoServer<UnixAddress>;
export function echo(
  options: EchoOptions | EchoUnixOptions,
): EchoServer<StreamAddress> {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot echo with options "${String(options)}": it must be an object`,
    );
  }
  const { graceMs = GRACE_MS_DEFAULT } = options;
  checkGraceMs(graceMs);
  const reactor = reactorOf(options.reactor);
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  let open = 0;
  /** The timers of a shutdown. */
  const timers: Timer[] = [];
  const checkFinished = async () => {
    if (!listener.isClosed || open > 0) return;
    for (const timer of timers) reactor.clearTimer(timer);
    await reactor.settled();
    finish();
  };
  const handlers: ConnectionHandlers = {
    open: () => void open++,
    data: (connection, bytes, start, end) => {
      connection.write(bytes, start, end);
    },
    close: () => {
      open--;
      checkFinished();
    },
  };
  const listener = listen(reactor, options, handlers);
  const shutdown = (): Promise<void> => {
    listener.acceptWaiting();
    listener.close();
    if (open > 0 && timers.length === 0) {
      timers.push(...endWithin(graceMs, listener, reactor));
    }
    return finished;
  };
  // A reactor that drains or closes has closed the listener.
  listener.onClose = () => {
    if (!reactor.isClosed) shutdown();
    checkFinished();
  };
  return {
    addr: listener.addr,
    finished,
    shutdown,
    async [Symbol.asyncDispose]() {
      await shutdown();
    },
  };
}

/** Shuts connections down, and aborts those that are left after `graceMs`. */
function endWithin(
  graceMs: number,
  listener: Listener,
  reactor: Reactor,
): Timer[] {
  // Later: the caller may be a handler, and its bytes lie in the read buffer.
  const later = reactor.setTimer(0, () => {
    // Bytes that have arrived by now are sent back.
    for (const connection of reactor.connections(listener)) {
      connection.shutdown();
    }
  });
  const limit = reactor.setTimer(graceMs, () => {
    for (const connection of reactor.connections(listener)) connection.abort();
  });
  // Only the connections keep the process alive.
  limit.unref();
  return [later, limit];
}

function listen(
  reactor: Reactor,
  options: EchoOptions | EchoUnixOptions,
  handlers: ConnectionHandlers,
): Listener {
  if (hasPath(options)) {
    return reactor.listen({ path: textOf("path", options.path) }, handlers);
  }
  const { port, hostname, reusePort } = options as EchoOptions;
  if (typeof port !== "number") {
    throw new TypeError(
      `Cannot echo on port "${String(port)}": it must be a number`,
    );
  }
  const where = {
    hostname: textOf("hostname", hostname ?? HOSTNAME_DEFAULT),
    port,
    reusePort: Boolean(reusePort),
  };
  return reactor.listen(where, handlers);
}
