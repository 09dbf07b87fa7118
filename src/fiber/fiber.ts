/**
 * Fibers: resumable work that owns what it opens, waits for its children and
 * has a name.
 *
 * A fiber is an async function with an owner's duties. Nothing here knows a
 * socket: what a fiber owns is released, or cancelled, through `Owned`.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import type { Abortable } from "../base/abortable.ts";
import { allowSignal, requireFunction, requireNumber } from "../base/checks.ts";
import {
  connect,
  type ConnectOptions,
  type UnixConnectOptions,
} from "./connect.ts";
import type {
  AnyFiberConnection,
  FiberConnection,
} from "./fiber_connection.ts";
import type { FiberGuest } from "./fiber_guest.ts";
import type { FiberListener } from "./fiber_listener.ts";
import type { UnixAddress } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import type { ConnectionOptions } from "../reactor/connection_options.ts";
import { ReactorClosed } from "../reactor/guest.ts";
import { Owned, OwnedSet, type Owner } from "./owned.ts";
import { sleep } from "./sleep.ts";

/** What a fiber runs. */
export type FiberBody<T> = (fiber: Fiber) => T | PromiseLike<T>;

/** How a fiber is made. */
export interface FiberOptions extends Abortable {
  /** What errors call it; a parent's name and a slash come before it. */
  name?: string;
}

/** A fiber's body runs. */
const RUNS = 0;
/** Its body has returned; fibers that it has spawned may run. */
const OVER = 1;
/** They have ended as well. */
const ENDED = 2;

/** Who a new fiber belongs to. */
interface FiberSetup {
  readonly parent: Fiber | undefined;
  /** Whether its failure is told to who waits for it, not to its parent. */
  readonly isScope: boolean;
  /** Called when all is over. */
  readonly onEnd?: () => void;
}

interface Failure {
  readonly error: unknown;
}

/** Names of the fibers that errors come from: scopes pass them on. */
const ORIGINS = new WeakMap<Error, string>();

/**
 * Resumable work: an async function that owns connections, timers and other
 * fibers. When it returns it waits for the fibers that it has spawned, then
 * closes what it owns; when it throws, or one of them does, the others are
 * cancelled and what it owns is closed at once.
 *
 * A reactor that closes cancels its fibers. Their promises then reject with the
 * reason of that cancel, even when a fiber's body ignores `signal` and goes on
 * waiting for something of Deno's.
 */
export class Fiber<T = unknown> implements Owner {
  /** What errors call it: a path of names, as `server/conn-17`. */
  readonly name: string;
  readonly #host: FiberGuest;
  readonly #origin: FiberSetup;
  readonly #owned = new OwnedSet();
  #children: Set<Fiber> | undefined = undefined;
  #spawned = 0;
  #controller: AbortController | undefined = undefined;
  #cancelled: { readonly reason: unknown } | undefined = undefined;
  #failure: Failure | undefined = undefined;
  #value: T | undefined = undefined;
  #finished: PromiseWithResolvers<unknown> | undefined = undefined;
  #disobey: (() => void) | undefined = undefined;
  /** How many run of it and its children: of `GuestLoop.running`. */
  #running = 0;
  #stage = RUNS;
  #isAbandoned = false;

  /** Made by `spawn`; {@linkcode Fiber.start} has it run. */
  constructor(host: FiberGuest, name: string, origin: FiberSetup) {
    this.#host = host;
    this.name = name;
    this.#origin = origin;
  }

  /** Aborts when the fiber is cancelled, for what is not the reactor's. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cancelled) this.#controller.abort(this.#cancelled.reason);
    }
    return this.#controller.signal;
  }

  /** Whether it has been cancelled, or has failed. */
  get isCancelled(): boolean {
    return this.#cancelled !== undefined;
  }

  /** Whether it is over, with all its children. */
  get isEnded(): boolean {
    return this.#stage === ENDED;
  }

  /**
   * Resolves, or rejects, as the fiber does, when its children have ended too.
   * Who asks for it takes its errors over: nobody else is told of them.
   */
  get finished(): Promise<T> {
    if (this.#finished === undefined) {
      this.#finished = Promise.withResolvers();
      if (this.isEnded || this.#isAbandoned) this.#tellFinished();
    }
    return this.#finished.promise as Promise<T>;
  }

  /** Runs `body`, once. */
  start(body: FiberBody<T>, signal?: AbortSignal): this {
    if (signal !== undefined) this.#obey(signal);
    this.endWait();
    let running: Promise<T>;
    try {
      running = Promise.resolve(body(this));
    } catch (error) {
      running = Promise.reject(error);
    }
    running.then(
      (value) => this.#overWith(value),
      (error) => this.#overBecauseOf(error),
    );
    return this;
  }

  /**
   * Runs another fiber, which this one waits for before it ends. When that
   * fails, this one and its other children are cancelled.
   *
   * @throws {Deno.errors.BadResource} when this fiber has ended.
   */
  spawn<U>(body: FiberBody<U>, options: FiberOptions = {}): Fiber<U> {
    const name = options.name ?? `fiber-${++this.#spawned}`;
    return this.#child(body, { ...options, name }, false);
  }

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
  scope<U>(body: FiberBody<U>, options: FiberOptions = {}): Promise<U> {
    return this.#awaiting(this.#child(body, options, true).finished);
  }

  /**
   * Waits for `body`, a fiber of its own, or for a promise, for `ms` at the
   * most. Then that fiber is cancelled, and this rejects at once: pass its
   * `signal` on to what it does not own.
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
    options: FiberOptions = {},
  ): Promise<U> {
    try {
      requireNumber("ms", ms);
    } catch (error) {
      return Promise.reject(error);
    }
    const { promise, resolve, reject } = Promise.withResolvers<U>();
    let name = this.name;
    let finished = body as PromiseLike<U>;
    let end = reject;
    if (typeof body === "function") {
      const child = this.#child(body, options, true);
      ({ name, finished } = child);
      end = (reason) => {
        child.cancel(reason);
        reject(reason);
      };
    } else {
      // Nobody can cancel a promise: it is left to itself.
      const cancelled = () => reject(this.signal.reason);
      this.signal.addEventListener("abort", cancelled, { once: true });
      const forget = () => this.signal.removeEventListener("abort", cancelled);
      promise.then(forget, forget);
    }
    finished.then(resolve, reject);
    if (this.#host.isClosed) end(new ReactorClosed());
    else this.#limit(ms, { name, promise, end });
    return this.#awaiting(promise);
  }

  /** Calls `end` unless `promise` has settled within `ms`. */
  #limit(ms: number, { name, promise, end }: {
    name: string;
    promise: Promise<unknown>;
    end: (reason: unknown) => void;
  }): void {
    const host = this.#host;
    let isSettled = false;
    const timer = host.setTimer(ms, async () => {
      // What has come in this turn is on its way through microtasks.
      for (let round = 0; round < LAST_ROUNDS && !isSettled; round++) {
        await undefined;
      }
      if (isSettled) return;
      end(new Deno.errors.TimedOut(`Waited ${ms} ms in "${name}"`));
    });
    timer.onDrop = end;
    const clear = () => {
      isSettled = true;
      host.clearTimer(timer);
    };
    promise.then(clear, clear);
  }

  /**
   * Resolves after `ms`.
   *
   * @throws {unknown} The reason, when the fiber is cancelled or the signal
   * aborts before.
   */
  sleep(ms: number, options: Abortable = {}): Promise<void> {
    if (this.#cancelled) return Promise.reject(this.#cancelled.reason);
    return sleep(this.#host, ms, { signal: options.signal, owner: this });
  }

  /**
   * Connects to a name or an address; see `Fibers.connect`. The fiber owns
   * the connection.
   */
  connect(options: ConnectOptions): Promise<FiberConnection>;
  /** Connects to a Unix socket. The fiber owns the connection. */
  connect(options: UnixConnectOptions): Promise<FiberConnection<UnixAddress>>;
  connect(
    options: ConnectOptions | UnixConnectOptions,
  ): Promise<AnyFiberConnection> {
    if (this.#cancelled) return Promise.reject(this.#cancelled.reason);
    return this.#awaiting(connect(this.#host, options, this));
  }

  /**
   * Listens; see `Fibers.listen`. The fiber owns the listener and what
   * that accepts.
   */
  listen(options: ListenOptions & ConnectionOptions): FiberListener;
  /** Listens on a Unix socket. */
  listen(
    options: UnixListenOptions & ConnectionOptions,
  ): FiberListener<UnixAddress>;
  listen(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
  ): FiberListener | FiberListener<UnixAddress> {
    if (this.#cancelled) throw this.#cancelled.reason;
    return this.#host.listen(options, this) as FiberListener;
  }

  /**
   * Takes something over: it is closed, or disposed of, with the fiber. A
   * connection leaves the fiber that had it.
   */
  own<Thing extends Disposable>(thing: Thing): Thing {
    const owned = thing instanceof Owned ? thing : new OwnedDisposable(thing);
    owned.moveTo(this);
    return thing;
  }

  /**
   * Cancels the fiber and its children: connections are reset, what waits
   * rejects with `reason`, and the signal aborts.
   *
   * @param reason An `AbortError` when left out.
   */
  cancel(
    reason: unknown = new DOMException("The fiber was cancelled", "AbortError"),
  ): void {
    if (this.#cancelled || this.isEnded) return;
    this.#cancelled = { reason };
    this.#controller?.abort(reason);
    this.#owned.drain(
      (owned) => owned.cancel(reason),
      (error) => this.#report(error),
    );
    for (const child of this.#children ?? []) child.cancel(reason);
  }

  /**
   * Has `finished` tell of the cancel, its children's too, although a body
   * still runs: for a reactor that has closed.
   */
  abandon(): void {
    this.#isAbandoned = true;
    for (const child of this.#children ?? []) child.abandon();
    if (this.#finished !== undefined) this.#tellFinished();
  }

  /** Takes note of what is released when the fiber ends. */
  keep(owned: Owned): void {
    if (this.#cancelled) return owned.cancel(this.#cancelled.reason);
    if (this.isEnded) return owned.release();
    this.#owned.add(owned);
  }

  /** Forgets what needs no release any more. */
  lose(owned: Owned): void {
    this.#owned.delete(owned);
  }

  #child<U>(
    body: FiberBody<U>,
    { name, signal }: FiberOptions,
    isScope: boolean,
  ): Fiber<U> {
    if (this.isEnded) {
      throw new Deno.errors.BadResource(
        `Cannot use fiber "${this.name}": it has ended`,
      );
    }
    requireFunction("body", body);
    allowSignal(signal);
    const path = name === undefined ? this.name : `${this.name}/${name}`;
    const child = new Fiber<U>(this.#host, path, { parent: this, isScope });
    (this.#children ??= new Set()).add(child);
    if (this.#cancelled) child.cancel(this.#cancelled.reason);
    if (this.#isAbandoned) child.abandon();
    return child.start(body, signal);
  }

  /** Waits for something of the reactor's. */
  async #awaiting<U>(promise: Promise<U>): Promise<U> {
    this.beginWait();
    try {
      return await promise;
    } finally {
      this.endWait();
    }
  }

  /**
   * One fewer runs, unless none does: then this fiber does two things at once,
   * one of which was not counted before.
   */
  beginWait(): void {
    if (this.#stage === ENDED || this.#running === 0) return;
    const { parent } = this.#origin;
    if (parent === undefined) {
      // Most fibers: a method more would cost each of their messages.
      this.#running--;
      this.#host.loop.running--;
    } else if (parent.#leastRunning > 0) this.#addRunning(-1);
  }

  /** One more runs. */
  endWait(): void {
    if (this.#stage === ENDED) return;
    this.#running++;
    const { parent } = this.#origin;
    if (parent === undefined) this.#host.loop.running++;
    else parent.#addRunning(1);
  }

  /** How many run of it, and of each fiber that it is part of, at the least. */
  get #leastRunning(): number {
    const { parent } = this.#origin;
    if (parent === undefined) return this.#running;
    return Math.min(this.#running, parent.#leastRunning);
  }

  /** Counts in it, in each fiber that it is part of, and in the loop. */
  #addRunning(delta: number): void {
    this.#running += delta;
    const { parent } = this.#origin;
    assert(this.#running >= 0, "no fewer than no fiber runs");
    if (parent === undefined) this.#host.loop.running += delta;
    else parent.#addRunning(delta);
  }

  #obey(signal: AbortSignal): void {
    if (signal.aborted) return this.cancel(signal.reason);
    const abort = () => this.cancel(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#disobey = () => signal.removeEventListener("abort", abort);
  }

  #overWith(value: T): void {
    this.#value = value;
    this.#over();
  }

  #overBecauseOf(error: unknown): void {
    if (error instanceof Error && !ORIGINS.has(error)) {
      ORIGINS.set(error, this.name);
    }
    this.#fail(error);
    this.#over();
  }

  #over(): void {
    this.beginWait();
    this.#stage = OVER;
    this.#endIfAlone();
  }

  /** The first error ends the fiber; what follows from that is none. */
  #fail(error: unknown): void {
    if (this.#cancelled !== undefined) {
      const { reason } = this.#cancelled;
      if (error === reason || error instanceof ReactorClosed) return;
      return this.#report(error);
    }
    this.#failure = { error };
    this.cancel(error);
  }

  #childEnded(child: Fiber, failure: Failure | undefined): void {
    this.#children!.delete(child);
    if (failure !== undefined) this.#fail(failure.error);
    this.#endIfAlone();
  }

  #endIfAlone(): void {
    if (this.#stage !== OVER || (this.#children?.size ?? 0) > 0) return;
    this.#disobey?.();
    // Nothing of it runs any more.
    const least = this.#leastRunning;
    // Not for none: -0 would make of a count a number with fractions.
    if (least > 0) this.#addRunning(-least);
    this.#stage = ENDED;
    this.#owned.drain(
      (owned) => owned.release(),
      (error) => this.#report(error),
    );
    const { parent, isScope, onEnd } = this.#origin;
    const failure = this.#failure;
    if (this.#finished !== undefined) this.#tellFinished();
    else if (failure && parent === undefined) this.#report(failure.error);
    onEnd?.();
    if (parent === undefined) return;
    parent.#childEnded(this, isScope ? undefined : failure);
  }

  #tellFinished(): void {
    const { resolve, reject, promise } = this.#finished!;
    const failed = this.#failure?.error ?? this.#cancelled?.reason;
    if (!this.#failure && !this.#cancelled) return resolve(this.#value);
    // A parent has been told: nobody need listen here.
    if (this.#origin.parent !== undefined) promise.catch(() => {});
    reject(failed);
  }

  #report(error: unknown): void {
    const isError = error instanceof Error;
    const name = isError ? ORIGINS.get(error) ?? this.name : this.name;
    const text = isError ? error.message : String(error);
    this.#host.report(
      new Error(`Fiber "${name}" failed: ${text}`, { cause: error }),
    );
  }
}

/**
 * Rounds of microtasks that a read which ended in a turn gets to reach its
 * fiber, before a limit that passed in the same turn counts.
 */
const LAST_ROUNDS = 32;

/** Anything that is disposed of with the fiber. */
class OwnedDisposable extends Owned {
  readonly #thing: Disposable;

  constructor(thing: Disposable) {
    super();
    this.#thing = thing;
  }

  release(): void {
    this.#thing[Symbol.dispose]();
  }

  cancel(): void {
    this.#thing[Symbol.dispose]();
  }
}
