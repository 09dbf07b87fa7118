/**
 * What a reactor gives its sources: buffers, timers, the ready queue, and the
 * order of a turn.
 *
 * The host decides when things run. It never waits: only the loop does.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import type { ByteQueue } from "../bytes/byte_queue.ts";
import type { InterestSet } from "../poll/interest.ts";
import type { Source } from "../poll/registry.ts";
import { ReadBuffer } from "../bytes/read_buffer.ts";
import { type WriteAll, WriteBuffer } from "../bytes/write_buffer.ts";
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
import { Share } from "./share.ts";
import { type Queued, slotOf, type Slots } from "./slots.ts";
import { type Registered, Sources } from "./sources.ts";
import { Histogram, type ReactorStats } from "./stats.ts";
import { Sweep, type SweepHost } from "./sweep.ts";
import type { ReactorPoll, StreamSocket, System } from "../system/system.ts";
import { type Timer, Timers } from "./timers.ts";
import type { WatchedSource, WatchHost } from "./watch.ts";

/** How much the turn's own time may be wrong when a wait is computed. */
const FRESH_MS = 1;
/**
 * A turn is over by then, unless a handler has blocked it. A timer that is due
 * later, behind the wait, needs no exact time: it would be late only after such
 * a handler, and by less than the handler took. Reading the time takes one per
 * cent of a server's processor time for small messages.
 */
const FAR_MS = 20;

/** What a host is made of. */
export interface HostOptions {
  /** Where sources are registered. */
  readonly poll: ReactorPoll;
  /** The system that the poll belongs to. */
  readonly system: System;
  /** Starts the loop, or ends its wait. */
  readonly start: () => void;
  /** Gets errors that no handler gets; the console when left out. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Memory that connections may hold; without bound when left out. */
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
  readonly sources: Sources;
  /** See {@linkcode Sources.slots}. */
  readonly slots: Slots;
  readonly input = new ReadBuffer();
  readonly output: WriteBuffer;
  readonly writeAll: WriteAll | undefined;
  readonly unread = new Map<unknown, ByteQueue>();
  readonly lacksPriority: boolean;
  /** Promises of handlers that Deno's loop must settle. */
  work = 0;
  /** Fibers that run, or wait for Deno's loop: see `GuestLoop`. */
  running = 0;
  reads = 0;
  bytesIn = 0;
  acceptsFailed = 0;
  /** Counts the memory that connections hold, arrays included. */
  readonly memory: Memory;
  readonly #poll: ReactorPoll;
  readonly #system: System;
  readonly #start: () => void;
  readonly #onError: (error: unknown) => void;
  readonly #timers = new Timers((delta) => this.countRef(delta));
  #turnMs: number;
  /** The time of requeued sources, and then that of those with events. */
  readonly #share: Share;
  /** Whether the turn's time is nearly the present: false while parked. */
  isFresh = false;
  /** Whether this loop waits for a round of Deno's loop. */
  isAway = true;
  #queue: Queued[] = [];
  readonly #waiting = new Set<EngineListener>();
  readonly #awaitsMemory = new Set<EngineConnection>();
  #inTurn = false;
  #flushes = false;
  #hasRoom = false;
  readonly #sweep: Sweep;
  readonly #lag = new Histogram();
  /** When the last wait ended; `NaN` when that was a park. */
  #waitedMs = NaN;
  #turns = 0;
  #parks = 0;
  #events = 0;
  #writes = 0;
  #bytesOut = 0;

  /** Made by the reactor, which runs while there is work. */
  constructor(options: HostOptions) {
    this.#poll = options.poll;
    this.sources = new Sources(options.poll);
    this.slots = this.sources.slots;
    this.lacksPriority = this.#poll.lacksPriority ?? false;
    const { system } = options;
    this.#system = system;
    this.writeAll = system.writeAll?.bind(system);
    this.output = new WriteBuffer(this.writeAll);
    this.#start = options.start;
    this.#onError = options.onError ?? logError;
    this.memory = new Memory(this, options.memoryBytesMax ?? Infinity);
    this.#turnMs = this.#poll.nowMs();
    this.#share = new Share(this.#poll);
    this.#sweep = new Sweep(this);
  }

  /**
   * The turn's time, also for code that Deno's loop runs before the next turn.
   * The exact time while the reactor is parked, since a park can last for
   * hours.
   */
  get nowMs(): number {
    return this.isFresh ? this.#turnMs : this.#poll.nowMs();
  }

  /** Whether the turn has had its time: what is left waits for the next one. */
  get isSpent(): boolean {
    return this.#share.look();
  }

  get callsLeft(): number {
    return this.#share.left;
  }

  countCalls(calls: number): boolean {
    // What waits takes memory: where that is short, peers wait instead.
    return this.#share.count(calls) && !this.memory.isCrowded;
  }

  get hasQueued(): boolean {
    return this.#queue.length > 0;
  }

  /** Listeners and connections that are open. */
  get size(): number {
    return this.sources.size;
  }

  get hasWork(): boolean {
    return this.slots.size > 0 || this.#timers.size > 0;
  }

  get isRefed(): boolean {
    return this.sources.refs > 0;
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

  connections(): Iterable<EngineConnection> {
    return this.sources.connections();
  }

  stats(): ReactorStats {
    const { accepted, connected, closed, open, size } = this.sources;
    return {
      turns: this.#turns,
      polls: this.#turns + this.#parks,
      parks: this.#parks,
      events: this.#events,
      reads: this.reads,
      writes: this.#writes,
      bytesIn: this.bytesIn,
      bytesOut: this.#bytesOut,
      accepted,
      acceptsFailed: this.acceptsFailed,
      connected,
      closed: { ...closed },
      open,
      listeners: size - open,
      timers: this.#timers.size,
      memoryBytes: this.memory.bytes,
      lag: this.#lag.read(),
    };
  }

  /**
   * Returns how long to wait for events: until the next timer, and `longestMs`
   * at the most. The turn's own time is exact enough for a wait of a
   * millisecond.
   */
  waitMs(longestMs: number): number {
    const { nextDeadlineMs } = this.#timers;
    const aheadMs = nextDeadlineMs - this.nowMs;
    if (aheadMs - longestMs >= FAR_MS) return longestMs;
    const leftMs = Math.min(longestMs, aheadMs);
    if (leftMs <= FRESH_MS) return Math.max(0, leftMs);
    const exactMs = nextDeadlineMs - this.#poll.nowMs();
    return Math.min(longestMs, Math.max(0, exactMs));
  }

  /** Returns the time to the next timer; `undefined` when there is none. */
  timeoutMs(): number | undefined {
    const { nextDeadlineMs } = this.#timers;
    if (nextDeadlineMs === Infinity) return undefined;
    return Math.max(0, nextDeadlineMs - this.nowMs);
  }

  add(
    source: Registered,
    socket: Source & Disposable,
    interest: InterestSet,
  ): void {
    this.sources.add(source, socket, interest);
    if (source instanceof EngineConnection) this.#watchTimeouts(source);
  }

  /** Adds a connection that has no socket yet. */
  addUnregistered(connection: EngineConnection): void {
    this.sources.addUnregistered(connection);
    this.#watchTimeouts(connection);
  }

  #watchTimeouts(connection: EngineConnection): void {
    if (connection.timeouts !== undefined) this.watch(connection);
  }

  accept(stream: StreamSocket, listener: EngineListener): boolean {
    const connection = new EngineConnection(this, stream, listener.setup);
    try {
      this.add(connection, stream, READING);
    } catch (error) {
      if (isShortage(error)) return false;
      // This error must not end the rest of the batch.
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
    // In a turn, `beginTurn` has done this already.
    if (this.#sweep.isResting) this.#sweep.endRest();
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

  requeue(source: Queued): void {
    this.#queue.push(source);
    if (!this.#inTurn) this.#start();
  }

  flushSoon(): void {
    if (this.#inTurn || this.#flushes) return;
    // The loop flushes after each turn and its microtasks. It does not while it
    // is parked; and the process may end before, when nothing keeps it alive.
    if (this.isFresh && !(this.isAway && !this.isRefed)) return;
    this.#flushes = true;
    this.#system.defer(this.#flush);
  }

  // Made once: a closure in `flushSoon` would be allocated for each call.
  readonly #flush = (): void => {
    this.#flushes = false;
    // While the reactor is parked, each round of Deno's loop has its own share.
    if (!this.isFresh) this.#share.end();
    this.#call(() => this.output.flush());
  };

  setTimer(delayMs: number, callback: () => void): Timer {
    // From the exact time: the turn may have begun long ago.
    const deadlineMs = this.#poll.nowMs() + Math.max(0, delayMs);
    const timer = this.#timers.add(deadlineMs, callback);
    if (!this.#inTurn) this.#start();
    return timer;
  }

  /** Sets a program's timer, which keeps the process alive. */
  setUserTimer(
    delayMs: number,
    callback: () => void,
    repeats: boolean = false,
  ): Timer {
    const nowMs = this.#poll.nowMs();
    const timer = repeats
      ? this.#timers.addInterval(nowMs, delayMs, callback)
      : this.#timers.add(nowMs + Math.max(0, delayMs), callback);
    // This also starts the loop.
    timer.ref();
    return timer;
  }

  clearTimer(timer: Timer): void {
    this.#timers.remove(timer);
  }

  /** Ends all timers without running them, and calls their `onDrop`. */
  dropTimers(reason: Error): void {
    for (const { onDrop } of this.#timers.takeAll()) {
      if (onDrop !== undefined) this.#call(() => onDrop(reason));
    }
  }

  awaitRoom(listener: EngineListener): void {
    this.#waiting.add(listener);
  }

  forget(connection: EngineConnection, reason: CloseReason): void {
    this.sources.remove(connection);
    this.sources.closed[reason]++;
    this.#awaitsMemory.delete(connection);
    this.#sweep.unwatch(slotOf(connection.token));
    this.#hasRoom = true;
    if (!this.#inTurn) this.#start();
  }

  forgetListener(listener: EngineListener): void {
    this.sources.remove(listener);
    if (!this.#inTurn) this.#start();
  }

  setInterest(watched: WatchedSource, interest: InterestSet): void {
    this.#poll.reregister(watched.source, watched.token, interest);
  }

  forgetWatched(watched: WatchedSource): void {
    this.sources.remove(watched);
    if (!this.#inTurn) this.#start();
  }

  countRef(delta: number): void {
    this.sources.refs += delta;
    this.#start();
  }

  report(error: unknown): void {
    try {
      this.#onError(error);
    } catch (second) {
      // An `onError` that fails must not end the loop.
      logError(second);
    }
  }

  /** Begins a park: the reactor waits without holding the thread. */
  beginPark(): void {
    this.#parks++;
    this.#lag.add(this.#poll.nowMs() - this.#waitedMs);
    this.#waitedMs = NaN;
    this.isFresh = false;
    this.#share.end();
  }

  /**
   * @param nowMs When the wait ended.
   * @param waitMs How long the poll was asked to wait.
   * @param count How many events the poll returned.
   */
  beginTurn(nowMs: number, waitMs: number, count: number): void {
    assert(!this.#inTurn, "a turn begins after the previous one has ended");
    assert(this.running >= 0, "running is not negative");
    const lagMs = nowMs - this.#waitedMs - waitMs;
    // It is `NaN` after a park.
    if (lagMs === lagMs) this.#lag.add(lagMs);
    this.#waitedMs = nowMs;
    const heldBytes = this.#poll.heldBytes;
    if (heldBytes !== undefined) this.memory.notePoll(heldBytes);
    this.#turns++;
    this.#events += count;
    if (this.#sweep.isResting) this.#sweep.endRest();
    this.#turnMs = nowMs;
    this.#share.begin(nowMs);
    this.isFresh = true;
    this.#inTurn = true;
    // Sources that are queued while these act belong to the next turn.
    const queue = this.#queue;
    if (queue.length === 0) return;
    this.#queue = [];
    for (let index = 0; index < queue.length;) {
      this.act(queue[index++]!, 0);
      if (index === queue.length || !this.isSpent) continue;
      // In front of those that had their share: each gets its turn.
      this.#queue = queue.slice(index).concat(this.#queue);
      break;
    }
    // However long one source took, events have their share.
    this.#share.begin(this.#poll.nowMs());
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
    // Only as many as wait now: a timer may set the next one without end.
    for (let left = this.#timers.size; left > 0; left--) {
      const timer = this.#timers.takeDue(this.nowMs);
      if (timer === undefined) return;
      this.#call(timer.callback);
    }
  }

  /** Calls a source. An error that it throws ends that source alone. */
  act(source: Queued, readiness: number): void {
    try {
      source.onReady(readiness);
    } catch (error) {
      source.fail(error);
    }
  }

  /** Notifies connections that wait for memory, while there is room. */
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
    // `retry` only requeues: a listener that waits again does so after this.
    for (const listener of this.#waiting) listener.retry();
    this.#waiting.clear();
  }
}

function logError(error: unknown): void {
  // No handler has got the error, and it must not be lost.
  // deno-lint-ignore no-console
  console.error(error);
}
