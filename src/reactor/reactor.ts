/**
 * The event loop over a `Poll`: the turn, and how it waits beside Deno's own
 * loop.
 *
 * One turn: poll; accept, read, run protocols; answer, one write a connection;
 * run due timers; free what closed; let microtasks run. While there is traffic
 * the poll is synchronous, a millisecond at most, and Deno's loop gets a round
 * about every four. When nothing comes the reactor parks in a call on
 * another thread and costs nothing.
 *
 * @module
 */

import { Events } from "../poll/events.ts";
import { Interest } from "../poll/interest.ts";
import { type Backend, Poll, type PollOptions } from "../poll/poll.ts";
import { Waker } from "../poll/waker.ts";
import type { HostPort } from "../net/address.ts";
import { type ListenOptions, TcpListener } from "../net/tcp_listener.ts";
import { TcpStream } from "../net/tcp_stream.ts";
import { ReadBuffer, WriteBuffer } from "./buffers.ts";
import {
  Connection,
  type ConnectionHandlers,
  type ConnectionHost,
} from "./connection.ts";
import { isShortage, Listener, type ListenerHost } from "./listener.ts";
import { Wait } from "./park.ts";
import { type Ready, Slots, WAKER_TOKEN } from "./slots.ts";
import { type Timer, Timers } from "./timers.ts";

/** The longest synchronous wait: what a Deno timer may be late by. */
const WAIT_MS = 1;
/**
 * How long Deno's loop may go without a round under load: what a Deno timer may
 * be late by. A round costs about 20 microseconds, mostly for code that has
 * left the caches: every millisecond it would be a fifth of a small request.
 */
const YIELD_MS = 4;
/**
 * Turns without an event before parking while Deno's loop has work to finish
 * for a handler. Each costs about two microseconds; parking costs twenty.
 */
const IDLE_TURNS = 16;
/**
 * Rounds of microtasks that fast handlers get, so that their answers leave in
 * this turn, before Deno's loop is asked.
 */
const MICROTASK_ROUNDS = 4;

/** How a reactor is made. */
export interface ReactorOptions extends PollOptions {
  /**
   * Told of what handlers throw outside of any connection's `error`. Left
   * out, it goes to the console.
   */
  onError?: (error: unknown) => void;
}

/** An event loop that listeners and connections are registered with. */
export class Reactor implements Disposable {
  static #shared: Reactor | undefined;
  readonly #poll: Poll;
  readonly #waker: Waker;
  readonly #wait: Wait;
  readonly #host: Host;
  readonly #events = new Events();
  /** Timers of the user's, each of which keeps the process alive. */
  readonly #timers = new Set<Timer>();
  #isRunning = false;
  #isParked = false;
  #isClosed = false;

  /**
   * Opens a poll; the loop runs while something is registered.
   *
   * @throws {Deno.errors.NotSupported} when the system has not got the backend.
   */
  constructor(options: ReactorOptions = {}) {
    this.#poll = new Poll(options);
    this.#waker = new Waker(this.#poll.registry, WAKER_TOKEN);
    this.#wait = new Wait(this.#poll);
    this.#host = new Host(this.#poll, () => this.#start(), options.onError);
  }

  /** The reactor that everything on this thread shares unless told otherwise. */
  static get shared(): Reactor {
    return Reactor.#shared ??= new Reactor();
  }

  /** The backend in use. */
  get backend(): Backend {
    return this.#poll.backend;
  }

  /** Listeners and connections that are open. */
  get size(): number {
    return this.#host.slots.size;
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
   * @throws {Deno.errors.AddrInUse} and others of `TcpListener.bind`.
   */
  listen<Data = unknown>(
    options: ListenOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener {
    this.#expectOpen();
    const socket = TcpListener.bind(options);
    const listener = new Listener(
      this.#host,
      socket,
      handlers as ConnectionHandlers,
    );
    this.#host.add(listener, socket, Interest.READABLE);
    this.#start();
    return listener;
  }

  /**
   * Connects, and calls `handlers` for what happens: `open`, or `error`.
   *
   * @throws {Deno.errors.NotCapable} and others of `TcpStream.connect`.
   */
  connect<Data = unknown>(
    address: HostPort,
    handlers: ConnectionHandlers<Data>,
  ): Connection<Data> {
    this.#expectOpen();
    const stream = TcpStream.connect(address);
    const connection = new Connection<Data>(this.#host, stream, {
      handlers,
      listener: undefined,
    });
    const both = Interest.READABLE | Interest.WRITABLE;
    this.#host.add(connection as Connection, stream, both);
    this.#start();
    return connection;
  }

  /** Yields the open connections that `listener` accepted. */
  *connections(listener: Listener): IterableIterator<Connection> {
    for (const source of this.#host.slots) {
      if (source instanceof Connection && source.listener === listener) {
        yield source;
      }
    }
  }

  /**
   * Runs `callback` once, `delayMs` from now at the earliest. Until then the
   * timer keeps the process alive.
   *
   * @throws {RangeError} when `delayMs` is no number.
   */
  setTimer(delayMs: number, callback: () => void): Timer {
    if (Number.isNaN(delayMs)) {
      throw new RangeError(`Cannot set a timer for "${delayMs}" ms`);
    }
    // First, or a loop that starts for the timer would not keep it alive.
    this.#host.countRef(1);
    const timer = this.#host.setTimer(delayMs, () => {
      this.clearTimer(timer);
      callback();
    });
    this.#timers.add(timer);
    return timer;
  }

  /** Removes a timer that has not run. */
  clearTimer(timer: Timer): void {
    this.#host.clearTimer(timer);
    if (this.#timers.delete(timer)) this.#host.countRef(-1);
  }

  /**
   * Counts work that Deno's loop must finish, such as a handler's promise:
   * while there is any, the reactor never holds that loop.
   */
  beginWork(): void {
    this.#host.work++;
  }

  /** Ends what {@linkcode Reactor.beginWork} began. */
  endWork(): void {
    this.#host.work--;
  }

  /** Aborts what is open and closes the poll. */
  close(): void {
    if (this.#isClosed) return;
    // First, or a `close` handler that connects again would do so for ever.
    this.#isClosed = true;
    for (const source of this.#host.slots) {
      if (source instanceof Connection) source.abort();
      else if (source instanceof Listener) source.close();
    }
    this.#wake();
    if (!this.#isRunning) this.#closePoll();
    if (Reactor.#shared === this) Reactor.#shared = undefined;
  }

  /** Closes the reactor. */
  [Symbol.dispose](): void {
    this.close();
  }

  #closePoll(): void {
    this.#waker.close();
    this.#poll.close();
  }

  #expectOpen(): void {
    if (this.#isClosed) {
      throw new Deno.errors.BadResource("Cannot use a closed reactor");
    }
  }

  /** Has the loop run, or ends its waiting. */
  #start(): void {
    if (this.#host.isRefed) this.#wait.ref();
    if (this.#isParked) return this.#wake();
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    this.#run();
  }

  #wake(): void {
    if (!this.#isParked) return;
    this.#isParked = false;
    this.#waker.wake();
  }

  async #run(): Promise<void> {
    const host = this.#host;
    let yieldedMs = -Infinity;
    let idleTurns = 0;
    await this.#wait.yieldToDeno(host.nowMs, host.isRefed);
    while (!this.#isClosed && host.hasWork) {
      const isBusy = host.work > 0 || host.hasQueued;
      const count = this.#turn(isBusy ? 0 : WAIT_MS);
      // Inline, since an async function would cost three rounds for one.
      await undefined;
      for (let round = 1; host.work > 0 && round < MICROTASK_ROUNDS; round++) {
        await undefined;
      }
      host.output.flush();
      if (host.work > 0 || host.nowMs - yieldedMs >= YIELD_MS) {
        yieldedMs = host.nowMs;
        await this.#wait.yieldToDeno(yieldedMs, host.isRefed);
        host.output.flush();
      }
      idleTurns = count > 0 || host.hasQueued ? 0 : idleTurns + 1;
      if (idleTurns > (isBusy ? IDLE_TURNS : 0)) {
        idleTurns = 0;
        await this.#park();
      }
    }
    this.#isRunning = false;
    if (this.#isClosed) this.#closePoll();
  }

  async #park(): Promise<void> {
    const host = this.#host;
    if (this.#isClosed || !host.hasWork) return;
    this.#isParked = true;
    host.isFresh = false;
    await this.#wait.park(host.timeoutMs(), host.isRefed);
    this.#isParked = false;
  }

  /** One turn; returns how many events there were. */
  #turn(waitMs: number): number {
    const host = this.#host;
    const events = this.#events;
    const timeoutMs = Math.min(waitMs, host.timeoutMs() ?? waitMs);
    const count = this.#poll.poll(events, timeoutMs);
    host.beginTurn(events.nowMs);
    for (let index = 0; index < count; index++) {
      const source = host.slots.get(events.token(index));
      if (source !== undefined) host.act(source, events.readiness(index));
    }
    host.endTurn();
    return count;
  }
}

/** What the reactor gives its sources: the shared state of the loop. */
class Host implements ConnectionHost, ListenerHost {
  readonly slots = new Slots();
  readonly input = new ReadBuffer();
  readonly output = new WriteBuffer();
  /** Promises of handlers that Deno's loop must settle. */
  work = 0;
  readonly #poll: Poll;
  readonly #start: () => void;
  readonly #onError: (error: unknown) => void;
  readonly #timers = new Timers();
  /** The turn's clock less Deno's: both run alike, from different starts. */
  readonly #skewMs: number;
  #turnMs: number;
  /** Whether the turn's time is near the time: false while parked. */
  isFresh = false;
  #queue: Ready[] = [];
  readonly #waiting = new Set<Listener>();
  #refs = 0;
  #inTurn = false;
  #flushes = false;
  #hasRoom = false;

  constructor(
    poll: Poll,
    start: () => void,
    onError: (error: unknown) => void = logError,
  ) {
    this.#poll = poll;
    this.#start = start;
    this.#onError = onError;
    // Nothing is registered yet but the waker: no event is taken by this.
    const events = new Events(1);
    poll.poll(events, 0);
    this.#turnMs = events.nowMs;
    this.#skewMs = this.#turnMs - performance.now();
  }

  /**
   * The turn's time, also for what Deno's loop runs before the next turn; the
   * exact time while the reactor is parked, which can be for hours.
   */
  get nowMs(): number {
    return this.isFresh ? this.#turnMs : this.#clock();
  }

  get hasQueued(): boolean {
    return this.#queue.length > 0;
  }

  get hasWork(): boolean {
    return this.slots.size > 0 || this.#timers.size > 0;
  }

  get isRefed(): boolean {
    return this.#refs > 0;
  }

  /** How long until the next timer; `undefined` when there is none. */
  timeoutMs(): number | undefined {
    const { nextDeadlineMs } = this.#timers;
    if (nextDeadlineMs === Infinity) return undefined;
    return Math.max(0, nextDeadlineMs - this.nowMs);
  }

  add(source: Listener | Connection, socket: Disposable, interest: number) {
    try {
      this.slots.insert(source);
      this.#poll.registry.register(source, source.token, interest);
    } catch (error) {
      this.slots.remove(source.token);
      socket[Symbol.dispose]();
      throw error;
    }
    if (source.isRefed) this.#refs++;
  }

  accept(stream: TcpStream, listener: Listener): boolean {
    const connection = new Connection(this, stream, {
      handlers: listener.handlers,
      listener,
    });
    try {
      this.add(connection, stream, Interest.READABLE);
    } catch (error) {
      if (isShortage(error)) return false;
      // One that cannot be registered must not take the others with it.
      this.report(error);
      return true;
    }
    try {
      connection.opened();
    } catch (error) {
      connection.fail(error);
    }
    return true;
  }

  reregister(connection: Connection, interest: number): void {
    this.#poll.registry.reregister(connection, connection.token, interest);
  }

  requeue(source: Ready): void {
    this.#queue.push(source);
    if (!this.#inTurn) this.#start();
  }

  flushSoon(): void {
    if (this.#inTurn || this.#flushes) return;
    this.#flushes = true;
    setImmediate(() => {
      this.#flushes = false;
      this.output.flush();
    });
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    // Exact, since a timer is never early: the turn's time may be long ago.
    const timer = this.#timers.add(this.#clock() + delayMs, callback);
    if (!this.#inTurn) this.#start();
    return timer;
  }

  clearTimer(timer: Timer): void {
    this.#timers.remove(timer);
  }

  awaitRoom(listener: Listener): void {
    this.#waiting.add(listener);
  }

  forget(connection: Connection, refed: boolean): void {
    this.slots.remove(connection.token);
    this.#hasRoom = true;
    if (refed) this.#refs--;
    if (!this.#inTurn) this.#start();
  }

  forgetListener(listener: Listener): void {
    this.slots.remove(listener.token);
    if (listener.isRefed) this.#refs--;
    if (!this.#inTurn) this.#start();
  }

  countRef(delta: number): void {
    this.#refs += delta;
    this.#start();
  }

  report(error: unknown): void {
    try {
      this.#onError(error);
    } catch (second) {
      // One that cannot be told of either must not end the loop.
      logError(second);
    }
  }

  beginTurn(nowMs: number): void {
    this.#turnMs = nowMs;
    this.isFresh = true;
    this.#inTurn = true;
    // What is queued while these act belongs to the next turn.
    const queue = this.#queue;
    if (queue.length === 0) return;
    this.#queue = [];
    for (const source of queue) this.act(source, 0);
  }

  endTurn(): void {
    this.output.flush();
    // Not more than there are now: those that add others would never end.
    for (let left = this.#timers.size; left > 0; left--) {
      const timer = this.#timers.takeDue(this.nowMs);
      if (timer === undefined) break;
      this.#call(timer.callback);
    }
    this.output.flush();
    if (this.#hasRoom) this.#resumeListeners();
    this.slots.recycle();
    this.#inTurn = false;
  }

  /** Lets a source act; what it throws ends it and nothing else. */
  act(source: Ready, readiness: number): void {
    try {
      source.onReady(readiness);
    } catch (error) {
      source.fail(error);
    }
  }

  #clock(): number {
    return performance.now() + this.#skewMs;
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.report(error);
    }
  }

  #resumeListeners(): void {
    this.#hasRoom = false;
    // Those that wait again do so after this: resuming only queues them.
    for (const listener of this.#waiting) listener.resume();
    this.#waiting.clear();
  }
}

function logError(error: unknown): void {
  // Nobody else was given the error, and it must not be lost.
  // deno-lint-ignore no-console
  console.error(error);
}
