/**
 * The world of a simulation: one clock, one source of chance, and a list of
 * future events. The same seed gives the same world; real time plays no part.
 *
 * @module
 */

import type { MemorySource } from "../../src/system/memory.ts";
import { randomNumbers } from "../util/random.ts";
import { Agenda } from "./agenda.ts";
import { type Faults, faultsOf } from "./faults.ts";

/** The first time of the clock: no round number. */
const START_MS = 1_234.5;
/** More calls of the system than a run needs: it would never end. */
const CALLS_MAX = 400_000;

/** The error of a run that fails. */
export class SimulationFailure extends Error {
  /** The name of the class. */
  override name = "SimulationFailure";
}

/** One world, made of a seed. */
export class World {
  /** The time, in milliseconds. */
  nowMs: number = START_MS;
  /** The faults of this world. */
  readonly faults: Faults;
  /** The first reason why the run fails. */
  failure: Error | undefined;
  /** How many calls the system has answered. */
  calls = 0;
  /** Sockets that a fault of the world has broken. */
  readonly broken: Set<MemorySource> = new Set();
  /** Events of the network and the kernel, which happen also during a call. */
  readonly network: Agenda = new Agenda();
  /** Events of Deno's loop: timers, and handlers that wait. */
  readonly deno: Agenda = new Agenda();
  /** Called with each event. */
  readonly trace: ((line: string) => void) | undefined;
  readonly #random: () => number;
  #isMoving = false;

  /** @param trace Called with each event; makes the run slower. */
  constructor(seed: number, trace?: (line: string) => void) {
    this.#random = randomNumbers(seed);
    this.trace = trace;
    this.faults = faultsOf(this, seed);
  }

  /** Returns true with this probability. */
  chance(probability: number): boolean {
    // Also for 0: so all faults make the same number of draws.
    return this.#random() < probability;
  }

  /** Returns a whole number from `least` to `most`. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  /** Returns a size from 1 to `most`: small ones as often as large ones. */
  size(most: number): number {
    return Math.max(1, Math.floor(most ** this.#random()));
  }

  /** As `size`, with `most` more often than by chance. */
  sizeOrMost(most: number): number {
    return this.chance(0.1) ? most : this.size(most);
  }

  /** Returns a time from 0 to `mostMs`, mostly a short one. */
  delayMs(mostMs: number): number {
    return mostMs * this.#random() ** 3;
  }

  /** Returns one of `items`. */
  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }

  /** Puts `items` in any order. */
  shuffle<T>(items: T[]): void {
    for (let left = items.length - 1; left > 0; left--) {
      const other = this.whole(0, left);
      [items[left], items[other]] = [items[other]!, items[left]!];
    }
  }

  /** Adds an event of the network. */
  inNetwork(delayMs: number, action: () => void): void {
    const timeMs = this.nowMs + delayMs;
    const { tickMs } = this.faults;
    const late = tickMs === 0 ? 0 : tickMs - timeMs % tickMs;
    this.network.add(timeMs + late, action);
  }

  /** Adds an event of Deno's loop. */
  inDeno(delayMs: number, action: () => void): void {
    this.deno.add(this.nowMs + delayMs, action);
  }

  /** Resolves later, on Deno's loop. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.inDeno(delayMs, resolve));
  }

  /** Lets time pass; events of the network happen at their times. */
  advanceTo(timeMs: number): void {
    // An event may call the system, which lets time pass as well.
    if (this.#isMoving) return;
    this.#isMoving = true;
    while (this.network.nextMs <= timeMs) {
      this.nowMs = Math.max(this.nowMs, this.network.nextMs);
      this.network.take()!();
    }
    this.nowMs = Math.max(this.nowMs, timeMs);
    this.#isMoving = false;
  }

  /** Counts a call of the system, during which a little time passes. */
  call(): void {
    if (++this.calls > CALLS_MAX) {
      this.fail(`the reactor made more than ${CALLS_MAX} calls`);
    }
    this.advanceTo(this.nowMs + 0.002 + this.delayMs(this.faults.callMs));
  }

  /** Lets the time of a handler pass, in worlds where programs are slow. */
  compute(): void {
    const { handlerMs } = this.faults;
    if (handlerMs > 0) this.advanceTo(this.nowMs + this.delayMs(handlerMs));
  }

  /** Traces an event, when there is a trace. */
  log(name: string, what: string): void {
    this.trace?.(
      `${this.nowMs.toFixed(3).padStart(12)} ms  ${name.padEnd(9)} ${what}`,
    );
  }

  /** Ends the run: a check has failed. */
  fail(message: string): never {
    const failure = new SimulationFailure(message);
    this.failure ??= failure;
    this.log("FAILED", message);
    throw failure;
  }

  /** Ends the run unless a condition holds. */
  expect(isSo: boolean, message: () => string): void {
    if (!isSo) this.fail(message());
  }
}
