/**
 * The loop of one reactor: when it polls, yields to Deno's loop and parks.
 *
 * The loop runs while the reactor has work. It never decides what a source
 * does.
 *
 * @module
 */

import { Events } from "../poll/events.ts";
import type { ReactorPoll, System } from "../system/system.ts";
import { Dispatch } from "./dispatch.ts";
import type { Host } from "./host.ts";

/** The longest synchronous wait where events are rare. */
const WAIT_MS = 1;
/**
 * The longest synchronous wait while each turn brings events: longer than the
 * kernel's tick (4 ms where HZ is 250). For a shorter wait the kernel sets its
 * timer device before and after it, which costs five of a turn's 30
 * microseconds in a virtual machine. The wait is seldom long: in a busy reactor
 * the next event follows in microseconds.
 */
const BUSY_WAIT_MS = 5;
/** Turns with events in a row after which a reactor is busy. */
const BUSY_TURNS = 8;
/**
 * How long Deno's loop may wait for a round under load, so a Deno timer may be
 * late by this. A round costs about 40 microseconds, mostly for code that has
 * left the caches: with a round every four milliseconds, rounds took a sixth of
 * a server's user time.
 */
const YIELD_MS = 8;
/**
 * The longest wait of an exclusive reactor, so all other work of the thread may
 * be late by this: messages, signals, `terminate()` and timers of Deno. A round
 * of an idle thread costs about 250 microseconds: four a second are 0.15% of a
 * core.
 */
const EXCLUSIVE_WAIT_MS = 250;
/**
 * How long an idle exclusive reactor then leaves the thread to Deno's loop. A
 * single round of that loop does not run a timer that became due while the
 * thread was blocked.
 */
const REST_MS = 2;
/**
 * Turns without an event before a park, while a handler waits for Deno's loop.
 * Each costs about two microseconds; a park costs twenty.
 */
const IDLE_TURNS = 16;
/**
 * After a park of this length events are rare: the reactor parks again at once,
 * without waiting for the next event on this thread.
 */
const RARE_MS = 4;
/**
 * Rounds of microtasks for fast handlers, so that their answers leave in this
 * turn, before a round of Deno's loop.
 */
const MICROTASK_ROUNDS = 4;
/**
 * Rounds of microtasks for the fibers that this turn has resumed, at the most:
 * a fiber that waits again needs no more. Each `await` in a fiber takes one to
 * three.
 */
const FIBER_ROUNDS = 32;

/** Options of a loop. */
export interface LoopOptions {
  /** The poll that the loop waits for. */
  readonly poll: ReactorPoll;
  /** The system of the poll. */
  readonly system: System;
  /** The sources, timers and buffers that a turn acts on. */
  readonly host: Host;
  /** Whether the loop may block its thread. */
  readonly isExclusive: boolean;
  /** Called when the loop has thrown, and has ended. */
  readonly failed: (error: unknown) => void;
}

/** The loop of one reactor. */
export class Loop {
  /** Whether the reactor is closed: the loop then ends and closes the poll. */
  isClosed = false;
  readonly #poll: ReactorPoll;
  readonly #host: Host;
  readonly #failed: (error: unknown) => void;
  readonly #events = new Events();
  readonly #dispatch: Dispatch;
  /** The longest wait while no handler waits for Deno's loop. */
  #waitMs: number;
  /** Resolves when no listener and no connection is open: for `emptied()`. */
  #emptied: PromiseWithResolvers<void> | undefined = undefined;
  /** The promise of `settled()`. */
  #settling: PromiseWithResolvers<void> | undefined = undefined;
  #isRunning = false;
  #isParked = false;
  /** How many events the turn had that ran when a park ended. */
  #parkTurn: number | undefined = undefined;
  /** How many fibers ran before that turn. */
  #parkFibers = 0;
  /** The error that this turn threw. */
  #parkError: { error: unknown } | undefined = undefined;

  constructor(options: LoopOptions) {
    const { poll, system, host, isExclusive, failed } = options;
    this.#poll = poll;
    this.#host = host;
    this.#failed = failed;
    this.#waitMs = isExclusive ? EXCLUSIVE_WAIT_MS : WAIT_MS;
    this.#dispatch = new Dispatch(host, system, this.#events.capacity);
  }

  /** See {@linkcode Reactor.shareThread}. */
  shareThread(): void {
    this.#waitMs = WAIT_MS;
  }

  /** Starts the loop, or ends its park. */
  start(): void {
    if (this.#host.isRefed) this.#poll.ref();
    if (this.#isParked) return this.#wake();
    if (this.#isRunning || this.isClosed) return;
    this.#isRunning = true;
    this.#run();
  }

  /** Ends the loop of a closed reactor; closes the poll if it has ended. */
  end(): void {
    this.#empty();
    if (this.#isRunning) this.#wake();
    else this.#poll.close();
  }

  /** Resolves when no listener and no connection is open. */
  async emptied(): Promise<void> {
    this.#emptied ??= Promise.withResolvers();
    if (this.#host.size > 0) await this.#emptied.promise;
  }

  /** See {@linkcode Reactor.settled}. */
  settled(): Promise<void> {
    if (!this.#isRunning) return this.#ended();
    this.#settling ??= Promise.withResolvers();
    this.#poll.ref();
    this.#wake();
    return this.#settling.promise;
  }

  #wake(): void {
    if (!this.#isParked) return;
    // First: when this throws, the loop is still parked.
    this.#poll.wake();
    this.#isParked = false;
  }

  #empty(): void {
    this.#emptied?.resolve();
  }

  async #ended(): Promise<void> {
    await this.#poll.ended?.();
  }

  #settle(): void {
    const settling = this.#settling;
    this.#settling = undefined;
    settling?.resolve();
  }

  /** Whether waits keep the process alive. */
  get #isRefed(): boolean {
    return this.#host.isRefed || this.#settling !== undefined;
  }

  async #run(): Promise<void> {
    try {
      const host = this.#host;
      let yieldedMs = -Infinity;
      let idleTurns = 0;
      let busyTurns = 0;
      let isRare = false;
      await this.#poll.yieldToDeno(host.nowMs, this.#isRefed);
      host.isAway = false;
      while (!this.isClosed && host.hasWork) {
        // Fibers that ran before the turn wait for Deno: rounds do not help
        // them.
        const away = this.#parkTurn === undefined
          ? host.running
          : this.#parkFibers;
        const isBusy = host.work > 0 || away > 0 || this.hasLeft;
        const waitMs = busyTurns < BUSY_TURNS
          ? this.#waitMs
          : Math.max(BUSY_WAIT_MS, this.#waitMs);
        const count = this.#parkTurn ?? this.#turn(isBusy ? 0 : waitMs);
        this.#parkTurn = undefined;
        busyTurns = count > 0 ? busyTurns + 1 : 0;
        // Inline: an async function would take three rounds instead of one.
        await undefined;
        for (let round = 1; round < FIBER_ROUNDS; round++) {
          const areHandlers = host.work > 0 && round < MICROTASK_ROUNDS;
          if (!areHandlers && host.running <= away) break;
          await undefined;
        }
        host.output.flush();
        const isPending = host.work > 0 || host.running > 0;
        if (isPending || host.nowMs - yieldedMs >= YIELD_MS) {
          yieldedMs = host.nowMs;
          host.isAway = true;
          await this.#poll.yieldToDeno(yieldedMs, this.#isRefed);
          host.isAway = false;
          host.output.flush();
        }
        // Also for a call between turns, which a park would keep waiting.
        if (this.#settling !== undefined && host.hasWork) this.#settle();
        idleTurns = count > 0 || this.hasLeft ? 0 : idleTurns + 1;
        // After a long park the next event is probably as far away.
        const parksAtOnce = isRare && !isBusy && !isPending && !this.hasLeft;
        isRare = false;
        if (parksAtOnce || idleTurns > (isBusy ? IDLE_TURNS : 0)) {
          idleTurns = 0;
          // Without an async function, whose rounds would delay an answer.
          const parkedMs = host.nowMs;
          await this.#park();
          this.#isParked = false;
          if (this.#parkError !== undefined) throw this.#parkError.error;
          // Deno's loop had its round meanwhile.
          yieldedMs = host.nowMs;
          isRare = yieldedMs - parkedMs >= RARE_MS;
        }
      }
      host.isAway = true;
      this.#isRunning = false;
      this.#parkTurn = undefined;
      this.#poll.rest();
      if (this.isClosed) this.#poll.close();
      if (this.#settling !== undefined) await this.#ended();
      this.#settle();
    } catch (error) {
      this.#isRunning = this.#isParked = false;
      this.#host.isAway = true;
      this.#failed(error);
      this.#settle();
    }
  }

  /** Whether the last turn has left work to the next one. */
  get hasLeft(): boolean {
    return this.#host.hasQueued || this.#dispatch.left > 0;
  }

  /** The longest park: an exclusive reactor soon blocks its thread again. */
  get #parkMs(): number | undefined {
    const { work, running } = this.#host;
    const timeoutMs = this.#host.timeoutMs();
    const isIdle = work === 0 && running === 0;
    const blocksNext = this.#waitMs > WAIT_MS && isIdle;
    return blocksNext ? Math.min(REST_MS, timeoutMs ?? REST_MS) : timeoutMs;
  }

  #park(): Promise<unknown> | undefined {
    const host = this.#host;
    if (this.isClosed || !host.hasWork) return undefined;
    this.#isParked = true;
    host.beginPark();
    return this.#poll.park(this.#parkMs, this.#isRefed, this.#turnAtOnce);
  }

  /**
   * Runs a turn in the callback in which Deno's loop ends a park: so answers
   * leave before Deno's loop goes on. `#run` throws the turn's error later.
   */
  readonly #turnAtOnce = (): void => {
    if (!this.#isParked || this.isClosed) return;
    this.#isParked = false;
    this.#parkFibers = this.#host.running;
    try {
      this.#parkTurn = this.#turn(0);
    } catch (error) {
      this.#parkError = { error };
    }
  };

  /** Runs one turn; returns the number of events. */
  #turn(waitMs: number): number {
    const host = this.#host;
    const events = this.#events;
    const { left } = this.#dispatch;
    if (left > 0) {
      host.beginTurn(this.#poll.nowMs(), 0, 0);
      this.#dispatch.goOn(events);
      this.#endTurn();
      return left;
    }
    const timeoutMs = waitMs === 0 ? 0 : host.waitMs(waitMs);
    const count = this.#poll.poll(events, timeoutMs);
    host.beginTurn(events.nowMs, timeoutMs, count);
    this.#dispatch.act(events, count);
    this.#endTurn();
    return count;
  }

  #endTurn(): void {
    this.#host.endTurn();
    if (this.#host.size === 0) this.#empty();
  }
}
