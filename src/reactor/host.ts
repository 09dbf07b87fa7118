/**
 * What the reactor gives its sources: buffers, timers, the queue of those that
 * have more to do, and the order of a turn.
 *
 * It decides when things run, and never waits: that is the reactor's.
 *
 * @module
 */

import { Interest } from "../poll/interest.ts";
import { ReadBuffer, WriteBuffer } from "./buffers.ts";
import { Connection, type ConnectionHost } from "./connection.ts";
import { isShortage, type Listener, type ListenerHost } from "./listener.ts";
import { type Ready, Slots } from "./slots.ts";
import type { ReactorPoll, StreamSocket, System } from "./system.ts";
import { type Timer, Timers } from "./timers.ts";

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
}

/** The shared state of the loop. */
export class Host implements ConnectionHost, ListenerHost {
  readonly slots = new Slots();
  readonly input = new ReadBuffer();
  readonly output = new WriteBuffer();
  /** Promises of handlers that Deno's loop must settle. */
  work = 0;
  /** Fibers that run, or wait for something of Deno's: see `FiberLoop`. */
  runningFibers = 0;
  readonly #poll: ReactorPoll;
  readonly #system: System;
  readonly #start: () => void;
  readonly #onError: (error: unknown) => void;
  readonly #timers = new Timers((delta) => this.countRef(delta));
  #turnMs: number;
  /** Whether the turn's time is near the time: false while parked. */
  isFresh = false;
  #queue: Ready[] = [];
  readonly #waiting = new Set<Listener>();
  #refs = 0;
  #inTurn = false;
  #flushes = false;
  #hasRoom = false;

  /** Made by the reactor, which runs while there is work. */
  constructor({ poll, system, start, onError = logError }: HostOptions) {
    this.#poll = poll;
    this.#system = system;
    this.#start = start;
    this.#onError = onError;
    this.#turnMs = poll.nowMs();
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
    let isInserted = false;
    try {
      this.slots.insert(source);
      isInserted = true;
      this.#poll.register(source, source.token, interest);
    } catch (error) {
      // Without a slot the source's token is still 0, which is somebody's.
      if (isInserted) this.slots.remove(source.token);
      socket[Symbol.dispose]();
      throw error;
    }
    if (source.isRefed) this.#refs++;
  }

  accept(stream: StreamSocket, listener: Listener): boolean {
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
    this.#poll.reregister(connection, connection.token, interest);
  }

  requeue(source: Ready): void {
    this.#queue.push(source);
    if (!this.#inTurn) this.#start();
  }

  flushSoon(): void {
    // The loop flushes after each turn and its microtasks, unless it is parked.
    if (this.#inTurn || this.isFresh || this.#flushes) return;
    this.#flushes = true;
    this.#system.defer(() => {
      this.#flushes = false;
      this.output.flush();
    });
  }

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
