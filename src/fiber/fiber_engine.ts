/**
 * A fiber's life: its body runs, its children end, it closes what it owns. A
 * failure or a cancel ends all of them.
 *
 * A fiber knows no socket: it releases or cancels what it owns through `Owned`.
 *
 * @module
 */

import type { Abortable } from "../base/abortable.ts";
import { assert } from "../base/assert.ts";
import { allowSignal, requireFunction, requireNumber } from "../base/checks.ts";
import type { UnixAddress } from "../net/address.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import type { ConnectionOptions } from "../reactor/connection_options.ts";
import { ReactorClosed } from "../reactor/guest.ts";
import {
  connect,
  type ConnectOptions,
  type UnixConnectOptions,
} from "./connect.ts";
import type { Fiber, FiberBody, FiberOptions } from "./fiber.ts";
import type {
  AnyFiberConnection,
  FiberConnection,
} from "./fiber_connection.ts";
import { fiberFailed, noteOrigin } from "./fiber_errors.ts";
import type { FiberGuest } from "./fiber_guest.ts";
import type { FiberListener } from "./fiber_listener.ts";
import { type Owned, ownedOf, OwnedSet } from "./owned.ts";
import { sleep } from "./sleep.ts";
import { limitTime } from "./time_limit.ts";

/** The fiber's body runs. */
const RUNS = 0;
/** Its body has ended; fibers that it has spawned may run. */
const RETURNED = 1;
/** All of them have ended. */
const ENDED = 2;

/** What a fiber belongs to. */
export interface FiberSetup {
  /** The fiber that waits for it. */
  readonly parent: EngineFiber | undefined;
  /** Whether its failure rejects a promise, and does not fail its parent. */
  readonly isScope: boolean;
  /** Called when the fiber has ended. */
  readonly onEnd?: () => void;
}

interface Failure {
  readonly error: unknown;
}

/** A fiber. */
export class EngineFiber<T = unknown> implements Fiber<T> {
  readonly name: string;
  readonly #guest: FiberGuest;
  readonly #setup: FiberSetup;
  readonly #owned = new OwnedSet();
  #children: Set<EngineFiber> | undefined = undefined;
  #spawned = 0;
  #controller: AbortController | undefined = undefined;
  #cancelled: { readonly reason: unknown } | undefined = undefined;
  #failure: Failure | undefined = undefined;
  #value: T | undefined = undefined;
  #finished: PromiseWithResolvers<unknown> | undefined = undefined;
  /** Removes the listener of the program's signal. */
  #ignoreSignal: (() => void) | undefined = undefined;
  /** How many of it and its children run: a part of `GuestLoop.running`. */
  #running = 0;
  #stage = RUNS;
  #isAbandoned = false;

  /** Makes a fiber, which {@linkcode EngineFiber.start} runs. */
  constructor(guest: FiberGuest, name: string, setup: FiberSetup) {
    this.#guest = guest;
    this.name = name;
    this.#setup = setup;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cancelled) this.#controller.abort(this.#cancelled.reason);
    }
    return this.#controller.signal;
  }

  get isCancelled(): boolean {
    return this.#cancelled !== undefined;
  }

  get isEnded(): boolean {
    return this.#stage === ENDED;
  }

  get finished(): Promise<T> {
    if (this.#finished === undefined) {
      this.#finished = Promise.withResolvers();
      if (this.isEnded || this.#isAbandoned) this.#settleFinished();
    }
    return this.#finished.promise as Promise<T>;
  }

  // What the fiber does for its program.

  spawn<U>(body: FiberBody<U>, options: FiberOptions = {}): EngineFiber<U> {
    const name = options.name ?? `fiber-${++this.#spawned}`;
    return this.#child(body, { ...options, name }, false);
  }

  scope<U>(body: FiberBody<U>, options: FiberOptions = {}): Promise<U> {
    return this.#waitFor(this.#child(body, options, true).finished);
  }

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
      // A promise cannot be cancelled: the fiber stops waiting for it.
      const cancelled = () => reject(this.signal.reason);
      this.signal.addEventListener("abort", cancelled, { once: true });
      const forget = () => this.signal.removeEventListener("abort", cancelled);
      promise.then(forget, forget);
    }
    finished.then(resolve, reject);
    limitTime(this.#guest, ms, { name, promise, end });
    return this.#waitFor(promise);
  }

  sleep(ms: number, options: Abortable = {}): Promise<void> {
    if (this.#cancelled) return Promise.reject(this.#cancelled.reason);
    return sleep(this.#guest, ms, { signal: options.signal, owner: this });
  }

  connect(options: ConnectOptions): Promise<FiberConnection>;
  connect(options: UnixConnectOptions): Promise<FiberConnection<UnixAddress>>;
  connect(
    options: ConnectOptions | UnixConnectOptions,
  ): Promise<AnyFiberConnection> {
    if (this.#cancelled) return Promise.reject(this.#cancelled.reason);
    return this.#waitFor(connect(this.#guest, options, this));
  }

  listen(options: ListenOptions & ConnectionOptions): FiberListener;
  listen(
    options: UnixListenOptions & ConnectionOptions,
  ): FiberListener<UnixAddress>;
  listen(
    options: (ListenOptions | UnixListenOptions) & ConnectionOptions,
  ): FiberListener | FiberListener<UnixAddress> {
    if (this.#cancelled) throw this.#cancelled.reason;
    return this.#guest.listen(options, this) as FiberListener;
  }

  own<Thing extends Disposable>(thing: Thing): Thing {
    ownedOf(thing).moveTo(this);
    return thing;
  }

  /** Waits for something of the reactor's. */
  async #waitFor<U>(promise: Promise<U>): Promise<U> {
    this.beginWait();
    try {
      return await promise;
    } finally {
      this.endWait();
    }
  }

  // What it owns.

  keep(owned: Owned): void {
    if (this.#cancelled) return owned.cancel(this.#cancelled.reason);
    if (this.isEnded) return owned.release();
    this.#owned.add(owned);
  }

  lose(owned: Owned): void {
    this.#owned.delete(owned);
  }

  #child<U>(
    body: FiberBody<U>,
    { name, signal }: FiberOptions,
    isScope: boolean,
  ): EngineFiber<U> {
    if (this.isEnded) {
      throw new Deno.errors.BadResource(
        `Cannot use fiber "${this.name}": it has ended`,
      );
    }
    requireFunction("body", body);
    allowSignal(signal);
    const path = name === undefined ? this.name : `${this.name}/${name}`;
    const setup = { parent: this, isScope };
    const child = new EngineFiber<U>(this.#guest, path, setup);
    (this.#children ??= new Set()).add(child);
    if (this.#cancelled) child.cancel(this.#cancelled.reason);
    if (this.#isAbandoned) child.abandon();
    return child.start(body, signal);
  }

  // How many run.

  /**
   * Counts one less that runs. Counts nothing when none runs: then this fiber
   * waits for two things at once, and was counted for the first alone.
   */
  beginWait(): void {
    if (this.#stage === ENDED || this.#running === 0) return;
    const { parent } = this.#setup;
    if (parent === undefined) {
      // Most fibers: a call of another method would cost each message.
      this.#running--;
      this.#guest.loop.running--;
    } else if (parent.#leastRunning > 0) this.#addRunning(-1);
  }

  /** Counts one more that runs. */
  endWait(): void {
    if (this.#stage === ENDED) return;
    this.#running++;
    const { parent } = this.#setup;
    if (parent === undefined) this.#guest.loop.running++;
    else parent.#addRunning(1);
  }

  /** The smallest count of this fiber and of the fibers that it is part of. */
  get #leastRunning(): number {
    const { parent } = this.#setup;
    if (parent === undefined) return this.#running;
    return Math.min(this.#running, parent.#leastRunning);
  }

  /** Counts in this fiber, in those that it is part of, and in the loop. */
  #addRunning(delta: number): void {
    this.#running += delta;
    const { parent } = this.#setup;
    assert(this.#running >= 0, "no fewer than no fiber runs");
    if (parent === undefined) this.#guest.loop.running += delta;
    else parent.#addRunning(delta);
  }

  // How it runs and ends.

  /** Runs `body`; called once. */
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
      (value) => {
        this.#value = value;
        this.#bodyEnded();
      },
      (error) => {
        noteOrigin(error, this.name);
        this.#fail(error);
        this.#bodyEnded();
      },
    );
    return this;
  }

  #obey(signal: AbortSignal): void {
    if (signal.aborted) return this.cancel(signal.reason);
    const abort = () => this.cancel(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#ignoreSignal = () => signal.removeEventListener("abort", abort);
  }

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
   * Settles `finished` of this fiber and of its children with the reason of the
   * cancel, although a body still runs: the reactor has closed.
   */
  abandon(): void {
    this.#isAbandoned = true;
    for (const child of this.#children ?? []) child.abandon();
    if (this.#finished !== undefined) this.#settleFinished();
  }

  /** Cancels the fiber for its first error; later errors are reported. */
  #fail(error: unknown): void {
    if (this.#cancelled !== undefined) {
      const { reason } = this.#cancelled;
      // These follow from the cancel.
      if (error === reason || error instanceof ReactorClosed) return;
      return this.#report(error);
    }
    this.#failure = { error };
    this.cancel(error);
  }

  #bodyEnded(): void {
    this.beginWait();
    this.#stage = RETURNED;
    this.#endIfAlone();
  }

  #childEnded(child: EngineFiber, failure: Failure | undefined): void {
    this.#children!.delete(child);
    if (failure !== undefined) this.#fail(failure.error);
    this.#endIfAlone();
  }

  #endIfAlone(): void {
    if (this.#stage !== RETURNED || (this.#children?.size ?? 0) > 0) return;
    this.#ignoreSignal?.();
    // Nothing of it runs any more.
    const least = this.#leastRunning;
    // Not for zero: -0 would turn an integer field into a floating-point one.
    if (least > 0) this.#addRunning(-least);
    this.#stage = ENDED;
    this.#owned.drain(
      (owned) => owned.release(),
      (error) => this.#report(error),
    );
    const { parent, isScope, onEnd } = this.#setup;
    const failure = this.#failure;
    if (this.#finished !== undefined) this.#settleFinished();
    else if (failure && parent === undefined) this.#report(failure.error);
    onEnd?.();
    if (parent === undefined) return;
    parent.#childEnded(this, isScope ? undefined : failure);
  }

  #settleFinished(): void {
    const { resolve, reject, promise } = this.#finished!;
    const failed = this.#failure?.error ?? this.#cancelled?.reason;
    if (!this.#failure && !this.#cancelled) return resolve(this.#value);
    // The parent has the error too: no program has to handle this promise.
    if (this.#setup.parent !== undefined) promise.catch(() => {});
    reject(failed);
  }

  #report(error: unknown): void {
    this.#guest.report(fiberFailed(error, this.name));
  }
}
