/**
 * A reactor: listeners, connections, timers and sources of a program's own, over
 * a `Poll`, beside Deno's own loop.
 *
 * One turn: poll; accept, read, run protocols; answer, one write a connection;
 * run due timers; free what closed; let microtasks run (`loop.ts`).
 *
 * # Handlers or fibers
 *
 * The reactor calls **handlers** ({@linkcode Reactor.listen},
 * {@linkcode Reactor.connect}) when something has happened, with the connection
 * and, for `data`, its own buffer. There is no promise and no copy. Choose them
 * where a message is whole in itself and answered at once, and where each
 * nanosecond counts: echo and HTTP are written so. What the protocol remembers
 * between two calls is `connection.data`. **Fibers** (`Fibers`) stand on the same
 * loop, and read and write as if they blocked. One reactor may serve both.
 *
 * Rules: bytes are valid until `data` returns; after `write` has returned false
 * wait for `drain`; never wait in a handler.
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
 * How long connections have when the reactor is drained. Kubernetes gives a
 * program 30 seconds in all, and a protocol that wants its clients gone sooner
 * says so to them.
 */
const DRAIN_MS = 5_000;
/** How a reactor is made. */
export interface ReactorOptions extends PollOptions {
  /**
   * Told of what handlers throw outside of any connection's `error`. Left
   * out, it goes to the console.
   */
  onError?: (error: unknown) => void;
  /** Finds a name's addresses; the system's resolver when left out. */
  lookup?: Lookup;
  /**
   * Memory, in bytes, that all connections may take: for unsent bytes, for bytes
   * that were read and not handed over, and for what users of connections say
   * that they keep (`heldBytes`). At three quarters of it listeners stop
   * accepting. Beyond it, or when somebody waits to be let in, connections are
   * reset whose peers have taken nothing for ten seconds (for two, at twice the
   * bound), by what the peer's side has acknowledged, the longest first, until a
   * quarter is free; `onError` is told of them. A peer that goes on taking bytes
   * is not reset for it, nor one that waits for the program to act, unless 16
   * KiB or more are held for it and the bound is passed. An array that is
   * written as it is counts once, for all that it is sent to, for a sixteenth of
   * the bound at the most, and keeps nobody out. Without bound when left out;
   * from 1.
   */
  memoryBytesMax?: number;
  /**
   * Whether the reactor has its thread to itself, as in a Worker that does
   * nothing but serve: when nothing comes it blocks the thread, for 250 ms at
   * the most, instead of parking on another. Answers to rare requests come
   * sooner by two changes of threads; what Deno's own loop does beside, such as
   * messages and `setTimeout`, may be late by as much. While a handler's promise
   * is pending that loop goes on as ever, for `fetch` and files.
   */
  exclusive?: boolean;
  /** What to stand on instead of the native system: a simulation, for tests. */
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
  /** Why it could not go on. */
  #failure: unknown = undefined;

  /**
   * Opens a poll; the loop runs while something is registered.
   *
   * @throws {Deno.errors.NotSupported} when the system has not got the backend.
   * @throws {RangeError} when `memoryBytesMax` is below 1.
   * @throws {TypeError} when an option is of another type.
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
   * The reactor that everything on this thread shares unless told otherwise.
   * Its `memoryBytesMax` is 1 GiB.
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

  /** Whether it is closed: nothing can be opened on it, and no timer runs. */
  get isClosed(): boolean {
    return this.#loop.isClosed;
  }

  /** Listeners and connections that are open. */
  get size(): number {
    return this.#host.size;
  }

  /**
   * Listens, and calls `handlers` for what happens on each connection.
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
   * @example A silent client is closed, and it is said why
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
   * @throws {RangeError} when one of the options is out of its range.
   */
  listen<Data = unknown>(
    options: ListenOptions & ConnectionOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener<TcpAddress>;
  /**
   * Listens on a Unix socket. Its path is removed when the listener is closed,
   * as `Deno.listen` does.
   *
   * @throws {Deno.errors.AddrInUse} and others of `UnixListener.bind`.
   */
  listen<Data = unknown>(
    options: UnixListenOptions & ConnectionOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener<UnixAddress>;
  /** Listens on either. */
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

  /** Makes a listener of a socket, which is closed if it cannot. */
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
   * Connects, and calls `handlers` for what happens: `open`, or `error`. A name
   * is looked up meanwhile, without holding the thread. Its addresses are tried
   * in turn, 250 ms apart, the families taking turns; the first to answer is
   * taken (RFC 8305). What is written until then is kept.
   *
   * @param address Host and port, or the path of a Unix socket.
   * @throws {Deno.errors.NotCapable} and others of `TcpStream.connect` or
   * `UnixStream.connect`.
   * @throws {RangeError} when one of the options is out of its range.
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

  /** Returns a connection to a name whose address is looked for from now on. */
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
   * Takes over a stream that is open, and calls `handlers` for what happens: one
   * end of `UnixStream.pair()`, which may be another Worker's, or an inherited
   * descriptor. A stream that still connects tells by `open` or `error`.
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
   * Watches a source of the program's own, such as a UDP socket or a pipe, and
   * calls `ready` with the bits of `Readiness` when something is ready. The
   * reactor owns the source from now on: closing the watch, or the reactor,
   * closes the source, and so does an error that `ready` throws, which goes to
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
   * @throws {Deno.errors.BadResource} when the reactor, or the source, is closed.
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
   * Has `guest` end its work when the reactor closes, before the connections
   * do, and returns where the guest counts what runs. A closed reactor ends it
   * at once.
   */
  attach(guest: Guest): GuestLoop {
    if (this.isClosed) guest.close(new ReactorClosed(this.#failure));
    else this.#guests.add(guest);
    return this.#host;
  }

  /** Gives `onError` an error that nobody waits for. */
  report(error: unknown): void {
    this.#host.report(error);
  }

  /**
   * Returns what the reactor has done since it was made, and what it holds.
   * Counting is always on; this builds the object.
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
   * Runs `callback` once, `delayMs` from now at the earliest; a delay below 0
   * is 0. Until then the timer keeps the process alive, unless it is told
   * `unref()`.
   *
   * It is never early. It is late by what the turn takes that is running when
   * it is due. Timers of one deadline run in the order in which they were set;
   * one that throws is reported to `onError`, and the others run. A closed
   * reactor runs none.
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
   * is due at `n * periodMs` from now, however late the earlier ones were: an
   * interval does not drift. Deadlines that have passed unnoticed, while
   * something took longer than a period, are skipped and not made up for: the
   * callback runs once, late, and then at the next deadline.
   *
   * Otherwise the same as {@linkcode Reactor.setTimer}.
   *
   * @param periodMs More than 0, with fractions.
   * @throws {RangeError} when `periodMs` is not more than 0.
   * @throws {TypeError} when it is no number, or `callback` no function.
   */
  setInterval(periodMs: number, callback: () => void): Timer {
    requireNumber("periodMs", periodMs);
    requireFunction("callback", callback);
    if (!(periodMs > 0)) {
      throw new RangeError(`Cannot set an interval of "${periodMs}" ms`);
    }
    return this.#host.setUserTimer(periodMs, callback, true);
  }

  /** Removes a timer; one that has run, or was removed, is left alone. */
  clearTimer(timer: Timer): void {
    this.#host.clearTimer(timer);
  }

  /**
   * Counts work that Deno's loop must finish, such as a handler's promise:
   * while there is any, the reactor never holds that loop.
   */
  beginWork(): void {
    this.#host.work++;
  }

  /**
   * Ends what {@linkcode Reactor.beginWork} began.
   *
   * @throws {RangeError} when nothing was begun that has not ended.
   */
  endWork(): void {
    if (this.#host.work <= 0) {
      throw new RangeError(
        `Cannot end work: "${this.#host.work}" of it was begun`,
      );
    }
    this.#host.work--;
  }

  /**
   * Ends fibers, aborts what is open and closes the poll. Every promise
   * that the reactor has handed out is settled by that; what fails on the way
   * goes to `onError` and stops nothing.
   */
  close(): void {
    if (this.isClosed) return;
    // First, or a `close` handler that connects again would do so for ever.
    this.#loop.isClosed = true;
    if (Reactor.#shared === this) Reactor.#shared = undefined;
    const failure = this.#failure;
    const reason = new ReactorClosed(failure);
    // Before their connections, or each would tell of one that was aborted.
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

  /** Closes the reactor, since its loop threw `error`, and says so. */
  #giveUp(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const told = `The reactor cannot go on, and is closed: ${text}`;
    const failure = new Error(told, { cause: error });
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

  /** Does one of several things of which each must be tried. */
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
   * A protocol that has {@linkcode ConnectionHandlers.shutdown} is asked to finish. Servers
   * of `serve` and `echo` shut down, so an idle HTTP connection ends at once.
   * Other connections end when their handlers or peers end them.
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
   * Resolves when nothing of the reactor's own is pending in Deno any more: once
   * its loop has stopped, for want of anything to do or after `close()`. While
   * it has something else to do, such as another server's listener, that is at
   * the end of a turn: what is pending then is for that.
   *
   * `drain()`, and the `finished` of servers, wait for it. Wait for it yourself
   * after `close()` where something counts what is pending, as the sanitizers of
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

  /** Calls `end` for all that is open: one that throws keeps no other open. */
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
