/**
 * Rounds over the connections that have a limit of time.
 *
 * A timer for each connection would be moved in the heap with each byte. Here a
 * byte costs a bit in the connection's flags; the sweep comes by now and then,
 * takes the bit, and dates it with its own time: never early, late by what lies
 * between two passes. A connection costs a few loads a pass, wherever its
 * deadlines are, and sixteen bytes.
 *
 * @module
 */

import type { TimeoutReason } from "./close_reason.ts";
import { TIMEOUT_MS_MAX, type TimeoutSet } from "./limits.ts";
import type { Timer } from "./timers.ts";

/**
 * Passes in the time of the shortest timeout: what moved is dated one pass late
 * at the most, and what is due is seen one pass late, a quarter in all.
 */
const PASSES = 8;
/** Between two passes at least: more would cost more than it tells. */
const PASS_MS_MIN = 4;
/** Between two passes at most, while something moves. */
const PASS_MS_MAX = 500;
/** Between two passes for deadlines alone, which need no dating. */
const DEADLINE_PASS_MS = 50;
/** Slots that are looked at in one turn: about a fifth of a millisecond. */
const TURN_SLOTS = 4096;

/** The words of a slot; each is a time, and 0 when there is none. */
const WORDS = 4;
/** When a byte moved last. */
const MOVED = 0;
/** When a byte came last, or none could have been read. */
const READ = 1;
/** When its lifetime ends. */
const END = 2;
/** Its own deadline. */
const DEADLINE = 3;

/** Room for this many more slots whenever there are too few. */
const SLOTS_MIN = 256;

/** What has moved on a connection since it was asked last. */
export const Moved = {
  /** Bytes came or went. */
  ANY: 1,
  /** Bytes came, or none would have been read. */
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
  /** How many connections it watches; without any it costs nothing. */
  size = 0;
  /**
   * Whether nothing moved in the last pass: the next comes when something is
   * due, unless {@linkcode Sweep.stir} is called.
   */
  isResting = false;
  readonly #host: SweepHost;
  /** Where the words' clock begins: they hold 49 days, and may wrap. */
  readonly #startMs: number;
  #words: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #timer: Timer | undefined = undefined;
  readonly #onTimer = (): void => this.#round();
  /** Between two passes. */
  #passMs = PASS_MS_MAX;
  /** Where the pass goes on; 0 when it begins. */
  #next = 0;
  // What the pass under way has found.
  #hasMoved = false;
  #earliestMs = TIMEOUT_MS_MAX;
  #deadlineMs = TIMEOUT_MS_MAX;
  #shortestMs = Infinity;

  /** Made by the reactor's host. */
  constructor(host: SweepHost) {
    this.#host = host;
    this.#startMs = host.nowMs;
  }

  /**
   * Watches the connection in `slot`. Its times begin now; a deadline that it
   * has stays.
   */
  watch(slot: number, timeouts: TimeoutSet | undefined): void {
    const at = this.#enter(slot);
    const words = this.#words;
    const now = this.#stamp();
    words[at + MOVED] = words[at + READ] = now;
    const lifetimeMs = timeouts === undefined ? Infinity : timeouts.lifetimeMs;
    words[at + END] = lifetimeMs === Infinity ? 0 : later(now, lifetimeMs);
    if (timeouts === undefined) return this.#comeIn(PASS_MS_MAX);
    this.#passMs = Math.min(this.#passMs, passMsOf(shortestOf(timeouts)));
    this.isResting = false;
    this.#comeIn(this.#passMs);
  }

  /** Sets, or with infinity clears, the deadline of the connection in `slot`. */
  setDeadline(slot: number, delayMs: number): void {
    if (delayMs === Infinity) {
      const at = WORDS * slot;
      if (at < this.#words.length) this.#words[at + DEADLINE] = 0;
      return;
    }
    const at = this.#enter(slot);
    this.#words[at + DEADLINE] = later(this.#stamp(), delayMs);
    this.#comeIn(Math.max(delayMs, DEADLINE_PASS_MS));
  }

  /**
   * Since when nothing has moved on the connection in `slot`, as of the last
   * pass; now when it is not watched.
   */
  quietSinceMs(slot: number): number {
    const nowMs = this.#host.nowMs;
    const moved = this.#words[WORDS * slot + MOVED];
    if (!moved) return nowMs;
    // The words may wrap: what lies between two of them does not.
    return nowMs - Math.max(0, (this.#stamp(nowMs) - moved) | 0);
  }

  /** Forgets the connection in `slot`, if it is watched. */
  unwatch(slot: number): void {
    const at = WORDS * slot;
    // Beyond the end there is `undefined`, which is no time either.
    if (!this.#words[at + MOVED]) return;
    this.#words.fill(0, at, at + WORDS);
    this.size--;
    if (this.size === 0) this.#stop();
  }

  /** Comes by soon again: something may move. For when it rests. */
  stir(): void {
    this.isResting = false;
    if (this.#shortestMs !== Infinity) this.#comeIn(this.#passMs);
  }

  /** Returns where the words of `slot` are, which is watched from now on. */
  #enter(slot: number): number {
    const at = WORDS * slot;
    if (at >= this.#words.length) {
      // By a quarter: memory counts more than the few copies.
      const slots = slot + (slot >> 2) + SLOTS_MIN;
      const words = new Uint32Array(WORDS * slots);
      words.set(this.#words);
      this.#words = words;
    }
    if (this.#words[at + MOVED] === 0) {
      this.#words[at + MOVED] = this.#words[at + READ] = this.#stamp();
      this.size++;
    }
    return at;
  }

  /** Comes by in `ms` at the latest. */
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

  /** Looks at some; the next turn goes on where this stops. */
  #round(): void {
    this.#timer = undefined;
    if (this.#next === 0) {
      this.#hasMoved = false;
      this.#earliestMs = this.#deadlineMs = TIMEOUT_MS_MAX;
      this.#shortestMs = Infinity;
    }
    const slots = this.#words.length / WORDS;
    const end = Math.min(slots, this.#next + TURN_SLOTS);
    const nowMs = this.#host.nowMs;
    for (let slot = this.#next; slot < end && this.size > 0; slot++) {
      if (this.#words[WORDS * slot + MOVED] !== 0) this.#visit(slot, nowMs);
    }
    if (this.size === 0) return this.#stop();
    this.#next = end < slots ? end : 0;
    if (this.#next !== 0) return this.#comeIn(0);
    this.#passMs = passMsOf(this.#shortestMs);
    // What moves matters to timeouts alone, not to deadlines.
    const isMoving = this.#hasMoved && this.#shortestMs !== Infinity;
    this.isResting = !isMoving;
    const passMs = isMoving
      ? this.#passMs
      : Math.max(this.#passMs, this.#earliestMs);
    const deadlineMs = Math.max(DEADLINE_PASS_MS, this.#deadlineMs);
    this.#comeIn(Math.min(passMs, deadlineMs));
  }

  /** Looks at one: what has moved, and what is due. */
  #visit(slot: number, nowMs: number): void {
    const connection = this.#host.connectionAt(slot);
    const words = this.#words;
    const at = WORDS * slot;
    if (connection === undefined) return this.unwatch(slot);
    const stamp = this.#stamp(nowMs);
    const moved = connection.takeMoved();
    if (moved & Moved.ANY) {
      words[at + MOVED] = stamp;
      this.#hasMoved = true;
    }
    if (moved & Moved.READ) words[at + READ] = stamp;
    const { timeouts } = connection;
    const deadline = words[at + DEADLINE]!;
    if (timeouts === undefined && deadline === 0) return this.unwatch(slot);
    const now = Math.floor(nowMs - this.#startMs);
    const unsentMs = nowMs - connection.unsentSinceMs;
    let reason = timeouts && this.#dueOf(at, timeouts, { now, unsentMs });
    const leftMs = (deadline - now) | 0;
    if (deadline !== 0 && leftMs <= 0) reason = "deadline";
    else if (deadline !== 0 && leftMs < this.#deadlineMs) {
      this.#deadlineMs = leftMs;
    }
    if (reason !== undefined) this.#expire(slot, connection, reason);
  }

  /** Tells a connection; should it stay open, it has the same time again. */
  #expire(slot: number, connection: Swept, reason: TimeoutReason): void {
    const words = this.#words;
    const at = WORDS * slot;
    const now = this.#stamp();
    const { timeouts } = connection;
    if (reason === "deadline") words[at + DEADLINE] = 0;
    else words[at + MOVED] = words[at + READ] = now;
    if (reason === "lifetime" && timeouts !== undefined) {
      words[at + END] = later(now, timeouts.lifetimeMs);
    }
    // What is due next was not looked for.
    this.#hasMoved = true;
    connection.expire(reason);
  }

  /** Which timeout has passed, if any. */
  #dueOf(
    at: number,
    timeouts: TimeoutSet,
    { now, unsentMs }: { now: number; unsentMs: number },
  ): TimeoutReason | undefined {
    const words = this.#words;
    const { idleMs, readMs, writeMs } = timeouts;
    this.#shortestMs = Math.min(this.#shortestMs, shortestOf(timeouts));
    const end = words[at + END]!;
    if (end !== 0 && this.#isPast((end - now) | 0)) return "lifetime";
    if (this.#isPast(writeMs - unsentMs)) return "write";
    if (this.#isPast(readMs - ((now - words[at + READ]!) | 0))) return "read";
    if (this.#isPast(idleMs - ((now - words[at + MOVED]!) | 0))) return "idle";
    return undefined;
  }

  /** Whether what is due in `leftMs` is due; else notes when it will be. */
  #isPast(leftMs: number): boolean {
    if (leftMs <= 0) return true;
    if (leftMs < this.#earliestMs) this.#earliestMs = leftMs;
    return false;
  }

  /** The time as a word: rounded up, or what begins now would end early. */
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
