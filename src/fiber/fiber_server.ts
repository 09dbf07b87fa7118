/**
 * A server that runs one fiber for each connection.
 *
 * @module
 */

import type { StreamAddress, TcpAddress } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import type { Abortable } from "../base/abortable.ts";
import { allowSignal, requireFunction } from "../base/checks.ts";
import type { Fiber } from "./fiber.ts";
import type {
  AnyFiberConnection,
  FiberConnection,
} from "./fiber_connection.ts";
import { EngineFiber } from "./fiber_engine.ts";
import type { FiberGuest } from "./fiber_guest.ts";
import type { ConnectionOptions } from "../reactor/connection_options.ts";
import type { AnyListener } from "../reactor/listener.ts";
import type { Running } from "./owned.ts";

/** The body of a fiber that serves one connection. */
export type FiberHandler<Address extends StreamAddress = TcpAddress> = (
  connection: FiberConnection<Address>,
  fiber: Fiber,
) => unknown;

/** Where to serve, and the limits of the connections. */
export interface ServeFibersOptions
  extends ListenOptions, ConnectionOptions, Abortable {
  /** The server's name in errors; `server` when left out. */
  name?: string;
}

/** At which Unix socket to serve, and the limits of the connections. */
export interface ServeFibersUnixOptions
  extends UnixListenOptions, ConnectionOptions, Abortable {
  /** The server's name in errors; `server` when left out. */
  name?: string;
}

/**
 * A running server of fibers.
 *
 * @typeParam Address The form of its address.
 */
export interface FiberServer<Address extends StreamAddress = TcpAddress>
  extends AsyncDisposable {
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Address;
  /** How many fibers run, one for each connection. */
  readonly size: number;
  /**
   * Resolves when the server accepts no more and its last fiber has ended, or
   * when its reactor has closed.
   */
  readonly finished: Promise<void>;
  /**
   * Stops accepting, and ends the stream that each fiber reads, so that the
   * fiber answers what it has and ends. Resolves when all fibers have ended.
   */
  shutdown(): Promise<void>;
  /** Stops accepting and cancels all fibers. */
  cancel(reason?: unknown): void;
  /** Keeps the process alive while the server runs, which is the default. */
  ref(): void;
  /** Lets the process end although the server runs. */
  unref(): void;
}

/** Listens, and runs `handler` as a fiber for each connection. */
export function serveFibers(
  guest: FiberGuest,
  options: ServeFibersOptions | ServeFibersUnixOptions,
  handler: FiberHandler<StreamAddress>,
): FiberServer<StreamAddress> {
  requireFunction("handler", handler);
  allowSignal(options.signal);
  options.signal?.throwIfAborted();
  return new FiberServerOnReactor(guest, options, handler);
}

class FiberServerOnReactor implements FiberServer<StreamAddress>, Running {
  readonly addr: StreamAddress;
  readonly finished: Promise<void>;
  readonly #guest: FiberGuest;
  readonly #handler: FiberHandler<StreamAddress>;
  readonly #name: string;
  readonly #listener: AnyListener;
  readonly #open = new Map<EngineFiber, AnyFiberConnection>();
  readonly #finish: () => void;
  #count = 0;

  constructor(
    guest: FiberGuest,
    { name = "server", signal, ...options }:
      | ServeFibersOptions
      | ServeFibersUnixOptions,
    handler: FiberHandler<StreamAddress>,
  ) {
    this.#guest = guest;
    this.#handler = handler;
    this.#name = name;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#listener = guest.listenWith(options, (connection) => {
      this.#serve(connection);
    });
    this.addr = this.#listener.addr;
    const abort = () => this.cancel(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    guest.running.add(this);
    this.#finish = async () => {
      guest.running.delete(this);
      signal?.removeEventListener("abort", abort);
      await guest.settled();
      resolve();
    };
    this.#listener.onClose = () => this.#checkFinished();
  }

  get size(): number {
    return this.#open.size;
  }

  shutdown(): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open.values()) {
      // The program waits for its end: the process must not end before.
      connection.ref();
      connection.endReading();
    }
    return this.finished;
  }

  cancel(reason?: unknown): void {
    this.#listener.close();
    for (const fiber of [...this.#open.keys()]) fiber.cancel(reason);
  }

  abandon(): void {
    for (const fiber of this.#open.keys()) fiber.abandon();
    this.#finish();
  }

  ref(): void {
    this.#listener.ref();
    for (const connection of this.#open.values()) connection.ref();
  }

  unref(): void {
    this.#listener.unref();
    for (const connection of this.#open.values()) connection.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  #serve(connection: AnyFiberConnection): void {
    const name = `${this.#name}/conn-${++this.#count}`;
    const fiber: EngineFiber = new EngineFiber(this.#guest, name, {
      parent: undefined,
      isScope: false,
      onEnd: () => {
        this.#open.delete(fiber);
        this.#checkFinished();
      },
    });
    connection.moveTo(fiber);
    this.#open.set(fiber, connection);
    fiber.start(() => this.#handle(connection, fiber));
  }

  async #handle(connection: AnyFiberConnection, fiber: Fiber): Promise<void> {
    try {
      await this.#handler(connection, fiber);
    } catch (error) {
      // An error that the peer caused, such as a reset, is not reported.
      if (!connection.failedWith(error)) throw error;
    }
  }

  #checkFinished(): void {
    if (this.#listener.isClosed && this.#open.size === 0) this.#finish();
  }
}
