/**
 * One run of a scenario: a world, a reactor in it, and the driver that decides
 * what runs next.
 *
 * @module
 */

import { Reactor } from "../../src/reactor/reactor.ts";
import { echo } from "../../src/server/echo.ts";
import { serve } from "../../src/server/serve.ts";
import { webSocket } from "../../src/websocket/route.ts";
import { Audit } from "./audit.ts";
import { SimulatedSystem } from "./system.ts";
import { World } from "./world.ts";

/** More rounds of Deno's loop than a run needs. */
const ROUNDS_MAX = 50_000;
/**
 * How long a run waits for the reactor's own timers when nothing else is left:
 * longer than any timer that runs once.
 */
const PATIENCE_MS = 10_000;
/** The longest round of Deno's loop. */
const ROUND_MS = 0.1;
/**
 * The same when nothing is left: false events could keep the reactor from
 * parking without end.
 */
const EMPTY_ROUND_MS = 5;

/** The library that a scenario runs: denio, or a changed copy. */
export interface Library {
  readonly Reactor: typeof Reactor;
  readonly echo: typeof echo;
  readonly serve: typeof serve;
  readonly webSocket: typeof webSocket;
}

/** This project's library. */
export const LIBRARY: Library = { Reactor, echo, serve, webSocket };

/** One run. */
export class Simulation {
  readonly world: World;
  readonly system: SimulatedSystem;
  readonly library: Library;
  readonly reactor: Reactor;
  readonly audit: Audit;
  #rounds = 0;
  /** When the last event happened that was no timer of the reactor. */
  #movedMs = 0;

  constructor(
    seed: number,
    options: { library?: Library; trace?: (line: string) => void } = {},
  ) {
    this.world = new World(seed, options.trace);
    this.system = new SimulatedSystem(this.world);
    this.library = options.library ?? LIBRARY;
    this.audit = new Audit(
      this.world,
      (handle) => this.system.arrivedAt(handle),
    );
    this.reactor = new this.library.Reactor({
      system: this.system,
      onError: (error) => this.audit.reported(error),
    });
    this.audit.watch(this.reactor);
  }

  /**
   * Runs until nothing is left to happen.
   *
   * @throws {SimulationFailure} when a check of the run fails.
   */
  async settle(): Promise<void> {
    const { world } = this;
    this.#movedMs = world.nowMs;
    // What the last round has deferred runs in one more.
    for (let idle = 0; idle < 2;) {
      await roundOfDeno();
      if (++this.#rounds > ROUNDS_MAX) world.fail("it does not come to rest");
      if (world.failure !== undefined) throw world.failure;
      this.audit.check();
      idle = this.#step() ? 0 : idle + 1;
    }
  }

  /** Closes the reactor and checks that nothing is left of it. */
  async finish(): Promise<void> {
    const { reactor, world, system } = this;
    this.audit.finish();
    world.expect(reactor.size === 0, () => `${reactor.size} sources are left`);
    const { memoryBytes } = reactor.stats();
    world.expect(memoryBytes === 0, () => `${memoryBytes} bytes are counted`);
    // No source and no timer is left: the loop has nothing to wait for.
    world.expect(
      system.poll!.wait === undefined,
      () => "the reactor waits, and nothing is open",
    );
    reactor.close();
    await this.settle();
    world.expect(system.poll!.isClosed, () => "the poll is left open");
    world.expect(system.poll!.size === 0, () => "something is registered");
    world.expect(
      system.sources.size === 0,
      () => `${system.sources.size} sockets are left open`,
    );
  }

  /** Runs the next event; returns false when there is none. */
  #step(): boolean {
    const { world, system } = this;
    const wait = system.poll?.wait;
    const { deno } = world;
    const hasDeferred = system.deferred.length > 0;
    // Both are immediates of Deno: either may come first.
    if (hasDeferred && (!wait?.isRound || world.chance(0.5))) {
      system.deferred.shift()!();
    } else if (deno.nextMs <= world.nowMs) {
      deno.take()!();
    } else if (wait?.isRound) {
      const isEmpty = Math.min(world.network.nextMs, deno.nextMs) === Infinity;
      if (!isEmpty) this.#movedMs = world.nowMs;
      if (world.nowMs > this.#movedMs + PATIENCE_MS) return false;
      const busyMs = Math.max(ROUND_MS, world.faults.tickMs);
      const mostMs = isEmpty ? EMPTY_ROUND_MS : busyMs;
      world.advanceTo(world.nowMs + world.delayMs(mostMs));
      wait.end();
    } else if (wait !== undefined && this.#isOver()) {
      wait.end();
    } else {
      const deadlineMs = wait?.deadlineMs ?? Infinity;
      const { network } = world;
      const nextMs = Math.min(network.nextMs, deno.nextMs, deadlineMs);
      if (nextMs < deadlineMs) this.#movedMs = nextMs;
      if (nextMs > this.#movedMs + PATIENCE_MS) return false;
      world.advanceTo(nextMs);
    }
    return true;
  }

  #isOver(): boolean {
    const poll = this.system.poll!;
    if (poll.isReady || poll.wait!.deadlineMs <= this.world.nowMs) return true;
    // Not without end, or the run would never rest.
    return this.world.network.nextMs < Infinity &&
      this.world.chance(this.world.faults.earlyWake / 4);
  }
}

/** Resolves when no microtask is left. */
function roundOfDeno(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
