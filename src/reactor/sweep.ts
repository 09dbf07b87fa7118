/**
 * Rounds over the connections that have a limit of time.
 *
 * With a timer for each connection, each byte would move that timer in the heap.
 * Here a byte sets a bit in the connection's flags. The sweep passes now and
 * then, clears the bit, and notes its own time for it. So a limit is never early,
 * and late by the time between two passes. A connection costs a few loads a pass,
 * and four bytes for each kind of time that is in use.
 *
 * @module
 */

import type { TimeoutReason } from "../stream/close_reason.ts";
import { TIMEOUT_MS_MAX, type TimeoutSet } from "./connection_options.ts";
import type { Timer } from "./timers.ts";
import { Times } from "./times.ts";

/**
 * Passes in the time of the shortest timeout. A byte is noted one pass late at
 * the most, and a limit is seen one pass late: a quarter of the timeout in all.
 */
const PASSES = 8;
/** Between two passes at least: shorter ones cost more than they are worth. */
const PASS_MS_MIN = 4;
/** Between two passes at most, while something moves. */
const PASS_MS_MAX = 500;
/** Between two passes that only look for deadlines. */
const DEADLINE_PASS_MS = 50;
/** Slots that are looked at in one turn: about a fifth of a millisecond. */
const TURN_SLOTS = 4096;

/** What has moved on a connection since the sweep asked last. */
export const Moved = {
  /** Bytes came or went. */
  ANY: 1,
  /** Bytes came, or the connection did not read. */
  READ: 2,
} as const;

/** What the sweep asks of a connection. */
export interface Swept {
  /** How long it may take. */
  readonly timeouts: TimeoutSet | undefined;
  /**
   * Since when, on the reactor's clock, its unsent bytes have become no fewer;
   * infinity when there are none.
   */
  readonly unsentSinceMs: number;
  /** Returns the bits of {@linkcode Moved}, and clears them. */
  takeMoved(): number;
  /** One of its limits has passed. */
  expire(reason: TimeoutReason): void;
}

/** What the sweep needs of its reactor. */
export interface SweepHost {
  /** The turn's time. */
  readonly nowMs: number;
  /** Returns the connection in a slot, if one is. */
  connectionAt(slot: number): Swept | undefined;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer. */
  clearTimer(timer: Timer): void;
}

/** The rounds of one reactor. */
export class Sweep {
  /** How many connections are watched; a sweep of none costs nothing. */
  size = 0;
  /**
   * Whether nothing moved in the last pass. The next pass is when a limit is
   * due, unless {@linkcode Sweep.endRest} is called.
   */
  isResting = false;
  readonly #host: SweepHost;
  /** Where the clock of the times begins: they wrap after 49 days. */
  readonly #startMs: number;
  /** When a byte moved last; 0 where the slot is not watched. */
  readonly #moved = new Times();
  /** When a byte came last, or none could have been read: for `readMs`. */
  readonly #read = new Times();
  /** When a lifetime ends. */
  readonly #end = new Times();
  /** A connection's own deadline. */
  readonly #deadline = new Times();
  #timer: Timer | undefined = undefined;
  readonly #onTimer = (): void => this.#round();
  /** Between two passes. */
  #passMs = PASS_MS_MAX;
  /** The slot at which the pass goes on; 0 when it begins. */
  #next = 0;
  // Findings of the pass under way.
  #hasMoved = false;
  #earliestMs = TIMEOUT_MS_MAX;
  #deadlineMs = TIMEOUT_MS_MAX;
  #shortestMs = Infinity;
  #lastTimeouts: TimeoutSet | undefined = undefined;
  /** The round's time: on the reactor's clock, as a word, and as a stamp. */
  #roundMs = 0;
  #now = 0;
  #dated = 0;

  /** Made by the reactor's host. */
  constructor(host: SweepHost) {
    this.#host = host;
    this.#startMs = host.nowMs;
  }

  /**
   * Watches the connection in `slot`. Its times begin now; its deadline stays.
   */
  watch(slot: number, timeouts: TimeoutSet | undefined): void {
    this.#enter(slot);
    const now = this.#stamp();
    this.#moved.set(slot, now);
    const readMs = timeouts === undefined ? Infinity : timeouts.readMs;
    this.#read.set(slot, readMs === Infinity ? 0 : now);
    const lifetimeMs = timeouts === undefined ? Infinity : timeouts.lifetimeMs;
    this.#end.set(slot, lifetimeMs === Infinity ? 0 : later(now, lifetimeMs));
    if (timeouts === undefined) return this.#comeIn(PASS_MS_MAX);
    this.#passMs = Math.min(this.#passMs, passMsOf(shortestOf(timeouts)));
    this.isResting = false;
    this.#comeIn(this.#passMs);
  }

  /** Sets, or with infinity clears, the deadline of the connection in `slot`. */
  setDeadline(slot: number, delayMs: number): void {
    if (delayMs === Infinity) return this.#deadline.set(slot, 0);
    this.#enter(slot);
    this.#deadline.set(slot, later(this.#stamp(), delayMs));
    this.#comeIn(Math.max(delayMs, DEADLINE_PASS_MS));
  }

  /**
   * Since when nothing has moved on the connection in `slot`, as of the last
   * pass; now when it is not watched.
   */
  quietSinceMs(slot: number): number {
    const nowMs = this.#host.nowMs;
    const moved = this.#moved.at(slot);
    if (moved === 0) return nowMs;
    // The times may wrap: what lies between two of them does not.
    return nowMs - Math.max(0, (this.#stamp(nowMs) - moved) | 0);
  }

  /** Forgets the connection in `slot`, if it is watched. */
  unwatch(slot: number): void {
    if (this.#moved.at(slot) === 0) return;
    this.#moved.set(slot, 0);
    this.#read.set(slot, 0);
    this.#end.set(slot, 0);
    this.#deadline.set(slot, 0);
    this.size--;
    if (this.size === 0) this.#stop();
  }

  /** Ends the rest, since bytes may move from now on. */
  endRest(): void {
    this.isResting = false;
    if (this.#shortestMs !== Infinity) this.#comeIn(this.#passMs);
  }

  /** Watches `slot` from now on. */
  #enter(slot: number): void {
    if (this.#moved.at(slot) !== 0) return;
    this.#moved.set(slot, this.#stamp());
    this.size++;
  }

  /** Passes in `ms` at the latest. */
  #comeIn(ms: number): void {
    const timer = this.#timer;
    if (timer !== undefined) {
      if (timer.deadlineMs <= this.#host.nowMs + ms) return;
      this.#host.clearTimer(timer);
    }
    this.#timer = this.#host.setTimer(ms, this.#onTimer);
  }

  #stop(): void {
    if (this.#timer !== undefined) this.#host.clearTimer(this.#timer);
    this.#timer = undefined;
    this.isResting = false;
    this.#next = 0;
    this.#passMs = PASS_MS_MAX;
  }

  /** Looks at some slots; the next turn goes on where this stops. */
  #round(): void {
    this.#timer = undefined;
    if (this.#next === 0) {
      this.#hasMoved = false;
      this.#earliestMs = this.#deadlineMs = TIMEOUT_MS_MAX;
      this.#shortestMs = Infinity;
      this.#lastTimeouts = undefined;
    }
    const slots = this.#moved.length;
    const end = Math.min(slots, this.#next + TURN_SLOTS);
    const nowMs = this.#roundMs = this.#host.nowMs;
    this.#now = Math.floor(nowMs - this.#startMs) | 0;
    this.#dated = this.#stamp(nowMs);
    for (let slot = this.#next; slot < end && this.size > 0; slot++) {
      if (this.#moved.at(slot) !== 0) this.#visit(slot);
    }
    if (this.size === 0) return this.#stop();
    this.#next = end < slots ? end : 0;
    if (this.#next !== 0) return this.#comeIn(0);
    this.#passMs = passMsOf(this.#shortestMs);
    // Moving bytes matter to timeouts alone, not to deadlines.
    const isMoving = this.#hasMoved && this.#shortestMs !== Infinity;
    this.isResting = !isMoving;
    const passMs = isMoving
      ? this.#passMs
      : Math.max(this.#passMs, this.#earliestMs);
    const deadlineMs = Math.max(DEADLINE_PASS_MS, this.#deadlineMs);
    this.#comeIn(Math.min(passMs, deadlineMs));
  }

  /**
   * Looks at one slot: what has moved, and which limit is due. This runs for each
   * connection in each pass, so it uses whole numbers and makes no object.
   */
  #visit(slot: number): void {
    const connection = this.#host.connectionAt(slot);
    if (connection === undefined) return this.unwatch(slot);
    const moved = connection.takeMoved();
    if (moved & Moved.ANY) {
      this.#moved.set(slot, this.#dated);
      this.#hasMoved = true;
    }
    const { timeouts } = connection;
    if (moved & Moved.READ && timeouts !== undefined) {
      if (timeouts.readMs !== Infinity) this.#read.set(slot, this.#dated);
    }
    const deadline = this.#deadline.at(slot);
    if (timeouts === undefined && deadline === 0) return this.unwatch(slot);
    let reason = timeouts && this.#dueOf(slot, timeouts, connection);
    if (deadline !== 0) {
      const leftMs = (deadline - this.#now) | 0;
      if (leftMs <= 0) reason = "deadline";
      else if (leftMs < this.#deadlineMs) this.#deadlineMs = leftMs;
    }
    if (reason !== undefined) this.#expire(slot, connection, reason);
  }

  /** Tells a connection. One that stays open has the same time again. */
  #expire(slot: number, connection: Swept, reason: TimeoutReason): void {
    const now = this.#stamp();
    const { timeouts } = connection;
    if (reason === "deadline") this.#deadline.set(slot, 0);
    else this.#moved.set(slot, now);
    if (reason !== "deadline" && this.#read.at(slot) !== 0) {
      this.#read.set(slot, now);
    }
    if (reason === "lifetime" && timeouts !== undefined) {
      this.#end.set(slot, later(now, timeouts.lifetimeMs));
    }
    // The next limit that is due was not looked for.
    this.#hasMoved = true;
    connection.expire(reason);
  }

  /** Which timeout has passed, if any. */
  #dueOf(
    slot: number,
    timeouts: TimeoutSet,
    connection: Swept,
  ): TimeoutReason | undefined {
    const { idleMs, readMs, writeMs } = timeouts;
    if (timeouts !== this.#lastTimeouts) {
      // Most connections share the timeouts of their listener.
      this.#lastTimeouts = timeouts;
      this.#shortestMs = Math.min(this.#shortestMs, shortestOf(timeouts));
    }
    const now = this.#now;
    const end = this.#end.at(slot);
    if (end !== 0 && this.#isPast((end - now) | 0)) return "lifetime";
    const { unsentSinceMs } = connection;
    if (unsentSinceMs !== Infinity && writeMs !== Infinity) {
      const unsentMs = this.#roundMs - unsentSinceMs;
      if (this.#isPast(writeMs - unsentMs)) return "write";
    }
    if (readMs !== Infinity) {
      const readAgoMs = (now - this.#read.at(slot)) | 0;
      if (this.#isPast(readMs - readAgoMs)) return "read";
    }
    if (idleMs !== Infinity) {
      const movedAgoMs = (now - this.#moved.at(slot)) | 0;
      if (this.#isPast(idleMs - movedAgoMs)) return "idle";
    }
    return undefined;
  }

  /** Whether a limit `leftMs` away has passed; notes it when it has not. */
  #isPast(leftMs: number): boolean {
    if (leftMs <= 0) return true;
    if (leftMs < this.#earliestMs) this.#earliestMs = leftMs;
    return false;
  }

  /** The time as a word, rounded up: a limit that begins now is never early. */
  #stamp(nowMs: number = this.#host.nowMs): number {
    return (Math.ceil(nowMs - this.#startMs) >>> 0) || 1;
  }
}

/** A time as a word, `ms` after another. */
function later(word: number, ms: number): number {
  return ((word + Math.ceil(ms)) >>> 0) || 1;
}

function shortestOf(timeouts: TimeoutSet): number {
  const { idleMs, readMs, writeMs, lifetimeMs } = timeouts;
  return Math.min(idleMs, readMs, writeMs, lifetimeMs);
}

/** How far passes are apart when the shortest limit is `ms`. */
function passMsOf(ms: number): number {
  return Math.min(PASS_MS_MAX, Math.max(PASS_MS_MIN, ms / PASSES));
}
