/**
 * A program's own source on a reactor: a UDP socket, a pipe, or any other that
 * a `Registry` takes.
 *
 * @module
 */

import type { InterestSet } from "../poll/interest.ts";
import type { Source } from "../poll/registry.ts";
import type { Ready } from "./slots.ts";

/** A source that a reactor watches: made by `Reactor.watch`. */
export interface Watch extends Disposable {
  /** Whether the watch and its source are closed. */
  readonly isClosed: boolean;
  /** Whether the watch keeps the process alive. */
  readonly isRefed: boolean;
  /**
   * Calls the handler again in the next turn, with a readiness of 0. A handler
   * with more work calls this, so that other sources get their turn.
   */
  requeue(): void;
  /**
   * Replaces the readiness that the reactor waits for. The handler is called
   * also for what is ready already.
   */
  setInterest(interest: InterestSet): void;
  /** Keeps the process alive while the watch is open: the default. */
  ref(): void;
  /** Lets the process end although the watch is open. */
  unref(): void;
  /** Closes the watch and its source; the handler is not called again. */
  close(): void;
}

/** The handler of a watch: called with bits of `Readiness`. */
export type ReadyHandler = (readiness: number, watch: Watch) => void;

/** What a watched source needs from its reactor. */
export interface WatchHost {
  /** Replaces the readiness that a source is watched for. */
  setInterest(watched: WatchedSource, interest: InterestSet): void;
  /** Calls the source's `onReady` again in the next turn. */
  requeue(watched: WatchedSource): void;
  /** Forgets a closed source. */
  forgetWatched(watched: WatchedSource): void;
  /** Changes the count of sources that keep the process alive. */
  countRef(delta: number): void;
  /** Reports an error that no handler gets. */
  report(error: unknown): void;
}

/** A source and its handler: see `Watch`. */
export class WatchedSource implements Ready, Watch {
  token = 0;
  isRefed = true;
  isClosed = false;
  readonly source: Source & Disposable;
  readonly #host: WatchHost;
  readonly #ready: ReadyHandler;

  constructor(
    host: WatchHost,
    source: Source & Disposable,
    ready: ReadyHandler,
  ) {
    this.#host = host;
    this.source = source;
    this.#ready = ready;
  }

  onReady(readiness: number): void {
    if (!this.isClosed) this.#ready(readiness, this);
  }

  fail(error: unknown): void {
    this.#host.report(error);
    this.close();
  }

  requeue(): void {
    if (!this.isClosed) this.#host.requeue(this);
  }

  setInterest(interest: InterestSet): void {
    if (!this.isClosed) this.#host.setInterest(this, interest);
  }

  ref(): void {
    if (this.isRefed) return;
    this.isRefed = true;
    if (!this.isClosed) this.#host.countRef(1);
  }

  unref(): void {
    if (!this.isRefed) return;
    this.isRefed = false;
    if (!this.isClosed) this.#host.countRef(-1);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    try {
      this.source[Symbol.dispose]();
    } finally {
      this.#host.forgetWatched(this);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
