/**
 * The world of a simulation: one clock, one source of chance, and what is to
 * happen when. It is the same for the same seed, and knows no real time.
 *
 * @module
 */

import type { MemorySource } from "../../src/system/memory.ts";
import { randomNumbers } from "../util/random.ts";
import { Agenda } from "./agenda.ts";
import { type Faults, faultsOf } from "./faults.ts";

/** Where the clock begins: a time of which nothing is a round number. */
const START_MS = 1_234.5;
/** Calls of the system that no run needs: it would go on for ever. */
const CALLS_MAX = 400_000;

/** Why a run fails. */
export class SimulationFailure extends Error {
  /** What errors of this class print. */
  override name = "SimulationFailure";
}

/** One world, made of a seed. */
export class World {
  /** The time, in milliseconds. */
  nowMs: number = START_MS;
  /** What goes wrong here. */
  readonly faults: Faults;
  /** The first reason why the run fails. */
  failure: Error | undefined;
  /** How many calls the system has answered. */
  calls = 0;
  /** Sockets that something has broken which the reactor is not to blame for. */
  readonly broken: Set<MemorySource> = new Set();
  /** What the network and the kernel do, also during a call. */
  readonly network: Agenda = new Agenda();
  /** What Deno's loop runs: timers, and handlers that wait. */
  readonly deno: Agenda = new Agenda();
  /** Told of each thing that happens. */
  readonly trace: ((line: string) => void) | undefined;
  readonly #random: () => number;
  #isMoving = false;

  /** @param trace Told of each thing that happens; it costs time. */
  constructor(seed: number, trace?: (line: string) => void) {
    this.#random = randomNumbers(seed);
    this.trace = trace;
    this.faults = faultsOf(this, seed);
  }

  /** Returns true as often as `probability` says. */
  chance(probability: number): boolean {
    // Also where it is 0: all faults cost the same number of draws.
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

  /** As `size`, and the most more often than by chance. */
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

  /** Has the network do something later. */
  inNetwork(delayMs: number, action: () => void): void {
    const timeMs = this.nowMs + delayMs;
    const { tickMs } = this.faults;
    const late = tickMs === 0 ? 0 : tickMs - timeMs % tickMs;
    this.network.add(timeMs + late, action);
  }

  /** Has Deno's loop do something later. */
  inDeno(delayMs: number, action: () => void): void {
    this.deno.add(this.nowMs + delayMs, action);
  }

  /** Resolves later, on Deno's loop. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.inDeno(delayMs, resolve));
  }

  /** Lets time pass; what the network does meanwhile happens at its time. */
  advanceTo(timeMs: number): void {
    // What happens may call the system, which lets time pass as well.
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

  /** Writes down what happens, when somebody reads it. */
  log(who: string, what: string): void {
    this.trace?.(
      `${this.nowMs.toFixed(3).padStart(12)} ms  ${who.padEnd(9)} ${what}`,
    );
  }

  /** Ends the run: what must never happen has. */
  fail(message: string): never {
    const failure = new SimulationFailure(message);
    this.failure ??= failure;
    this.log("FAILED", message);
    throw failure;
  }

  /** Ends the run unless something is so. */
  expect(isSo: boolean, message: () => string): void {
    if (!isSo) this.fail(message());
  }
}
