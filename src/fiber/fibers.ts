/**
 * The fibers' face of a reactor: what its thin methods call.
 *
 * @module
 */

import type { HostPort, StreamAddress, UnixPath } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import { allowSignal, requireFunction } from "../base/checks.ts";
import {
  connect,
  type ConnectHost,
  type ConnectOptions,
  connectPath,
  type UnixConnectOptions,
} from "./connect.ts";
import type { Connection, ConnectionHandlers } from "../reactor/connection.ts";
import {
  Fiber,
  type FiberBody,
  type FiberHost,
  type FiberOptions,
} from "./fiber.ts";
import {
  type AnyFiberConnection,
  FIBER_HANDLERS,
  FiberConnection,
} from "./fiber_connection.ts";
import { FiberListener } from "./fiber_listener.ts";
import type { FiberServerHost } from "./fiber_server.ts";
import {
  type ConnectionOptions,
  type Limits,
  limitsOf,
} from "../reactor/limits.ts";
import type { Lookup } from "../reactor/lookup.ts";
import type { AnyListener } from "../reactor/listener.ts";
import type { FiberLoop, Owner, Running } from "./owned.ts";
import { ReactorClosed, type TimerHost } from "./sleep.ts";
import type { Timer } from "../reactor/timers.ts";

/**
 * Rounds of microtasks in which fibers that were cancelled can end by
 * themselves, before their promises are settled for them: each `await` of a
 * fiber's takes one to three.
 */
const ABANDON_ROUNDS = 32;

/** What fibers stand on: the reactor's callback face. */
export interface FibersOptions {
  /** Timers that keep the process alive. */
  readonly timers: TimerHost;
  /** Where running fibers are counted. */
  readonly loop: FiberLoop;
  /** Listens with handlers. */
  listen(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
    handlers: ConnectionHandlers<AnyFiberConnection>,
  ): AnyListener;
  /** Begins to connect to an IP address that is permitted. */
  dial(
    address: HostPort | UnixPath,
    handlers: ConnectionHandlers<AnyFiberConnection>,
    limits: Limits,
  ): Connection<AnyFiberConnection>;
  /** Finds the addresses of a name. */
  readonly lookup: Lookup;
  /** Told of what nobody else can catch. */
  report(error: unknown): void;
  /** Resolves when nothing of the reactor's is pending in Deno. */
  settled(): Promise<void>;
}

/** Makes fibers, and what they need. */
export class Fibers implements FiberHost, FiberServerHost {
  /** Where running fibers are counted. */
  readonly loop: FiberLoop;
  /** Fibers without a parent, servers, and connects that no fiber owns. */
  readonly running = new Set<Running>();
  readonly #options: FibersOptions;
  #spawned = 0;

  /** @param options What they stand on. */
  constructor(options: FibersOptions) {
    this.#options = options;
    this.loop = options.loop;
  }

  /** Runs a fiber that no other waits for. */
  spawn<T>(body: FiberBody<T>, options: FiberOptions = {}): Fiber<T> {
    requireFunction("body", body);
    allowSignal(options.signal);
    const name = options.name ?? `fiber-${++this.#spawned}`;
    const fiber: Fiber<T> = new Fiber<T>(this, name, {
      parent: undefined,
      isScope: false,
      onEnd: () => void this.running.delete(fiber),
    });
    this.running.add(fiber);
    return fiber.start(body, options.signal);
  }

  /**
   * Cancels all that runs by `reason`: the reactor is closed. What goes on without
   * an end has its promises settled all the same.
   */
  async close(reason: ReactorClosed): Promise<void> {
    this.#each((running) => running.cancel(reason));
    for (let round = 0; round < ABANDON_ROUNDS; round++) await undefined;
    this.#each((running) => running.abandon?.());
  }

  /** Calls `end` for all that runs: one that throws keeps no other. */
  #each(end: (running: Running) => void): void {
    for (const running of this.running) {
      try {
        end(running);
      } catch (error) {
        this.report(error);
      }
    }
  }

  /** Connects to a name or an address, or to a Unix socket. */
  async connect(
    options: ConnectOptions | UnixConnectOptions,
    owner?: Owner,
  ): Promise<AnyFiberConnection> {
    if (this.isClosed) throw new ReactorClosed();
    const limits = limitsOf(options);
    const host: ConnectHost = {
      timers: this,
      running: this.running,
      lookup: this.#options.lookup,
      dial: (address, opening) => {
        const dialled = this.#options.dial(address, FIBER_HANDLERS, limits);
        return new FiberConnection<StreamAddress>(this, dialled, opening);
      },
    };
    return "path" in options
      ? await connectPath(host, options, owner)
      : await connect(host, options, owner);
  }

  /** Listens, for who calls `accept`. */
  listen(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
    owner?: Owner,
  ): FiberListener<StreamAddress> {
    const listener = this.#options.listen(options, {
      ...FIBER_HANDLERS,
      open: (accepted) => {
        const connection = new FiberConnection<StreamAddress>(this, accepted);
        connection.moveTo(accepting.owner);
        accepting.onAccept(connection);
      },
    });
    const accepting = new FiberListener<StreamAddress>(listener);
    accepting.moveTo(owner);
    return accepting;
  }

  /** Listens with handlers. */
  listenWith(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
    handlers: ConnectionHandlers<AnyFiberConnection>,
  ): AnyListener {
    return this.#options.listen(options, handlers);
  }

  /** Whether no timer runs any more. */
  get isClosed(): boolean {
    return this.#options.timers.isClosed;
  }

  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#options.timers.setTimer(delayMs, callback);
  }

  /** Removes a timer that has not run. */
  clearTimer(timer: Timer): void {
    this.#options.timers.clearTimer(timer);
  }

  /** Resolves when nothing of the reactor's is pending in Deno. */
  settled(): Promise<void> {
    return this.#options.settled();
  }

  /** Says that a fiber failed that nobody waits for. */
  report(error: unknown): void {
    this.#options.report(error);
  }
}
