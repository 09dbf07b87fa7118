/**
 * A server of fibers: one a connection.
 *
 * @module
 */

import type { StreamAddress, TcpAddress } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import type { Abortable } from "../base/abortable.ts";
import { allowSignal, requireFunction } from "../base/checks.ts";
import { Fiber } from "./fiber.ts";
import type {
  AnyFiberConnection,
  FiberConnection,
} from "./fiber_connection.ts";
import type { FiberGuest } from "./fiber_guest.ts";
import type { ConnectionOptions } from "../reactor/connection_options.ts";
import type { AnyListener } from "../reactor/listener.ts";
import type { Running } from "./owned.ts";

/** What a fiber does with its connection. */
export type FiberHandler<Address extends StreamAddress = TcpAddress> = (
  connection: FiberConnection<Address>,
  fiber: Fiber,
) => unknown;

/** Where and how fibers serve, and what bounds their connections. */
export interface ServeFibersOptions
  extends ListenOptions, ConnectionOptions, Abortable {
  /** What errors call it; `server` when left out. */
  name?: string;
}

/** At which Unix socket fibers serve, and what bounds their connections. */
export interface ServeFibersUnixOptions
  extends UnixListenOptions, ConnectionOptions, Abortable {
  /** What errors call it; `server` when left out. */
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
  /** How many fibers there are, one a connection. */
  readonly size: number;
  /**
   * Resolves when the server has shut down and its last fiber ended, or its
   * reactor has closed.
   */
  readonly finished: Promise<void>;
  /**
   * Stops accepting and has each fiber's next read tell the end of the stream,
   * so that it answers what it has and ends. Resolves when all have ended.
   */
  shutdown(): Promise<void>;
  /** Stops accepting and cancels all fibers. */
  cancel(reason?: unknown): void;
  /** Keeps the process alive while the server runs, which is how it begins. */
  ref(): void;
  /** Lets the process end although the server runs. */
  unref(): void;
}

/** Listens, and runs `handler` as a fiber for each connection. */
export function serveFibers(
  host: FiberGuest,
  options: ServeFibersOptions | ServeFibersUnixOptions,
  handler: FiberHandler<StreamAddress>,
): FiberServer<StreamAddress> {
  requireFunction("handler", handler);
  allowSignal(options.signal);
  options.signal?.throwIfAborted();
  return new FiberServerOnReactor(host, options, handler);
}

class FiberServerOnReactor implements FiberServer<StreamAddress>, Running {
  readonly addr: StreamAddress;
  readonly finished: Promise<void>;
  readonly #host: FiberGuest;
  readonly #handler: FiberHandler<StreamAddress>;
  readonly #name: string;
  readonly #listener: AnyListener;
  readonly #open = new Map<Fiber, AnyFiberConnection>();
  readonly #finish: () => void;
  #count = 0;

  constructor(
    host: FiberGuest,
    { name = "server", signal, ...options }:
      | ServeFibersOptions
      | ServeFibersUnixOptions,
    handler: FiberHandler<StreamAddress>,
  ) {
    this.#host = host;
    this.#handler = handler;
    this.#name = name;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#listener = host.listenWith(options, (connection) => {
      this.#serve(connection);
    });
    this.addr = this.#listener.addr;
    const abort = () => this.cancel(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    host.running.add(this);
    this.#finish = async () => {
      host.running.delete(this);
      signal?.removeEventListener("abort", abort);
      await host.settled();
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
      // Somebody waits for its end, which the process must not come before.
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
    const fiber: Fiber = new Fiber(this.#host, name, {
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
      // A peer that resets its connection is no fault of the server's.
      if (!connection.failedWith(error)) throw error;
    }
  }

  #checkFinished(): void {
    if (this.#listener.isClosed && this.#open.size === 0) this.#finish();
  }
}
