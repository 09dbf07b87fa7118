/**
 * What the reactor gives its sources: buffers, timers, the queue of those that
 * have more to do, and the order of a turn.
 *
 * It decides when things run, and never waits: that is the reactor's.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import type { ByteQueue } from "../bytes/byte_queue.ts";
import { Interest, type InterestSet } from "../poll/interest.ts";
import type { Source } from "../poll/registry.ts";
import { ReadBuffer, WriteBuffer } from "../bytes/buffers.ts";
import type { CloseReason } from "../stream/close_reason.ts";
import type { GuestLoop } from "./guest.ts";
import { EngineConnection } from "./connection/engine.ts";
import type { ConnectionHost } from "./connection/record.ts";
import { READING } from "./connection/writing.ts";
import { Memory, type MemoryHost } from "./memory.ts";
import {
  type EngineListener,
  isShortage,
  type ListenerHost,
} from "./listener/engine.ts";
import { type Ready, slotOf, Slots } from "./slots.ts";
import { Histogram, type ReactorStats } from "./stats.ts";
import { Sweep, type SweepHost } from "./sweep.ts";
import type { ReactorPoll, StreamSocket, System } from "../system/system.ts";
import { type Timer, Timers } from "./timers.ts";
import { WatchedSource, type WatchHost } from "./watch.ts";

/** How late a wait may end since the turn that came before took time. */
const FRESH_MS = 1;

/** What a host is made of. */
export interface HostOptions {
  /** Where sources are registered. */
  readonly poll: ReactorPoll;
  /** What the poll is of. */
  readonly system: System;
  /** Has the loop run, or ends its waiting. */
  readonly start: () => void;
  /** Told of what nobody else can catch; the console when left out. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Bytes that may wait; without bound when left out. */
  readonly memoryBytesMax?: number;
}

/** The shared state of the loop. */
export class Host
  implements
    ConnectionHost,
    GuestLoop,
    ListenerHost,
    MemoryHost,
    SweepHost,
    WatchHost {
  readonly slots = new Slots();
  readonly input = new ReadBuffer();
  readonly output: WriteBuffer;
  readonly unread = new Map<unknown, ByteQueue>();
  readonly lacksPriority: boolean;
  /** Promises of handlers that Deno's loop must settle. */
  work = 0;
  /** Fibers that run, or wait for something of Deno's: see `GuestLoop`. */
  runningFibers = 0;
  /** Streams that connect, and are no connection's yet. */
  attempts = 0;
  /** Sources of the program's own. */
  watches = 0;
  reads = 0;
  bytesIn = 0;
  acceptsFailed = 0;
  /** Memory that connections hold; also who counts arrays. */
  readonly memory: Memory;
  readonly #poll: ReactorPoll;
  readonly #system: System;
  readonly #start: () => void;
  readonly #onError: (error: unknown) => void;
  readonly #timers = new Timers((delta) => this.countRef(delta));
  #turnMs: number;
  /** Whether the turn's time is near the time: false while parked. */
  isFresh = false;
  /** Whether Deno's loop runs, and this one waits for it. */
  isAway = true;
  #queue: Ready[] = [];
  readonly #waiting = new Set<EngineListener>();
  readonly #awaitsMemory = new Set<EngineConnection>();
  #refs = 0;
  #inTurn = false;
  #flushes = false;
  #hasRoom = false;
  readonly #sweep: Sweep;
  readonly #lag = new Histogram();
  /** When the last wait ended; nothing when that was parking. */
  #waitedMs = NaN;
  #turns = 0;
  #parks = 0;
  #events = 0;
  #writes = 0;
  #bytesOut = 0;
  #accepted = 0;
  #connected = 0;
  readonly #closed: Record<CloseReason, number> = {
    ended: 0,
    closed: 0,
    aborted: 0,
    error: 0,
    idle: 0,
    read: 0,
    write: 0,
    lifetime: 0,
    deadline: 0,
    shed: 0,
  };

  /** Made by the reactor, which runs while there is work. */
  constructor(options: HostOptions) {
    this.#poll = options.poll;
    this.lacksPriority = this.#poll.lacksPriority ?? false;
    const { system } = options;
    this.#system = system;
    this.output = new WriteBuffer(system.writeAll?.bind(system));
    this.#start = options.start;
    this.#onError = options.onError ?? logError;
    this.memory = new Memory(this, options.memoryBytesMax ?? Infinity);
    this.#turnMs = this.#poll.nowMs();
    this.#sweep = new Sweep(this);
  }

  /**
   * The turn's time, also for what Deno's loop runs before the next turn; the
   * exact time while the reactor is parked, which can be for hours.
   */
  get nowMs(): number {
    return this.isFresh ? this.#turnMs : this.#poll.nowMs();
  }

  get hasQueued(): boolean {
    return this.#queue.length > 0;
  }

  /** Listeners and connections that are open. */
  get size(): number {
    return this.slots.size - this.attempts - this.watches;
  }

  get hasWork(): boolean {
    return this.slots.size > 0 || this.#timers.size > 0;
  }

  get isRefed(): boolean {
    return this.#refs > 0;
  }

  get isCrowded(): boolean {
    return this.memory.isCrowded;
  }

  get isOverfull(): boolean {
    return this.memory.isOverfull;
  }

  get isMemoryAwaited(): boolean {
    return this.#waiting.size > 0 || this.#awaitsMemory.size > 0;
  }

  awaitMemory(connection: EngineConnection): void {
    this.#awaitsMemory.add(connection);
  }

  makeRoom(): boolean {
    return this.memory.makeRoom();
  }

  *connections(): IterableIterator<EngineConnection> {
    for (const source of this.slots) {
      if (source instanceof EngineConnection) yield source;
    }
  }

  stats(): ReactorStats {
    const closed = { ...this.#closed };
    let open = this.#accepted + this.#connected;
    for (const count of Object.values(closed)) open -= count;
    return {
      turns: this.#turns,
      polls: this.#turns + this.#parks,
      parks: this.#parks,
      events: this.#events,
      reads: this.reads,
      writes: this.#writes,
      bytesIn: this.bytesIn,
      bytesOut: this.#bytesOut,
      accepted: this.#accepted,
      acceptsFailed: this.acceptsFailed,
      connected: this.#connected,
      closed,
      open,
      listeners: this.size - open,
      timers: this.#timers.size,
      memoryBytes: this.memory.bytes,
      lag: this.#lag.read(),
    };
  }

  /**
   * How long to wait for events: up to `longestMs`, until the next timer. The
   * time is that of the turn, which a wait of a millisecond does not notice.
   */
  waitMs(longestMs: number): number {
    const { nextDeadlineMs } = this.#timers;
    if (nextDeadlineMs === Infinity) return longestMs;
    const leftMs = Math.min(longestMs, nextDeadlineMs - this.nowMs);
    if (leftMs <= FRESH_MS) return Math.max(0, leftMs);
    const exactMs = nextDeadlineMs - this.#poll.nowMs();
    return Math.min(longestMs, Math.max(0, exactMs));
  }

  /** How long until the next timer; `undefined` when there is none. */
  timeoutMs(): number | undefined {
    const { nextDeadlineMs } = this.#timers;
    if (nextDeadlineMs === Infinity) return undefined;
    return Math.max(0, nextDeadlineMs - this.nowMs);
  }

  add(
    source: EngineListener | EngineConnection | WatchedSource,
    socket: Source & Disposable,
    interest: number,
  ) {
    let isInserted = false;
    try {
      this.slots.insert(source);
      isInserted = true;
      this.#poll.register(socket, source.token, interest);
    } catch (error) {
      // Without a slot the source's token is still 0, which is somebody's.
      if (isInserted) this.slots.remove(source.token);
      socket[Symbol.dispose]();
      throw error;
    }
    this.#count(source);
  }

  /** Takes a connection in that has nothing yet to register. */
  addUnregistered(connection: EngineConnection): void {
    this.slots.insert(connection);
    this.#count(connection);
  }

  /** Tells `attempt` of what is ready of `stream`. */
  watchAttempt(attempt: Ready, stream: StreamSocket): void {
    try {
      this.slots.insert(attempt);
      this.attempts++;
      this.#poll.register(stream, attempt.token, READING | Interest.WRITABLE);
    } catch (error) {
      this.unwatchAttempt(attempt);
      stream.close();
      throw error;
    }
  }

  /** Tells it no more. */
  unwatchAttempt(attempt: Ready): void {
    if (this.slots.get(attempt.token) !== attempt) return;
    this.slots.remove(attempt.token);
    this.attempts--;
  }

  #count(source: EngineListener | EngineConnection | WatchedSource): void {
    if (source.isRefed) this.#refs++;
    if (source instanceof WatchedSource) this.watches++;
    if (!(source instanceof EngineConnection)) return;
    if (source.listener === undefined) this.#connected++;
    else this.#accepted++;
    if (source.timeouts !== undefined) this.watch(source);
  }

  accept(stream: StreamSocket, listener: EngineListener): boolean {
    const connection = new EngineConnection(this, stream, listener.setup);
    try {
      this.add(connection, stream, READING);
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

  reregister(connection: EngineConnection, interest: number): void {
    this.#poll.reregister(connection, connection.token, interest);
  }

  wrote(bytes: number): void {
    this.#writes++;
    if (bytes > 0) this.#bytesOut += bytes;
    // In a turn it was stirred already.
    if (this.#sweep.isResting) this.#sweep.stir();
  }

  countMemory(delta: number): void {
    this.memory.count(delta);
  }

  watch(connection: EngineConnection): void {
    this.#sweep.watch(slotOf(connection.token), connection.timeouts);
  }

  setDeadline(connection: EngineConnection, delayMs: number): void {
    this.#sweep.setDeadline(slotOf(connection.token), delayMs);
  }

  quietSinceMs(connection: EngineConnection): number {
    return this.#sweep.quietSinceMs(slotOf(connection.token));
  }

  connectionAt(slot: number): EngineConnection | undefined {
    const source = this.slots.at(slot);
    return source instanceof EngineConnection ? source : undefined;
  }

  requeue(source: Ready): void {
    this.#queue.push(source);
    if (!this.#inTurn) this.#start();
  }

  flushSoon(): void {
    if (this.#inTurn || this.#flushes) return;
    // The loop flushes after each turn and its microtasks, unless it is parked,
    // or the process ends first, because nothing here keeps it.
    if (this.isFresh && !(this.isAway && !this.isRefed)) return;
    this.#flushes = true;
    this.#system.defer(this.#flush);
  }

  // Made once: one made above would cost memory also where it is not used.
  readonly #flush = (): void => {
    this.#flushes = false;
    this.#call(() => this.output.flush());
  };

  setTimer(delayMs: number, callback: () => void): Timer {
    // Exact, since a timer is never early: the turn's time may be long ago.
    const deadlineMs = this.#poll.nowMs() + Math.max(0, delayMs);
    const timer = this.#timers.add(deadlineMs, callback);
    if (!this.#inTurn) this.#start();
    return timer;
  }

  /** Sets a timer of the user's, which keeps the process alive. */
  setUserTimer(
    delayMs: number,
    callback: () => void,
    repeats: boolean = false,
  ): Timer {
    const nowMs = this.#poll.nowMs();
    const timer = repeats
      ? this.#timers.addInterval(nowMs, delayMs, callback)
      : this.#timers.add(nowMs + Math.max(0, delayMs), callback);
    // Has the loop run, too.
    timer.ref();
    return timer;
  }

  clearTimer(timer: Timer): void {
    this.#timers.remove(timer);
  }

  /** Ends all timers without running them, and tells those who wait. */
  dropTimers(reason: Error): void {
    for (const { onDrop } of this.#timers.takeAll()) {
      if (onDrop !== undefined) this.#call(() => onDrop(reason));
    }
  }

  awaitRoom(listener: EngineListener): void {
    this.#waiting.add(listener);
  }

  forget(connection: EngineConnection, reason: CloseReason): void {
    this.slots.remove(connection.token);
    this.#awaitsMemory.delete(connection);
    this.#sweep.unwatch(slotOf(connection.token));
    this.#closed[reason]++;
    this.#hasRoom = true;
    if (connection.isRefed) this.#refs--;
    if (!this.#inTurn) this.#start();
  }

  forgetListener(listener: EngineListener): void {
    this.slots.remove(listener.token);
    if (listener.isRefed) this.#refs--;
    if (!this.#inTurn) this.#start();
  }

  setInterest(watched: WatchedSource, interest: InterestSet): void {
    this.#poll.reregister(watched.source, watched.token, interest);
  }

  forgetWatched(watched: WatchedSource): void {
    this.slots.remove(watched.token);
    this.watches--;
    if (watched.isRefed) this.#refs--;
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

  /** The wait before the next turn is another thread's. */
  beginPark(): void {
    this.#parks++;
    this.#lag.add(this.#poll.nowMs() - this.#waitedMs);
    this.#waitedMs = NaN;
    this.isFresh = false;
  }

  /**
   * @param nowMs When the wait ended.
   * @param waitMs How long it was asked to be.
   * @param count How many events it brought.
   */
  beginTurn(nowMs: number, waitMs: number, count: number): void {
    assert(!this.#inTurn, "a turn begins when the one before is over");
    assert(this.runningFibers >= 0, "no fewer than no fiber runs");
    const lagMs = nowMs - this.#waitedMs - waitMs;
    // Not after parking, which makes it no number.
    if (lagMs === lagMs) this.#lag.add(lagMs);
    this.#waitedMs = nowMs;
    this.#turns++;
    this.#events += count;
    if (this.#sweep.isResting) this.#sweep.stir();
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
    try {
      this.output.flush();
      this.#runTimers();
      this.output.flush();
      if (this.#awaitsMemory.size > 0) this.#relieveMemory();
      if (this.#hasRoom) this.#resumeListeners();
    } finally {
      this.slots.recycle();
      this.#inTurn = false;
    }
  }

  #runTimers(): void {
    // Not more than there are now: those that add others would never end.
    for (let left = this.#timers.size; left > 0; left--) {
      const timer = this.#timers.takeDue(this.nowMs);
      if (timer === undefined) return;
      this.#call(timer.callback);
    }
  }

  /** Lets a source act; what it throws ends it and nothing else. */
  act(source: Ready, readiness: number): void {
    try {
      source.onReady(readiness);
    } catch (error) {
      source.fail(error);
    }
  }

  /** Has those go on that waited for memory, as long as there is some. */
  #relieveMemory(): void {
    for (const connection of this.#awaitsMemory) {
      if (!this.memory.hasRoom) return;
      this.#awaitsMemory.delete(connection);
      try {
        connection.relieve();
      } catch (error) {
        connection.fail(error);
      }
    }
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
    for (const listener of this.#waiting) listener.retry();
    this.#waiting.clear();
  }
}

function logError(error: unknown): void {
  // Nobody else was given the error, and it must not be lost.
  // deno-lint-ignore no-console
  console.error(error);
}
