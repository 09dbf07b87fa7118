/**
 * A reactor: listeners, connections, timers and a program's own sources, over a
 * `Poll`, beside Deno's own loop.
 *
 * One turn: poll; accept, read, run protocols; answer, with one write for each
 * connection; run due timers; free closed slots; let microtasks run
 * (`loop.ts`).
 *
 * # Handlers or fibers
 *
 * The reactor calls **handlers** ({@linkcode Reactor.listen}, {@linkcode
 * Reactor.connect}) for each event, with the connection and, for `data`, with
 * the reactor's own buffer: without a promise and without a copy. Choose
 * handlers where a program answers each message at once and each nanosecond
 * counts: echo and HTTP are written so. `connection.data` keeps what the
 * protocol knows between two calls. **Fibers** (`Fibers`) run on the same loop,
 * and read and write as if they blocked. One reactor may serve both.
 *
 * Rules: bytes are valid until `data` returns; after `write` has returned
 * false, wait for `drain`; never wait in a handler.
 *
 * @example A line comes back with its length
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Reactor } from "./reactor.ts";
 *
 * await using reactor = new Reactor();
 * const { addr } = reactor.listen<string>({ hostname: "127.0.0.1", port: 0 }, {
 *   open: (connection) => connection.data = "",
 *   data(connection, bytes, start, end) {
 *     const text = new TextDecoder().decode(bytes.subarray(start, end));
 *     const lines = (connection.data + text).split("\n");
 *     connection.data = lines.pop()!;
 *     for (const line of lines) {
 *       connection.write(new TextEncoder().encode(`${line.length}\n`));
 *     }
 *   },
 * });
 *
 * const { promise, resolve } = Promise.withResolvers<string>();
 * const client = reactor.connect(addr, {
 *   data(connection, bytes, start, end) {
 *     resolve(new TextDecoder().decode(bytes.subarray(start, end)));
 *     connection.close();
 *   },
 * });
 * client.write(new TextEncoder().encode("hello\n"));
 * assertEquals(await promise, "5\n");
 * ```
 *
 * @module
 */

import { Interest, type InterestSet } from "../poll/interest.ts";
import type { Backend, PollOptions } from "../poll/poll.ts";
import type { Source } from "../poll/registry.ts";
import { requireNet } from "../net/permissions.ts";
import {
  checkPort,
  type HostPort,
  isAddress,
  type TcpAddress,
  type UnixAddress,
  type UnixPath,
} from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import {
  allowFunction,
  requireFunction,
  requireHandlers,
  requireNumber,
} from "../base/checks.ts";
import type { TcpStream } from "../net/tcp_stream.ts";
import type { UnixStream } from "../net/unix_stream.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import type { Connection, ConnectionHandlers } from "./connection.ts";
import { EngineConnection } from "./connection/engine.ts";
import { setupOf } from "./connection/record.ts";
import { READING } from "./connection/writing.ts";
import { type Guest, type GuestLoop, ReactorClosed } from "./guest.ts";
import { Host } from "./host.ts";
import {
  type ConnectionLimits,
  type ConnectionOptions,
  limitsOf,
  SHARED_MEMORY_BYTES_MAX,
} from "./connection_options.ts";
import type { AnyListener, Listener } from "./listener.ts";
import { Loop } from "./loop.ts";
import { EngineListener } from "./listener/engine.ts";
import { type Lookup, systemLookup } from "../net/lookup.ts";
import { type Dialer, NamedStream } from "./named_stream.ts";
import type { Ready } from "./slots.ts";
import type { ReactorStats } from "./stats.ts";
import { NATIVE } from "../system/readiness.ts";
import { userTimeoutOf } from "../system/stream_options.ts";
import type {
  ListenerSocket,
  ReactorPoll,
  StreamSocket,
  System,
} from "../system/system.ts";
import type { Timer } from "./timers.ts";
import { type ReadyHandler, type Watch, WatchedSource } from "./watch.ts";

/**
 * How long `drain()` waits for connections. Kubernetes gives a program 30
 * seconds to end.
 */
const DRAIN_MS = 5_000;

/** Options of a reactor. */
export interface ReactorOptions extends PollOptions {
  /**
   * Called with errors that no other handler gets, such as an error that
   * `close` or a timer throws. Without it, they go to the console.
   */
  onError?: (error: unknown) => void;
  /** Finds the addresses of a name; the system's resolver when left out. */
  lookup?: Lookup;
  /**
   * Memory, in bytes, that all connections may take: for unsent bytes, for
   * bytes that were read and not handed over, and for held bytes (`heldBytes`).
   * From 1; without bound when left out.
   *
   * At three quarters of the bound, listeners stop accepting. Beyond the bound,
   * or when a listener or connection waits for memory, the reactor resets
   * stalled connections, the longest stalled first, until a quarter is free,
   * and calls `onError`. A connection has stalled when its peer's system has
   * acknowledged nothing for ten seconds (at twice the bound: for two). A peer
   * that takes bytes, however slowly, is not reset. Beyond the bound the
   * reactor also resets connections with 16 KiB or more of held bytes that have
   * not changed for as long.
   *
   * An array of `writeOwned` counts once for all its connections, and for a
   * sixteenth of the bound at the most; it does not stop listeners.
   */
  memoryBytesMax?: number;
  /**
   * Whether the reactor has its thread to itself, as in a Worker that only
   * serves. An idle reactor then blocks the thread, for 250 ms at the most,
   * instead of parking. It answers rare requests sooner, but messages,
   * `setTimeout` and other work of Deno's loop may be late by 250 ms. While a
   * handler's promise is pending the reactor does not block, for `fetch` and
   * files.
   */
  exclusive?: boolean;
  /** Replaces the native system: a simulation, for tests. */
  system?: System;
}

/** An event loop that listeners and connections are registered with. */
export class Reactor implements Disposable, AsyncDisposable {
  static #shared: Reactor | undefined;
  readonly #system: System;
  readonly #poll: ReactorPoll;
  readonly #host: Host;
  readonly #guests = new Set<Guest>();
  readonly #lookup: Lookup;
  readonly #loop: Loop;
  /** The error that has closed the reactor, if one has. */
  #failure: unknown = undefined;

  /**
   * Opens a poll. The loop runs while the reactor has a source or a timer.
   *
   * @throws {Deno.errors.NotSupported} when the system does not have the
   * backend.
   * @throws {RangeError} when `memoryBytesMax` is below 1.
   * @throws {TypeError} when an option has a wrong type.
   */
  constructor(options: ReactorOptions = {}) {
    const { system = NATIVE, onError, lookup = systemLookup, ...rest } =
      options;
    const { memoryBytesMax = Infinity, exclusive, ...pollOptions } = rest;
    allowFunction("onError", onError);
    requireFunction("lookup", lookup);
    requireNumber("memoryBytesMax", memoryBytesMax);
    if (!(memoryBytesMax >= 1)) {
      throw new RangeError(
        `Cannot use memoryBytesMax "${memoryBytesMax}": it must be 1 or more`,
      );
    }
    this.#system = system;
    this.#lookup = lookup;
    this.#poll = system.openPoll(pollOptions);
    this.#host = new Host({
      poll: this.#poll,
      system,
      start: () => this.#loop.start(),
      onError,
      memoryBytesMax,
    });
    this.#loop = new Loop({
      poll: this.#poll,
      system,
      host: this.#host,
      isExclusive: exclusive ?? false,
      failed: (error) => this.#giveUp(error),
    });
  }

  /**
   * The thread's shared reactor, which servers and fibers use unless they get
   * another. Its `memoryBytesMax` is 1 GiB.
   */
  static get shared(): Reactor {
    return Reactor.#shared ??= new Reactor({
      memoryBytesMax: SHARED_MEMORY_BYTES_MAX,
    });
  }

  /** The backend in use. */
  get backend(): Backend {
    return this.#poll.backend;
  }

  /** Whether the reactor is closed: it opens nothing, and no timer runs. */
  get isClosed(): boolean {
    return this.#loop.isClosed;
  }

  /** Listeners and connections that are open. */
  get size(): number {
    return this.#host.size;
  }

  /** Whether this turn, or the last one, leaves sources to the next one. */
  get isBehind(): boolean {
    return this.#loop.hasLeft;
  }

  /**
   * Listens, and calls `handlers` for each connection.
   *
   * @example A line-less echo
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "./reactor.ts";
   *
   * using reactor = new Reactor();
   * const listener = reactor.listen({ hostname: "127.0.0.1", port: 0 }, {
   *   data: (connection, bytes, start, end) => {
   *     connection.write(bytes, start, end);
   *   },
   * });
   *
   * const { hostname, port } = listener.addr;
   * const client = await Deno.connect({ hostname, port });
   * await client.write(new TextEncoder().encode("hello"));
   * const reply = new Uint8Array(5);
   * await client.read(reply);
   * assertEquals(new TextDecoder().decode(reply), "hello");
   * client.close();
   * ```
   *
   * @example A silent client is closed, with a reason
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "./reactor.ts";
   *
   * using reactor = new Reactor();
   * const { promise, resolve } = Promise.withResolvers<string>();
   * const timeouts = { idleMs: 20 };
   * const { addr } = reactor.listen(
   *   { hostname: "127.0.0.1", port: 0, timeouts },
   *   { data() {}, close: (_, reason) => resolve(reason) },
   * );
   *
   * using _client = await Deno.connect({ ...addr, transport: "tcp" });
   * assertEquals(await promise, "idle");
   * ```
   *
   * @throws {Deno.errors.AddrInUse} and others of `TcpListener.bind`.
   * @throws {RangeError} when an option is out of its range.
   */
  listen<Data = unknown>(
    options: ListenOptions & ConnectionOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener<TcpAddress>;
  /**
   * Listens on a Unix socket. Closing the listener removes its path, as
   * `Deno.listen` does.
   *
   * @throws {Deno.errors.AddrInUse} and others of `UnixListener.bind`.
   */
  listen<Data = unknown>(
    options: UnixListenOptions & ConnectionOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener<UnixAddress>;
  /** Listens at a TCP or Unix address. */
  listen<Data = unknown>(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
    handlers: ConnectionHandlers<Data>,
  ): AnyListener;
  listen<Data = unknown>(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
    handlers: ConnectionHandlers<Data>,
  ): AnyListener {
    this.#expectOpen();
    requireHandlers(handlers);
    const limits = limitsOf(options);
    const socket = this.#system.listen(
      "path" in options ? options : {
        userTimeout: userTimeoutOf(limits.timeouts?.writeMs),
        ...options,
      },
    );
    const listener = this.#listenerOf(socket, {
      handlers: handlers as ConnectionHandlers,
      limits,
    });
    this.#host.add(listener, socket, Interest.READABLE);
    this.#loop.start();
    return listener;
  }

  /** Makes a listener; closes the socket when that fails. */
  #listenerOf(
    socket: ListenerSocket,
    options: { handlers: ConnectionHandlers; limits: ConnectionLimits },
  ): EngineListener {
    try {
      return new EngineListener(this.#host, socket, options);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /**
   * Connects, and calls `handlers`: `open` when connected, otherwise `error`.
   * The reactor looks a name up without holding the thread. It tries the
   * addresses of both families alternately, 250 ms apart, and takes the first
   * that answers (RFC 8305). Bytes that the program writes before that are sent
   * then.
   *
   * @param address Host and port, or the path of a Unix socket.
   * @throws {Deno.errors.NotCapable} and others of `TcpStream.connect` or
   * `UnixStream.connect`.
   * @throws {RangeError} when an option is out of its range.
   */
  connect<Data = unknown>(
    address: (HostPort | UnixPath) & ConnectionOptions,
    handlers: ConnectionHandlers<Data>,
  ): Connection<Data> {
    requireHandlers(handlers);
    const limits = limitsOf(address);
    if ("path" in address || isAddress(address.hostname)) {
      return this.#dial(address, handlers, limits);
    }
    return this.#dialName(address, handlers, limits);
  }

  /** Returns a connection to a name, and looks the name up. */
  #dialName<Data>(
    { hostname, port }: HostPort,
    handlers: ConnectionHandlers<Data>,
    limits: ConnectionLimits,
  ): EngineConnection<Data> {
    this.#expectOpen();
    checkPort(port);
    requireNet(hostname, port);
    const host = this.#host;
    const stream = new NamedStream();
    const connection = new EngineConnection<Data>(
      host,
      stream,
      setupOf(handlers, limits),
    );
    host.addUnregistered(connection as EngineConnection);
    this.#loop.start();
    stream.search(this.#searchHost, { hostname, port }).then(() => {
      if (!stream.isFound || connection.isClosed) return;
      const both = READING | Interest.WRITABLE;
      host.reregister(connection as EngineConnection, both);
    }).catch((error) => connection.endBecauseOf(error));
    return connection;
  }

  get #searchHost(): Dialer {
    const host = this.#host;
    return {
      lookup: this.#lookup,
      timers: this,
      dial: (address) => this.#system.connect(address, true),
      watch: (attempt, stream) => host.sources.watchAttempt(attempt, stream),
      unwatch: (attempt) => host.sources.unwatchAttempt(attempt),
      beginWork: () => void host.work++,
      endWork: () => void host.work--,
    };
  }

  #dial<Data>(
    address: HostPort | UnixPath,
    handlers: ConnectionHandlers<Data>,
    limits: ConnectionLimits,
  ): EngineConnection<Data> {
    this.#expectOpen();
    const stream = this.#system.connect(address);
    return this.#add(stream, handlers, limits);
  }

  /**
   * Takes over an open stream, and calls `handlers` for it: one end of
   * `UnixStream.pair()`, possibly from another Worker, or an inherited
   * descriptor. For a stream that still connects, `open` or `error` is called
   * later.
   */
  adopt<Data = unknown>(
    stream: TcpStream | UnixStream,
    handlers: ConnectionHandlers<Data>,
  ): Connection<Data> {
    this.#expectOpen();
    requireHandlers(handlers);
    return this.#add(stream, handlers, limitsOf({}));
  }

  /**
   * Watches a program's own source, such as a UDP socket or a pipe, and calls
   * `ready` with the bits of `Readiness` when the source is ready. The reactor
   * owns the source from now on, and closes it with the watch or with the
   * reactor. An error that `ready` throws closes it as well, and goes to
   * `onError`. `drain()` does not wait for it.
   *
   * The watch is edge-triggered: `ready` must read or write until the source
   * answers `WOULD_BLOCK`, or call `watch.requeue()`.
   *
   * @example A UDP echo
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { WOULD_BLOCK } from "../native/errors.ts";
   * import { UdpSocket } from "../net/udp_socket.ts";
   * import { Interest } from "../poll/interest.ts";
   * import { Reactor } from "./reactor.ts";
   *
   * using reactor = new Reactor();
   * const anyPort = { hostname: "127.0.0.1", port: 0 };
   * const server = UdpSocket.bind(anyPort);
   * const buffer = new Uint8Array(65_536);
   * reactor.watch(server, Interest.READABLE, () => {
   *   for (;;) {
   *     const length = server.receiveFrom(buffer);
   *     if (length === WOULD_BLOCK) return;
   *     server.sendTo(buffer, server.sender!, 0, length);
   *   }
   * });
   *
   * const { promise, resolve } = Promise.withResolvers<string>();
   * const client = UdpSocket.bind(anyPort);
   * reactor.watch(client, Interest.READABLE, () => {
   *   const reply = new Uint8Array(16);
   *   const length = client.receive(reply);
   *   if (length === WOULD_BLOCK) return;
   *   resolve(new TextDecoder().decode(reply.subarray(0, length)));
   * });
   * client.sendTo(new TextEncoder().encode("hello"), server.localAddress);
   * assertEquals(await promise, "hello");
   * ```
   *
   * @throws {Deno.errors.BadResource} when the reactor, or the source, is
   * closed.
   * @throws {TypeError} when `ready` is no function.
   */
  watch(
    source: Source & Disposable,
    interest: InterestSet,
    ready: ReadyHandler,
  ): Watch {
    this.#expectOpen();
    requireFunction("ready", ready);
    const watch = new WatchedSource(this.#host, source, ready);
    this.#host.add(watch, source, interest);
    this.#loop.start();
    return watch;
  }

  /**
   * Adds a guest: when the reactor closes, it calls `guest.close`, before its
   * connections end. A closed reactor calls it at once.
   *
   * @returns Where the guest counts the work that runs.
   */
  attach(guest: Guest): GuestLoop {
    if (this.isClosed) guest.close(new ReactorClosed(this.#failure));
    else this.#guests.add(guest);
    return this.#host;
  }

  /** Calls `onError` with an error that no other handler gets. */
  report(error: unknown): void {
    this.#host.report(error);
  }

  /**
   * Returns figures: what the reactor has done since it was made, and what it
   * holds. Counting is always on; this call makes the object.
   *
   * @example Usage
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "./reactor.ts";
   *
   * using reactor = new Reactor();
   * reactor.listen({ hostname: "127.0.0.1", port: 0 }, { data() {} });
   * const { listeners, open, bytesIn } = reactor.stats();
   * assertEquals({ listeners, open, bytesIn }, {
   *   listeners: 1,
   *   open: 0,
   *   bytesIn: 0,
   * });
   * ```
   */
  stats(): ReactorStats {
    return this.#host.stats();
  }

  /** Yields the open connections that `listener` accepted. */
  *connections(listener: AnyListener): IterableIterator<Connection> {
    for (const source of this.#host.slots) {
      if (source instanceof EngineConnection && source.listener === listener) {
        yield source;
      }
    }
  }

  /**
   * Runs `callback` once, after `delayMs` milliseconds; a delay below 0 is 0.
   * Until then the timer keeps the process alive, unless the program calls
   * `unref()`.
   *
   * A timer is never early. It is late when a turn is running at its deadline.
   * Timers of one deadline run in the order in which they were set. `onError`
   * gets an error that a timer throws, and the other timers run. A closed
   * reactor runs no timer.
   *
   * @example Usage
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "./reactor.ts";
   *
   * using reactor = new Reactor();
   * const ran: string[] = [];
   * await new Promise<void>((resolve) => {
   *   reactor.setTimer(0, () => void ran.push("first"));
   *   reactor.setTimer(1, () => void ran.push("second"));
   *   reactor.setTimer(2, resolve);
   * });
   * assertEquals(ran, ["first", "second"]);
   * ```
   *
   * @throws {TypeError} when `delayMs` is no number, or `callback` no function.
   * @throws {RangeError} when `delayMs` is `NaN`.
   */
  setTimer(delayMs: number, callback: () => void): Timer {
    requireNumber("delayMs", delayMs);
    requireFunction("callback", callback);
    return this.#host.setUserTimer(delayMs, callback);
  }

  /**
   * Runs `callback` every `periodMs`, until the timer is cleared. The n-th run
   * is due at `n * periodMs` from now, even if earlier runs were late: an
   * interval does not drift. When a turn takes longer than a period, the
   * callback runs once, late, and then at the next deadline: missed deadlines
   * are skipped.
   *
   * Otherwise the same as {@linkcode Reactor.setTimer}.
   *
   * @param periodMs Milliseconds, more than 0; may be a fraction.
   * @throws {RangeError} when `periodMs` is not more than 0.
   * @throws {TypeError} when `periodMs` is no number, or `callback` no
   * function.
   */
  setInterval(periodMs: number, callback: () => void): Timer {
    requireNumber("periodMs", periodMs);
    requireFunction("callback", callback);
    if (!(periodMs > 0)) {
      throw new RangeError(`Cannot set an interval of "${periodMs}" ms`);
    }
    return this.#host.setUserTimer(periodMs, callback, true);
  }

  /** Removes a timer; does nothing when it has run or was removed. */
  clearTimer(timer: Timer): void {
    this.#host.clearTimer(timer);
  }

  /**
   * Counts work that Deno's loop must finish, such as a handler's promise.
   * While there is such work, the reactor never blocks that loop.
   */
  beginWork(): void {
    this.#host.work++;
  }

  /**
   * Ends one piece of work that {@linkcode Reactor.beginWork} has counted.
   *
   * @throws {RangeError} when no work is left.
   */
  endWork(): void {
    if (this.#host.work <= 0) {
      throw new RangeError(
        `Cannot end work: "${this.#host.work}" pieces are left`,
      );
    }
    this.#host.work--;
  }

  /**
   * Lets Deno's loop work beside an `exclusive` reactor, from now on as beside
   * any other: for a program that has begun to use Deno's sockets.
   */
  shareThread(): void {
    this.#loop.shareThread();
  }

  /**
   * Ends fibers, aborts connections, closes listeners and the poll. Every
   * promise of the reactor settles. `onError` gets errors on the way, which
   * stop nothing.
   */
  close(): void {
    if (this.isClosed) return;
    // First: a `close` handler that connects again would do so without end.
    this.#loop.isClosed = true;
    if (Reactor.#shared === this) Reactor.#shared = undefined;
    const failure = this.#failure;
    const reason = new ReactorClosed(failure);
    // Before their connections, or fibers would see aborted connections.
    for (const guest of this.#guests) this.#attempt(() => guest.close(reason));
    this.#guests.clear();
    this.#end((source) => {
      if (source instanceof EngineConnection) source.endBecauseOf(failure);
      else if (source instanceof EngineListener) source.close();
      else if (source instanceof WatchedSource) source.close();
    });
    this.#attempt(() => this.#host.dropTimers(reason));
    this.#attempt(() => this.#loop.end());
  }

  /** Closes the reactor because its loop threw `error`, and reports it. */
  #giveUp(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const message = `The reactor cannot go on, and is closed: ${text}`;
    const failure = new Error(message, { cause: error });
    this.#host.report(failure);
    this.#failure = failure;
    if (this.isClosed) this.#attempt(() => this.#poll.close());
    else this.close();
  }

  /** Asks the protocols of open connections to finish. */
  readonly #finish = (): void => {
    this.#end((source) => {
      if (source instanceof EngineConnection) source.finish();
    });
  };

  /** Runs one of several steps: an error must not stop the others. */
  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#host.report(error);
    }
  }

  /**
   * Ends gracefully: stops accepting, waits until the connections have ended,
   * and closes the reactor. Connections that are open after `limitMs` are
   * aborted; with several calls, the earliest limit counts.
   *
   * A protocol that has {@linkcode ConnectionHandlers.shutdown} is asked to
   * finish. Servers of `serve` and `echo` shut down, so an idle HTTP connection
   * ends at once. Other connections end when their handlers or peers end them.
   *
   * @param limitMs Five seconds when left out.
   * @throws {TypeError} when `limitMs` is no number.
   * @throws {RangeError} when it is `NaN`.
   */
  async drain(limitMs: number = DRAIN_MS): Promise<void> {
    requireNumber("limitMs", limitMs);
    if (this.isClosed) return this.settled();
    const limit = this.setTimer(limitMs, () => this.close());
    this.#end((source) => {
      if (source instanceof EngineListener) source.close();
    });
    // Later: a handler may call this, and finishing reads over its bytes.
    if (this.#host.sources.open > 0) this.setTimer(0, this.#finish);
    await this.#loop.emptied();
    this.clearTimer(limit);
    this.close();
    await this.settled();
  }

  /**
   * Resolves when the reactor has nothing pending in Deno: its loop has
   * stopped, because it has no work or was closed. When the reactor has other
   * work, such as another server's listener, this resolves at the end of a
   * turn.
   *
   * `drain()`, and the `finished` of servers, wait for this. Wait for it after
   * `close()` where something counts pending work, as the sanitizers of
   * `Deno.test` do. Until it resolves the reactor keeps the process alive.
   */
  settled(): Promise<void> {
    return this.#loop.settled();
  }

  /** Closes the reactor. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Drains the reactor: see {@linkcode Reactor.drain}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  /** Calls `end` for each source; an error that it throws is reported. */
  #end(end: (source: Ready) => void): void {
    for (const source of this.#host.slots) {
      this.#attempt(() => end(source));
    }
  }

  #add<Data>(
    stream: StreamSocket,
    handlers: ConnectionHandlers<Data>,
    limits: ConnectionLimits,
  ): EngineConnection<Data> {
    const connection = new EngineConnection<Data>(
      this.#host,
      stream,
      setupOf(handlers, limits),
    );
    const both = READING | Interest.WRITABLE;
    this.#host.add(connection as EngineConnection, stream, both);
    this.#loop.start();
    return connection;
  }

  #expectOpen(): void {
    if (this.isClosed) {
      throw new Deno.errors.BadResource(
        "Cannot use a closed reactor",
        this.#failure === undefined ? {} : { cause: this.#failure },
      );
    }
  }
}
