/**
 * Sweeps over the connections that have a time limit.
 *
 * With a timer for each connection, each byte would move that timer in the
 * heap. Here a byte sets a bit in the connection's flags. The sweep passes now
 * and then, clears the bit, and notes the time of the pass. So a limit is never
 * early, and late by the time between two passes. A connection costs a few
 * loads in each pass, and four bytes for each kind of limit in use.
 *
 * @module
 */

import type { TimeoutReason } from "../stream/close_reason.ts";
import { TIMEOUT_MS_MAX, type TimeoutSet } from "./connection_options.ts";
import type { Timer } from "./timers.ts";
import { Times } from "./times.ts";

/**
 * Passes within the shortest timeout. A pass notes a byte, and finds a limit,
 * by one pass too late at the most: a quarter of the timeout in all.
 */
const PASSES = 8;
/** Between two passes at least: more passes would cost too much. */
const PASS_MS_MIN = 4;
/** Between two passes at most, while bytes move. */
const PASS_MS_MAX = 500;
/** Between two passes that look for deadlines only. */
const DEADLINE_PASS_MS = 50;
/** Slots that a pass visits in one turn: about a fifth of a millisecond. */
const TURN_SLOTS = 4096;

/** What has moved on a connection since the previous pass. */
export const Moved = {
  /** Bytes were read or sent. */
  ANY: 1,
  /** Bytes were read, or the connection did not read. */
  READ: 2,
} as const;

/** What the sweep needs from a connection. */
export interface Swept {
  /** The time limits. */
  readonly timeouts: TimeoutSet | undefined;
  /**
   * When the number of unsent bytes last fell, on the reactor's clock;
   * `Infinity` when there are none.
   */
  readonly unsentSinceMs: number;
  /** Returns the bits of {@linkcode Moved}, and clears them. */
  takeMoved(): number;
  /** Acts on a limit that has passed. */
  expire(reason: TimeoutReason): void;
}

/** What the sweep needs from its reactor. */
export interface SweepHost {
  /** The turn's time. */
  readonly nowMs: number;
  /** Returns the connection in a slot, if there is one. */
  connectionAt(slot: number): Swept | undefined;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer. */
  clearTimer(timer: Timer): void;
}

/** The sweep of one reactor. */
export class Sweep {
  /** How many connections are watched; a sweep of none costs nothing. */
  size = 0;
  /**
   * Whether no byte moved before the last pass. The next pass is then when a
   * limit is due, unless {@linkcode Sweep.endRest} is called.
   */
  isResting = false;
  readonly #host: SweepHost;
  /** The zero of the times below, which wrap after 49 days. */
  readonly #startMs: number;
  /** When a byte last moved; 0 for a slot that is not watched. */
  readonly #moved = new Times();
  /** When a byte was last read, or reading had stopped: for `readMs`. */
  readonly #read = new Times();
  /** When a lifetime ends. */
  readonly #end = new Times();
  /** When the deadline of `setDeadline` is. */
  readonly #deadline = new Times();
  #timer: Timer | undefined = undefined;
  readonly #onTimer = (): void => this.#round();
  /** The time between two passes. */
  #passMs = PASS_MS_MAX;
  /** The slot at which the pass goes on; 0 before a pass. */
  #next = 0;
  // What the present pass has found so far.
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
   * Watches the connection in `slot`. Its limits count from now on; its
   * deadline stays.
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

  /** Sets the deadline of the connection in `slot`; `Infinity` clears it. */
  setDeadline(slot: number, delayMs: number): void {
    if (delayMs === Infinity) return this.#deadline.set(slot, 0);
    this.#enter(slot);
    this.#deadline.set(slot, later(this.#stamp(), delayMs));
    this.#comeIn(Math.max(delayMs, DEADLINE_PASS_MS));
  }

  /**
   * Returns when a byte of the connection in `slot` last moved, as far as the
   * last pass knows; the present time when the slot is not watched.
   */
  quietSinceMs(slot: number): number {
    const nowMs = this.#host.nowMs;
    const moved = this.#moved.at(slot);
    if (moved === 0) return nowMs;
    // Times may wrap; their difference is right all the same.
    return nowMs - Math.max(0, (this.#stamp(nowMs) - moved) | 0);
  }

  /** Stops watching the connection in `slot`. */
  unwatch(slot: number): void {
    if (this.#moved.at(slot) === 0) return;
    this.#moved.set(slot, 0);
    this.#read.set(slot, 0);
    this.#end.set(slot, 0);
    this.#deadline.set(slot, 0);
    this.size--;
    if (this.size === 0) this.#stop();
  }

  /** Ends the rest: bytes may move from now on. */
  endRest(): void {
    this.isResting = false;
    if (this.#shortestMs !== Infinity) this.#comeIn(this.#passMs);
  }

  /** Starts to watch `slot`. */
  #enter(slot: number): void {
    if (this.#moved.at(slot) !== 0) return;
    this.#moved.set(slot, this.#stamp());
    this.size++;
  }

  /** Makes sure that a pass begins within `ms`. */
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

  /** Visits some slots; the next turn goes on with the others. */
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
    // Moved bytes matter for timeouts, not for deadlines.
    const isMoving = this.#hasMoved && this.#shortestMs !== Infinity;
    this.isResting = !isMoving;
    const passMs = isMoving
      ? this.#passMs
      : Math.max(this.#passMs, this.#earliestMs);
    const deadlineMs = Math.max(DEADLINE_PASS_MS, this.#deadlineMs);
    this.#comeIn(Math.min(passMs, deadlineMs));
  }

  /**
   * Visits one slot: notes what has moved, and finds the limit that is due.
   * This runs for each connection in each pass, so it makes no object.
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

  /** Notifies a connection. If it stays open, its limit begins again. */
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
    // This pass did not look for the next limit of the connection.
    this.#hasMoved = true;
    connection.expire(reason);
  }

  /** Returns the timeout that has passed, if any. */
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

  /** Whether a limit in `leftMs` has passed; if not, notes its time. */
  #isPast(leftMs: number): boolean {
    if (leftMs <= 0) return true;
    if (leftMs < this.#earliestMs) this.#earliestMs = leftMs;
    return false;
  }

  /** The time as a word, rounded up, so that no limit is early. */
  #stamp(nowMs: number = this.#host.nowMs): number {
    return (Math.ceil(nowMs - this.#startMs) >>> 0) || 1;
  }
}

/** Returns the time `ms` after another, as a word. */
function later(word: number, ms: number): number {
  return ((word + Math.ceil(ms)) >>> 0) || 1;
}

function shortestOf(timeouts: TimeoutSet): number {
  const { idleMs, readMs, writeMs, lifetimeMs } = timeouts;
  return Math.min(idleMs, readMs, writeMs, lifetimeMs);
}

/** Returns the time between two passes when the shortest limit is `ms`. */
function passMsOf(ms: number): number {
  return Math.min(PASS_MS_MAX, Math.max(PASS_MS_MIN, ms / PASSES));
}
