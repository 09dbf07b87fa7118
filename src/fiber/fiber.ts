/**
 * Fibers, as programs see them: resumable work that owns what it opens, waits
 * for its children and has a name.
 *
 * How a fiber works is in `fiber_engine.ts`, which no program can reach.
 *
 * @module
 */

import type { Abortable } from "../base/abortable.ts";
import type { UnixAddress } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import type { ConnectionOptions } from "../reactor/connection_options.ts";
import type { ConnectOptions, UnixConnectOptions } from "./connect.ts";
import type { FiberConnection } from "./fiber_connection.ts";
import type { FiberListener } from "./fiber_listener.ts";
import type { Owner } from "./owned.ts";

/** What a fiber runs. */
export type FiberBody<T> = (fiber: Fiber) => T | PromiseLike<T>;

/** How a fiber is made. */
export interface FiberOptions extends Abortable {
  /** Its name in errors; the name of its parent and a slash stand before it. */
  name?: string;
}

/**
 * Resumable work: an async function that owns connections, timers and other
 * fibers. When its body returns, the fiber waits for the fibers that it has
 * spawned, then closes what it owns. When its body, or one of these fibers,
 * throws, the fiber cancels the others and closes what it owns at once.
 *
 * A reactor that closes cancels its fibers. Their promises then reject with the
 * reason of that cancel, even when a fiber's body ignores `signal` and goes on
 * waiting for something of Deno's.
 */
export interface Fiber<T = unknown> extends Owner {
  /** Its name in errors: a path of names, such as `server/conn-17`. */
  readonly name: string;
  /** Aborts when the fiber is cancelled: pass it on to Deno's functions. */
  readonly signal: AbortSignal;
  /** Whether it has been cancelled, or has failed. */
  readonly isCancelled: boolean;
  /** Whether it has ended, with all its children. */
  readonly isEnded: boolean;
  /**
   * Resolves or rejects, as the fiber does, when its children have ended too.
   * A program that reads this handles the fiber's error: the error is not
   * reported to the reactor's `onError`.
   */
  readonly finished: Promise<T>;

  /**
   * Runs another fiber, which this one waits for before it ends. When that
   * fails, this one and its other children are cancelled.
   *
   * @throws {Deno.errors.BadResource} when this fiber has ended.
   */
  spawn<U>(body: FiberBody<U>, options?: FiberOptions): Fiber<U>;

  /**
   * Runs `body` as a fiber, and resolves when it and all that it has spawned
   * have ended. When one of them throws, the others are cancelled and this
   * rejects with that first error.
   *
   * @example Usage
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "../reactor/reactor.ts";
   * import { Fibers } from "./fibers.ts";
   *
   * using reactor = new Reactor();
   * const log: string[] = [];
   * await new Fibers(reactor).spawn(async (fiber) => {
   *   await fiber.scope((scope) => {
   *     scope.spawn(async (child) => {
   *       await child.sleep(1);
   *       log.push("child");
   *     });
   *   });
   *   log.push("scope");
   * }).finished;
   * assertEquals(log, ["child", "scope"]);
   * ```
   */
  scope<U>(body: FiberBody<U>, options?: FiberOptions): Promise<U>;

  /**
   * Waits at most `ms` milliseconds for a promise, or for `body`, which runs as
   * a fiber. After that time the fiber is cancelled, and this rejects at once:
   * pass its `signal` on to what the fiber does not own.
   *
   * @example A read that may take five milliseconds
   * ```ts
   * import { assertRejects } from "@std/assert";
   * import { Reactor } from "../reactor/reactor.ts";
   * import { Fibers } from "./fibers.ts";
   *
   * using reactor = new Reactor();
   * await new Fibers(reactor).spawn(async (fiber) => {
   *   const listener = fiber.listen({ hostname: "127.0.0.1", port: 0 });
   *   const conn = await fiber.connect(listener.addr);
   *   await assertRejects(
   *     () => fiber.withTimeout(5, ({ signal }) => conn.readChunk({ signal })),
   *     Deno.errors.TimedOut,
   *   );
   * }).finished;
   * ```
   *
   * @throws {Deno.errors.TimedOut} when the time is over.
   * @throws {Deno.errors.BadResource} when the reactor closes before.
   */
  withTimeout<U>(
    ms: number,
    body: FiberBody<U> | PromiseLike<U>,
    options?: FiberOptions,
  ): Promise<U>;

  /**
   * Resolves after `ms` milliseconds.
   *
   * @throws {unknown} The reason, when the fiber is cancelled or the signal
   * aborts before.
   */
  sleep(ms: number, options?: Abortable): Promise<void>;

  /**
   * Connects to a name or an address; see `Fibers.connect`. The fiber owns
   * the connection.
   */
  connect(options: ConnectOptions): Promise<FiberConnection>;
  /** Connects to a Unix socket. The fiber owns the connection. */
  connect(options: UnixConnectOptions): Promise<FiberConnection<UnixAddress>>;

  /**
   * Listens; see `Fibers.listen`. The fiber owns the listener and the
   * connections that it accepts.
   */
  listen(options: ListenOptions & ConnectionOptions): FiberListener;
  /** Listens on a Unix socket. */
  listen(
    options: UnixListenOptions & ConnectionOptions,
  ): FiberListener<UnixAddress>;

  /**
   * Takes ownership of `thing`: the fiber closes or disposes of it when the
   * fiber ends. A connection leaves the fiber that owned it before.
   */
  own<Thing extends Disposable>(thing: Thing): Thing;

  /**
   * Cancels the fiber and its children: connections are reset, promises that
   * wait reject with `reason`, and the signal aborts.
   *
   * @param reason An `AbortError` when left out.
   */
  cancel(reason?: unknown): void;
}
