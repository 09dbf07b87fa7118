/**
 * A listening socket on a reactor: accepts in bounded batches, and survives
 * running out of descriptors.
 *
 * @module
 */

import { errnoName, errorFrom, WOULD_BLOCK } from "../native/errors.ts";
import {
  pathText,
  type StreamAddress,
  type TcpAddress,
} from "../net/address.ts";
import type { ConnectionHandlers } from "./connection.ts";
import { type ConnectionSetup, setupOf } from "./connection/record.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import type { Batch, ListenerSocket, StreamSocket } from "../system/system.ts";
import type { Timer } from "./timers.ts";

/**
 * How long accepting rests when descriptors or memory are short and none of
 * our own connections closes: another part of the process may free one.
 */
const REST_MS = 100;

/**
 * How many are accepted when a listener is about to close: Linux has no longer
 * queue by default (`net.core.somaxconn`), and whoever still connects meanwhile
 * must not keep it open.
 */
const WAITING_MAX = 4_096;

/** What {@linkcode Listener} says of a batch for which there was no room. */
const NO_ROOM = -1;

/**
 * Errors of `accept(2)`, and of registering what it gave, that pass when
 * something is freed: descriptors, memory, `max_user_watches` of `epoll(7)`, or
 * the low descriptors that select can watch.
 */
const SHORTAGES = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ENOSPC",
  "ERANGE",
]);

/** Whether an error passes when something is freed. */
export function isShortage(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    SHORTAGES.has(String(error.code));
}

/** What a listener needs of its reactor. */
export interface ListenerHost {
  /** Whether so many bytes wait that nobody new is let in. */
  readonly isCrowded: boolean;
  /** Connections that had failed before they were accepted. */
  acceptsFailed: number;
  /** Closes who holds bytes and moves none; returns whether that was enough. */
  makeRoom(): boolean;
  /**
   * Makes a connection of an accepted stream.
   *
   * @returns Whether there was room for it; it is closed when not.
   */
  accept(stream: StreamSocket, listener: AnyListener): boolean;
  /** Has the listener act again in the next turn. */
  requeue(listener: AnyListener): void;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer. */
  clearTimer(timer: Timer): void;
  /** Has the listener go on when a connection has closed. */
  awaitRoom(listener: AnyListener): void;
  /** Forgets a closed listener. */
  forgetListener(listener: AnyListener): void;
  /** Counts a listener that no longer, or again, keeps the process alive. */
  countRef(delta: number): void;
  /** Says that `error` was thrown where nobody else can catch it. */
  report(error: unknown): void;
}

/** A listener at an address of either kind. */
export type AnyListener = Listener<StreamAddress>;

/**
 * A listening socket that makes connections.
 *
 * @typeParam Address The form of its address.
 */
export class Listener<Address extends StreamAddress = TcpAddress>
  implements Disposable {
  /** The reactor's token for it. */
  token = 0;
  /** What happens on its connections. */
  readonly handlers: ConnectionHandlers;
  /** What its connections have in common. */
  readonly setup: ConnectionSetup;
  /** Whether it keeps the process alive. */
  isRefed = true;
  /** Told once when it is closed, by its user or by the reactor. */
  onClose: (() => void) | undefined = undefined;
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Address;
  readonly #host: ListenerHost;
  readonly #socket: ListenerSocket;
  readonly #batch: Batch;
  #rest: Timer | undefined = undefined;
  #isPaused = false;
  #isClosed = false;

  /** Made by the reactor's `listen`. */
  constructor(
    host: ListenerHost,
    socket: ListenerSocket,
    { handlers, limits = DEFAULT_LIMITS }: {
      handlers: ConnectionHandlers;
      limits?: Limits;
    },
  ) {
    this.#host = host;
    this.#socket = socket;
    this.handlers = handlers;
    this.setup = setupOf(handlers, limits, this);
    this.#batch = socket.batch();
    this.addr = socket.localAddress as Address;
  }

  /** The number by which native code knows the listener. */
  get handle(): number {
    return this.#socket.handle;
  }

  /** Whether it is closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Accepts a batch. A full one is followed by the next in the next turn. */
  onReady(_readiness: number): void {
    if (this.#isClosed || this.#isPaused) return;
    this.#endRest();
    try {
      this.#accept();
    } catch (error) {
      // Its readiness is not told again: it tries by itself.
      if (!this.#isClosed && this.#rest === undefined) this.#restFor(REST_MS);
      throw error;
    }
  }

  #accept(): void {
    if (this.#host.isCrowded && !this.#host.makeRoom()) {
      this.#socket.passOn?.();
      return this.#awaitRoom();
    }
    const stopped = this.#acceptBatch(this.#socket.acceptBatch(this.#batch));
    if (stopped === NO_ROOM && !this.#isClosed) {
      this.#awaitRoom();
      return this.#tellShortage();
    }
    if (stopped === 0) return this.#host.requeue(this);
    if (this.#isClosed) return;
    if (stopped !== -WOULD_BLOCK) return this.#restAfter(stopped);
    const { restMs } = this.#socket;
    if (restMs !== undefined) this.#restFor(restMs);
  }

  /**
   * Accepts those who wait already, for an owner that is about to close:
   * closing resets whoever is connected and was not accepted, and has perhaps
   * asked something.
   */
  acceptWaiting(): void {
    const socket = this.#socket;
    for (let left = WAITING_MAX; left > 0 && !this.#isClosed;) {
      const count = socket.acceptRest?.(this.#batch) ??
        socket.acceptBatch(this.#batch);
      if (this.#acceptBatch(count) !== 0) return;
      left -= count;
    }
  }

  /** Stops accepting: connections wait in the system's backlog. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on accepting, also those who came while it was paused. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isClosed) this.#host.requeue(this);
  }

  /** Tries again, since what was short may be there. */
  retry(): void {
    if (this.#rest !== undefined) this.#host.requeue(this);
  }

  /** Reports `error`; a listener goes on. */
  fail(error: unknown): void {
    this.#host.report(error);
  }

  /** Lets the process end although this is open. */
  unref(): void {
    if (!this.isRefed) return;
    this.isRefed = false;
    if (!this.#isClosed) this.#host.countRef(-1);
  }

  /** Keeps the process alive while this is open, which is how it begins. */
  ref(): void {
    if (this.isRefed) return;
    this.isRefed = true;
    if (!this.#isClosed) this.#host.countRef(1);
  }

  /**
   * Stops accepting, and removes a Unix socket's path. Connections already
   * accepted stay open. What fails on the way, as the removal may, is reported.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endRest();
    try {
      this.#socket.close();
    } catch (error) {
      this.fail(error);
    }
    try {
      this.#host.forgetListener(this);
    } finally {
      this.onClose?.();
    }
  }

  /** Closes the listener. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Makes connections of the first `count` streams of the batch.
   *
   * @returns Why no more were accepted: see `Batch.stopped`.
   */
  #acceptBatch(count: number): number {
    // Read first: a handler may accept again through another listener.
    const { stopped, passedOver } = this.#batch;
    if (passedOver !== 0) this.#host.acceptsFailed += passedOver;
    let hasRoom = true;
    for (let index = 0; index < count; index++) {
      try {
        const stream = this.#batch.stream(index);
        // Closed by a handler of this batch: the rest are refused like those
        // that the system has not given out yet.
        if (this.#isClosed || !hasRoom) stream.close();
        else hasRoom = this.#host.accept(stream, this);
      } catch (error) {
        // It must not take the others with it.
        this.fail(error);
      }
    }
    return hasRoom ? stopped : NO_ROOM;
  }

  /**
   * Rests when the system is short of something. The waiting connections stay
   * in the backlog and no event repeats for them, so nothing spins.
   */
  #restAfter(errno: number): void {
    if (!SHORTAGES.has(errnoName(errno))) {
      this.fail(errorFrom(errno, `accept from "${nameOf(this.addr)}"`));
    }
    this.#awaitRoom();
    this.#tellShortage();
  }

  #tellShortage(): void {
    try {
      this.handlers.shortage?.();
    } catch (error) {
      this.fail(error);
    }
  }

  #awaitRoom(): void {
    this.#restFor(REST_MS);
    this.#host.awaitRoom(this);
  }

  #restFor(ms: number): void {
    this.#rest = this.#host.setTimer(ms, () => this.onReady(0));
  }

  #endRest(): void {
    if (this.#rest === undefined) return;
    this.#host.clearTimer(this.#rest);
    this.#rest = undefined;
  }
}

function nameOf(address: StreamAddress): string {
  return address.transport === "unix"
    ? pathText(address.path)
    : address.hostname;
}
