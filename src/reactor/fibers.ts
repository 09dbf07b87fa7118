/**
 * The fibers' face of a reactor: what its thin methods call.
 *
 * @module
 */

import type { HostPort, StreamAddress, UnixPath } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import {
  connect,
  type ConnectHost,
  type ConnectOptions,
  connectPath,
  type UnixConnectOptions,
} from "./connect.ts";
import type { Connection, ConnectionHandlers } from "./connection.ts";
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
import type { Lookup } from "./lookup.ts";
import type { AnyListener } from "./listener.ts";
import type { FiberLoop, Owner } from "./owned.ts";
import type { TimerHost } from "./sleep.ts";
import type { Timer } from "./timers.ts";

/** What fibers stand on: the reactor's callback face. */
export interface FibersOptions {
  /** Timers that keep the process alive. */
  readonly timers: TimerHost;
  /** Where running fibers are counted. */
  readonly loop: FiberLoop;
  /** Listens with handlers. */
  listen(
    options: ListenOptions | UnixListenOptions,
    handlers: ConnectionHandlers<AnyFiberConnection>,
  ): AnyListener;
  /** Begins to connect to an IP address that is permitted. */
  dial(
    address: HostPort | UnixPath,
    handlers: ConnectionHandlers<AnyFiberConnection>,
  ): Connection<AnyFiberConnection>;
  /** Finds the addresses of a name. */
  readonly lookup: Lookup;
  /** Told of what nobody else can catch. */
  report(error: unknown): void;
}

/** Makes fibers, and what they need. */
export class Fibers implements FiberHost, FiberServerHost {
  /** Where running fibers are counted. */
  readonly loop: FiberLoop;
  readonly #options: FibersOptions;
  #spawned = 0;

  /** @param options What they stand on. */
  constructor(options: FibersOptions) {
    this.#options = options;
    this.loop = options.loop;
  }

  /** Runs a fiber that no other waits for. */
  spawn<T>(body: FiberBody<T>, options: FiberOptions = {}): Fiber<T> {
    const name = options.name ?? `fiber-${++this.#spawned}`;
    const origin = { parent: undefined, isScope: false };
    return new Fiber<T>(this, name, origin).start(body, options.signal);
  }

  /** Connects to a name or an address, or to a Unix socket. */
  connect(
    options: ConnectOptions | UnixConnectOptions,
    owner?: Owner,
  ): Promise<AnyFiberConnection> {
    const host: ConnectHost = {
      timers: this,
      lookup: this.#options.lookup,
      dial: (address, opening) => {
        const dialled = this.#options.dial(address, FIBER_HANDLERS);
        return new FiberConnection<StreamAddress>(this, dialled, opening);
      },
    };
    return "path" in options
      ? connectPath(host, options, owner)
      : connect(host, options, owner);
  }

  /** Listens, for who calls `accept`. */
  listen(
    options: ListenOptions | UnixListenOptions,
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
    const accepting = new FiberListener<StreamAddress>(this.loop, listener);
    accepting.moveTo(owner);
    return accepting;
  }

  /** Listens with handlers. */
  listenWith(
    options: ListenOptions | UnixListenOptions,
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

  /** Says that a fiber failed that nobody waits for. */
  report(error: unknown): void {
    this.#options.report(error);
  }
}
