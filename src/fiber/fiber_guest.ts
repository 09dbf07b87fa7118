/**
 * The fibers' side of a reactor: connections and timers for fibers, the count
 * of fibers that run, and all work that ends when the reactor closes.
 *
 * @module
 */

import type { HostPort, StreamAddress, UnixPath } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import type { ConnectionHandlers } from "../reactor/connection.ts";
import type { Guest, GuestLoop, ReactorClosed } from "../reactor/guest.ts";
import type { ConnectionOptions } from "../reactor/connection_options.ts";
import type { AnyListener } from "../reactor/listener.ts";
import type { Reactor } from "../reactor/reactor.ts";
import type { Scheduler, Timer } from "../reactor/timers.ts";
import { EngineFiberConnection, FIBER_HANDLERS } from "./connection/engine.ts";
import type { FiberConnectionRecord, Opening } from "./connection/record.ts";
import type { AnyFiberConnection } from "./fiber_connection.ts";
import { FiberListener } from "./fiber_listener.ts";
import type { Owner, Running } from "./owned.ts";

/**
 * Rounds of microtasks in which cancelled fibers can end, before the guest
 * settles their promises. Each `await` of a fiber takes one to three.
 */
const ABANDON_ROUNDS = 32;

/** The guest that fibers are on a reactor. */
export class FiberGuest implements Guest, Scheduler {
  /** Where running fibers are counted. */
  readonly loop: GuestLoop;
  /** Fibers without a parent, servers, and connects that no fiber owns. */
  readonly running: Set<Running> = new Set();
  readonly #reactor: Reactor;

  /** @param reactor The reactor that the fibers run on. */
  constructor(reactor: Reactor) {
    this.#reactor = reactor;
    this.loop = reactor.attach(this);
  }

  /**
   * Cancels all that runs: the reactor closes. Settles the promises of fibers
   * that ignore the cancel and go on.
   */
  async close(reason: ReactorClosed): Promise<void> {
    this.#each((running) => running.cancel(reason));
    for (let round = 0; round < ABANDON_ROUNDS; round++) await undefined;
    this.#each((running) => running.abandon?.());
  }

  /** Calls `end` for all that runs, and reports what `end` throws. */
  #each(end: (running: Running) => void): void {
    for (const running of this.running) {
      try {
        end(running);
      } catch (error) {
        this.report(error);
      }
    }
  }

  /** Begins to connect, and calls `opening` when the attempt has ended. */
  dial(
    options: (HostPort | UnixPath) & ConnectionOptions,
    opening: Opening,
  ): AnyFiberConnection {
    const dialled = this.#reactor.connect(options, FIBER_HANDLERS);
    return new EngineFiberConnection(this, dialled, opening);
  }

  /** Listens, for programs that call `accept`. */
  listen(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
    owner: Owner | undefined,
  ): FiberListener<StreamAddress> {
    const listener = this.listenWith(options, (accepted) => {
      accepted.moveTo(accepting.owner);
      accepting.onAccept(accepted);
    });
    const accepting = new FiberListener<StreamAddress>(listener);
    accepting.moveTo(owner);
    return accepting;
  }

  /** Listens, and calls `accept` with each connection that comes. */
  listenWith(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
    accept: (connection: AnyFiberConnection) => void,
  ): AnyListener {
    const handlers: ConnectionHandlers<FiberConnectionRecord> = {
      ...FIBER_HANDLERS,
      open: (accepted) => {
        accept(new EngineFiberConnection(this, accepted));
      },
    };
    return this.#reactor.listen(options, handlers);
  }

  /** Whether the reactor is closed; then no timer runs any more. */
  get isClosed(): boolean {
    return this.#reactor.isClosed;
  }

  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#reactor.setTimer(delayMs, callback);
  }

  /** Removes a timer that has not run. */
  clearTimer(timer: Timer): void {
    this.#reactor.clearTimer(timer);
  }

  /** Resolves when nothing of the reactor's is pending in Deno. */
  settled(): Promise<void> {
    return this.#reactor.settled();
  }

  /** Reports to the reactor's `onError` an error that no promise has. */
  report(error: unknown): void {
    this.#reactor.report(error);
  }
}
