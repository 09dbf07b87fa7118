/**
 * A listener, as the reactor runs it: it accepts in bounded batches, and
 * survives a shortage of descriptors.
 *
 * @module
 */

import { errnoName, errorFrom, WOULD_BLOCK } from "../../native/errors.ts";
import { pathText, type StreamAddress } from "../../net/address.ts";
import type { ConnectionHandlers } from "../connection.ts";
import { type ConnectionSetup, setupOf } from "../connection/record.ts";
import {
  type ConnectionLimits,
  DEFAULT_LIMITS,
} from "../connection_options.ts";
import type { Listener } from "../listener.ts";
import type { Ready } from "../slots.ts";
import type {
  AcceptedBatch,
  ListenerSocket,
  StreamSocket,
} from "../../system/system.ts";
import type { Timer } from "../timers.ts";

/**
 * How long a listener rests when descriptors or memory are short and none of
 * the reactor's connections closes: another part of the process may free some.
 */
const REST_MS = 100;

/**
 * How many connections `acceptWaiting` accepts. Linux has no longer queue by
 * default (`net.core.somaxconn`), and new peers must not keep the listener
 * open.
 */
const WAITING_MAX = 4_096;

/** Why accepting stopped, instead of an errno: the reactor had no room. */
const NO_ROOM = -1;

/**
 * Errors of `accept(2)` and of registering the new socket that pass when the
 * process frees something: descriptors, memory, `max_user_watches` of
 * `epoll(7)`, or the low descriptors that select can watch.
 */
const SHORTAGES = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ENOSPC",
  "ERANGE",
]);

/** Whether an error means that descriptors or memory are short. */
export function isShortage(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    SHORTAGES.has(String(error.code));
}

/** What a listener needs from its reactor. */
export interface ListenerHost {
  /** Whether connections hold too much memory to accept more. */
  readonly isCrowded: boolean;
  /** How many connections had failed before they were accepted. */
  acceptsFailed: number;
  /** Resets stalled connections; returns whether that freed enough. */
  makeRoom(): boolean;
  /**
   * Makes a connection from an accepted stream.
   *
   * @returns Whether there was room; without room, the stream is closed.
   */
  accept(stream: StreamSocket, listener: EngineListener): boolean;
  /** Calls the listener's `onReady` again in the next turn. */
  requeue(listener: EngineListener): void;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer. */
  clearTimer(timer: Timer): void;
  /** Calls the listener's `retry` when a connection has closed. */
  awaitRoom(listener: EngineListener): void;
  /** Forgets a closed listener. */
  forgetListener(listener: EngineListener): void;
  /** Changes the count of sources that keep the process alive. */
  countRef(delta: number): void;
  /** Reports an `error` that no handler gets. */
  report(error: unknown): void;
}

/** A listening socket on a reactor: see `Listener`. */
export class EngineListener implements Listener<StreamAddress>, Ready {
  token = 0;
  isRefed = true;
  onClose: (() => void) | undefined = undefined;
  readonly addr: StreamAddress;
  /** What its connections share. */
  readonly setup: ConnectionSetup;
  readonly #host: ListenerHost;
  readonly #socket: ListenerSocket;
  readonly #batch: AcceptedBatch;
  #rest: Timer | undefined = undefined;
  #isPaused = false;
  #isClosed = false;

  /** Made by the reactor's `listen`. */
  constructor(
    host: ListenerHost,
    socket: ListenerSocket,
    { handlers, limits = DEFAULT_LIMITS }: {
      handlers: ConnectionHandlers;
      limits?: ConnectionLimits;
    },
  ) {
    this.#host = host;
    this.#socket = socket;
    this.setup = setupOf(handlers, limits, this);
    this.#batch = socket.batch();
    this.addr = socket.localAddress;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Accepts a batch. After a full batch the next turn accepts another. */
  onReady(_readiness: number): void {
    if (this.#isClosed || this.#isPaused) return;
    this.#endRest();
    try {
      this.#accept();
    } catch (error) {
      // No event repeats, so a timer tries again.
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
      return this.#notifyShortage();
    }
    if (stopped === 0) return this.#host.requeue(this);
    if (this.#isClosed) return;
    if (stopped !== -WOULD_BLOCK) return this.#restAfter(stopped);
    const { restMs } = this.#socket;
    if (restMs !== undefined) this.#restFor(restMs);
  }

  acceptWaiting(): void {
    const socket = this.#socket;
    for (let left = WAITING_MAX; left > 0 && !this.#isClosed;) {
      const count = socket.acceptRest?.(this.#batch) ??
        socket.acceptBatch(this.#batch);
      if (this.#acceptBatch(count) !== 0) return;
      left -= count;
    }
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isClosed) this.#host.requeue(this);
  }

  /** Tries again: descriptors or memory may be free. */
  retry(): void {
    if (this.#rest !== undefined) this.#host.requeue(this);
  }

  /** Reports `error`; the listener goes on. */
  fail(error: unknown): void {
    this.#host.report(error);
  }

  unref(): void {
    if (!this.isRefed) return;
    this.isRefed = false;
    if (!this.#isClosed) this.#host.countRef(-1);
  }

  ref(): void {
    if (this.isRefed) return;
    this.isRefed = true;
    if (!this.#isClosed) this.#host.countRef(1);
  }

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

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Makes connections from the first `count` streams of the batch.
   *
   * @returns Why no more were accepted: see `AcceptedBatch.stopped`.
   */
  #acceptBatch(count: number): number {
    // Read first: a handler may accept another batch, which overwrites these.
    const { stopped, passedOver } = this.#batch;
    if (passedOver !== 0) this.#host.acceptsFailed += passedOver;
    let hasRoom = true;
    for (let index = 0; index < count; index++) {
      try {
        const stream = this.#batch.stream(index);
        // A handler of this batch may have closed the listener: the rest end
        // like the connections in the backlog.
        if (this.#isClosed || !hasRoom) stream.close();
        else hasRoom = this.#host.accept(stream, this);
      } catch (error) {
        // This error must not end the rest of the batch.
        this.fail(error);
      }
    }
    return hasRoom ? stopped : NO_ROOM;
  }

  /**
   * Rests while the system is short of something. Connections wait in the
   * backlog, and no event repeats for them, so the loop does not spin.
   */
  #restAfter(errno: number): void {
    if (!SHORTAGES.has(errnoName(errno))) {
      this.fail(errorFrom(errno, `accept from "${nameOf(this.addr)}"`));
    }
    this.#awaitRoom();
    this.#notifyShortage();
  }

  #notifyShortage(): void {
    try {
      this.setup.owner.shortage?.();
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
