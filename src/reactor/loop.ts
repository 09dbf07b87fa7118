/**
 * The loop of one reactor: when it polls, yields to Deno's loop and parks.
 *
 * It runs while the reactor has work, and never decides what a source does.
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
 * kernel's tick (4 ms where HZ is 250). A shorter wait has the kernel set its
 * timer device before each wait and back after it, which costs five of a
 * turn's 30 microseconds in a virtual machine. The wait seldom lasts: the next
 * event of a busy turn follows in microseconds.
 */
const BUSY_WAIT_MS = 5;
/** Turns with events, one behind the other, after which a reactor is busy. */
const BUSY_TURNS = 8;
/**
 * How long Deno's loop may go without a round under load: what a Deno timer may
 * be late by. A round costs about 40 microseconds, mostly for code that has
 * left the caches: every four milliseconds it was a sixth of a server's user
 * time.
 */
const YIELD_MS = 8;
/**
 * The longest wait of a reactor that has its thread to itself: what the thread
 * may be late by for all that is not the reactor's, such as messages, signals,
 * `terminate()` and timers of Deno's. A round from idleness costs some 250
 * microseconds: four a second are 0.15% of a core.
 */
const EXCLUSIVE_WAIT_MS = 250;
/**
 * How long an idle exclusive reactor then leaves the thread to Deno's loop, if
 * nothing comes: a single round of that loop runs no timer that fell due while
 * the thread was blocked.
 */
const REST_MS = 2;
/**
 * Turns without an event before parking while Deno's loop has work to finish
 * for a handler. Each costs about two microseconds; parking costs twenty.
 */
const IDLE_TURNS = 16;
/**
 * A park that lasted so long was for an event that comes rarely: there is no
 * use in waiting for the next one on this thread.
 */
const RARE_MS = 4;
/**
 * Rounds of microtasks that fast handlers get, so that their answers leave in
 * this turn, before Deno's loop is asked.
 */
const MICROTASK_ROUNDS = 4;
/**
 * Rounds of microtasks that fibers get which this turn resumed: until they wait
 * again, unless that takes longer. Each `await` of a fiber's takes one to
 * three.
 */
const FIBER_ROUNDS = 32;

/** What a loop is made of. */
export interface LoopOptions {
  /** What it waits for. */
  readonly poll: ReactorPoll;
  /** What the poll is of. */
  readonly system: System;
  /** What a turn acts on. */
  readonly host: Host;
  /** Whether the loop may block its thread. */
  readonly isExclusive: boolean;
  /** Called when the loop has thrown, and runs no more. */
  readonly failed: (error: unknown) => void;
}

/** The loop of one reactor. */
export class Loop {
  /** Whether the reactor is closed: the loop then ends, and closes the poll. */
  isClosed = false;
  readonly #poll: ReactorPoll;
  readonly #host: Host;
  readonly #failed: (error: unknown) => void;
  readonly #events = new Events();
  readonly #dispatch: Dispatch;
  /** The longest wait while Deno's loop has nothing to do for a handler. */
  readonly #waitMs: number;
  /** Resolves when the last listener or connection has closed. */
  #emptied: PromiseWithResolvers<void> | undefined = undefined;
  /** What `settled()` has promised. */
  #settling: PromiseWithResolvers<void> | undefined = undefined;
  #isRunning = false;
  #isParked = false;
  /** The events of a turn that ran when a park ended. */
  #parkTurn: number | undefined = undefined;
  /** The fibers that ran before that turn. */
  #parkFibers = 0;
  /** What that turn threw. */
  #parkError: { error: unknown } | undefined = undefined;

  constructor(options: LoopOptions) {
    const { poll, system, host, isExclusive, failed } = options;
    this.#poll = poll;
    this.#host = host;
    this.#failed = failed;
    this.#waitMs = isExclusive ? EXCLUSIVE_WAIT_MS : WAIT_MS;
    this.#dispatch = new Dispatch(host, system, this.#events.capacity);
  }

  /** Has the loop run, or ends its waiting. */
  start(): void {
    if (this.#host.isRefed) this.#poll.ref();
    if (this.#isParked) return this.#wake();
    if (this.#isRunning || this.isClosed) return;
    this.#isRunning = true;
    this.#run();
  }

  /** Has the loop of a closed reactor end, or closes the poll if it has. */
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
    // First: a park that cannot be ended has not been.
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
        // Those that run already wait for Deno: they have had their rounds.
        const away = this.#parkTurn === undefined
          ? host.running
          : this.#parkFibers;
        const isBusy = host.work > 0 || away > 0 || host.hasQueued;
        const waitMs = busyTurns < BUSY_TURNS
          ? this.#waitMs
          : Math.max(BUSY_WAIT_MS, this.#waitMs);
        const count = this.#parkTurn ?? this.#turn(isBusy ? 0 : waitMs);
        this.#parkTurn = undefined;
        busyTurns = count > 0 ? busyTurns + 1 : 0;
        // Inline, since an async function would cost three rounds for one.
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
        // Also what began outside of the turn: parking would keep it waiting.
        if (this.#settling !== undefined && host.hasWork) this.#settle();
        idleTurns = count > 0 || host.hasQueued ? 0 : idleTurns + 1;
        // After a long park the next event is likely to be as far away.
        const parksAtOnce = isRare && !isBusy && !isPending && !host.hasQueued;
        isRare = false;
        if (parksAtOnce || idleTurns > (isBusy ? IDLE_TURNS : 0)) {
          idleTurns = 0;
          // No async function around it, which would cost rounds of its own
          // while somebody waits for an answer.
          const parkedMs = host.nowMs;
          await this.#park();
          this.#isParked = false;
          if (this.#parkError !== undefined) throw this.#parkError.error;
          // Deno's loop has had its round meanwhile.
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

  /**
   * How long to park at the most: until something comes, or has been blocked.
   */
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
   * Runs a turn where Deno's loop has read that the park is over: an answer
   * leaves before that loop goes on. What the turn throws is the loop's to
   * catch.
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

  /** One turn; returns how many events there were. */
  #turn(waitMs: number): number {
    const host = this.#host;
    const events = this.#events;
    const timeoutMs = waitMs === 0 ? 0 : host.waitMs(waitMs);
    const count = this.#poll.poll(events, timeoutMs);
    host.beginTurn(events.nowMs, timeoutMs, count);
    this.#dispatch.act(events, count);
    host.endTurn();
    if (host.size === 0) this.#empty();
    return count;
  }
}
