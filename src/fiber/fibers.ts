/**
 * Fibers on a reactor: code that reads and writes as if it blocked.
 *
 * A fiber keeps the state of a conversation in its code. Choose fibers where
 * one message leads to another, as in logins, proxies and clients; for code
 * that was written for `Deno.Conn`; and where parts of a work must end
 * together. A fiber costs a few promises for each message, the handlers of a
 * `Reactor` none. One reactor may serve both.
 *
 * Rules: one read waits on a connection at a time; what a fiber opens ends with
 * the fiber; pass `fiber.signal` on to Deno's functions.
 *
 * @example Each line comes back with its length
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Reactor } from "../reactor/reactor.ts";
 * import { Fibers } from "./fibers.ts";
 *
 * await using reactor = new Reactor();
 * const fibers = new Fibers(reactor);
 * const anyPort = { hostname: "127.0.0.1", port: 0 };
 * const { addr } = fibers.serve(anyPort, async (connection) => {
 *   for (;;) {
 *     const line = await connection.readUntil("\n", 1024);
 *     if (line === null) return;
 *     const length = line.byteLength - 1;
 *     await connection.write(new TextEncoder().encode(`${length}\n`));
 *   }
 * });
 *
 * using client = await fibers.connect(addr);
 * await client.write(new TextEncoder().encode("hello\n"));
 * const reply = await client.readUntil("\n", 16);
 * assertEquals(new TextDecoder().decode(reply!), "5\n");
 * ```
 *
 * @module
 */

import type { Abortable } from "../base/abortable.ts";
import { allowSignal, requireFunction } from "../base/checks.ts";
import type { StreamAddress, UnixAddress } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import { ReactorClosed } from "../reactor/guest.ts";
import type { ConnectionOptions } from "../reactor/connection_options.ts";
import { Reactor } from "../reactor/reactor.ts";
import {
  connect,
  type ConnectOptions,
  type UnixConnectOptions,
} from "./connect.ts";
import type { Fiber, FiberBody, FiberOptions } from "./fiber.ts";
import type {
  AnyFiberConnection,
  FiberConnection,
} from "./fiber_connection.ts";
import { EngineFiber } from "./fiber_engine.ts";
import { FiberGuest } from "./fiber_guest.ts";
import type { FiberListener } from "./fiber_listener.ts";
import {
  type FiberHandler,
  type FiberServer,
  serveFibers,
  type ServeFibersOptions,
  type ServeFibersUnixOptions,
} from "./fiber_server.ts";
import { sleep } from "./sleep.ts";

/** Runs fibers on a reactor. All of them end when the reactor closes. */
export class Fibers {
  /** The reactor. */
  readonly reactor: Reactor;
  readonly #guest: FiberGuest;
  #spawned = 0;

  /**
   * Prepares a reactor for fibers.
   *
   * @param reactor The reactor that they run on; `Reactor.shared` when left
   * out.
   */
  constructor(reactor: Reactor = Reactor.shared) {
    this.reactor = reactor;
    this.#guest = new FiberGuest(reactor);
  }

  /**
   * Runs `body` as a fiber, which owns what it opens. When it fails and the
   * program has not read `finished`, the error is reported to the reactor's
   * `onError`, with the fiber's name.
   *
   * @example Usage
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "../reactor/reactor.ts";
   * import { Fibers } from "./fibers.ts";
   *
   * using reactor = new Reactor();
   * const reply = await new Fibers(reactor).spawn(async (fiber) => {
   *   const listener = fiber.listen({ hostname: "127.0.0.1", port: 0 });
   *   const client = await fiber.connect(listener.addr);
   *   const server = await listener.accept();
   *   await client.write(new TextEncoder().encode("hello\n"));
   *   return await server.readUntil("\n", 100);
   * }).finished;
   * assertEquals(new TextDecoder().decode(reply!), "hello\n");
   * ```
   *
   * @throws {Deno.errors.BadResource} when the reactor is closed.
   */
  spawn<T>(body: FiberBody<T>, options: FiberOptions = {}): Fiber<T> {
    const guest = this.#guest;
    if (guest.isClosed) throw new ReactorClosed();
    requireFunction("body", body);
    allowSignal(options.signal);
    const name = options.name ?? `fiber-${++this.#spawned}`;
    const fiber: EngineFiber<T> = new EngineFiber<T>(guest, name, {
      parent: undefined,
      isScope: false,
      onEnd: () => void guest.running.delete(fiber),
    });
    guest.running.add(fiber);
    return fiber.start(body, options.signal);
  }

  /**
   * Listens, and runs `handler` as a fiber for each connection. The connection
   * is closed when the fiber ends. It is reset when the fiber throws: bytes
   * that were written and not sent yet are lost then.
   *
   * @example An echo
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "../reactor/reactor.ts";
   * import { Fibers } from "./fibers.ts";
   *
   * using reactor = new Reactor();
   * const fibers = new Fibers(reactor);
   * await using server = fibers.serve(
   *   { hostname: "127.0.0.1", port: 0 },
   *   async (connection) => {
   *     for await (const chunk of connection) await connection.write(chunk);
   *   },
   * );
   * using client = await fibers.connect(server.addr);
   * await client.write(new TextEncoder().encode("hello"));
   * const reply = await client.readExactly(new Uint8Array(5));
   * assertEquals(new TextDecoder().decode(reply!), "hello");
   * ```
   *
   * @example A client that takes too long
   * ```ts
   * import { assert } from "@std/assert";
   * import { Reactor } from "../reactor/reactor.ts";
   * import { Fibers } from "./fibers.ts";
   *
   * using reactor = new Reactor();
   * const { promise, resolve } = Promise.withResolvers<unknown>();
   * const timeouts = { readMs: 20 };
   * const server = new Fibers(reactor).serve(
   *   { hostname: "127.0.0.1", port: 0, timeouts },
   *   (connection) => connection.readUntil("\n", 1024).catch(resolve),
   * );
   * using _client = await Deno.connect(server.addr);
   * assert(await promise instanceof Deno.errors.TimedOut);
   * ```
   *
   * @throws {Deno.errors.AddrInUse} and others of `TcpListener.bind`.
   * @throws {RangeError} when one of the options is out of its range.
   */
  serve(options: ServeFibersOptions, handler: FiberHandler): FiberServer;
  /** Listens on a Unix socket, and runs a fiber for each connection. */
  serve(
    options: ServeFibersUnixOptions,
    handler: FiberHandler<UnixAddress>,
  ): FiberServer<UnixAddress>;
  serve(
    options: ServeFibersOptions | ServeFibersUnixOptions,
    // The connections have addresses of the same form as the listener.
    handler: FiberHandler & FiberHandler<UnixAddress>,
  ): FiberServer<StreamAddress> {
    const serves = handler as FiberHandler<StreamAddress>;
    return serveFibers(this.#guest, options, serves);
  }

  /**
   * Listens, for programs that call `accept` or loop over the listener.
   *
   * @throws {Deno.errors.AddrInUse} and others of `TcpListener.bind`.
   * @throws {RangeError} when one of the options is out of its range.
   */
  listen(options: ListenOptions & ConnectionOptions): FiberListener;
  /** Listens on a Unix socket, for programs that call `accept`. */
  listen(
    options: UnixListenOptions & ConnectionOptions,
  ): FiberListener<UnixAddress>;
  listen(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
  ): FiberListener<StreamAddress> {
    return this.#guest.listen(options, undefined);
  }

  /**
   * Connects to a name or an address. An attempt at the next address of a name
   * begins every 250 ms, IPv6 and IPv4 in alternation; the first connection
   * that opens is used (RFC 8305).
   *
   * @example Usage
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "../reactor/reactor.ts";
   * import { Fibers } from "./fibers.ts";
   *
   * using reactor = new Reactor();
   * const fibers = new Fibers(reactor);
   * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
   * const { port } = listener.addr as Deno.NetAddr;
   * using connection = await fibers.connect({ hostname: "localhost", port });
   * assertEquals(connection.remoteAddr.port, port);
   * ```
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the name.
   * @throws {Deno.errors.NotFound} when the name is unknown.
   * @throws {Deno.errors.TimedOut} when the time is over.
   * @throws {RangeError} when one of the options is out of its range.
   * @throws {Error} of the class of the first attempt's error; its `cause` has
   * the errors of all attempts.
   */
  connect(options: ConnectOptions): Promise<FiberConnection>;
  /**
   * Connects to a Unix socket.
   *
   * @throws {Deno.errors.NotFound} when no socket is at the path.
   */
  connect(options: UnixConnectOptions): Promise<FiberConnection<UnixAddress>>;
  connect(
    options: ConnectOptions | UnixConnectOptions,
  ): Promise<AnyFiberConnection> {
    return connect(this.#guest, options, undefined);
  }

  /**
   * Resolves after `ms` milliseconds; rejects with the signal's reason when it
   * aborts.
   *
   * @throws {TypeError} when `ms` is no number.
   * @throws {RangeError} when it is `NaN`.
   */
  sleep(ms: number, options?: Abortable): Promise<void> {
    return sleep(this.#guest, ms, options);
  }
}
