/**
 * The sources that are registered with a reactor's poll: their tokens, the
 * number of each kind, and the number that keeps the process alive.
 *
 * @module
 */

import { Interest, type InterestSet } from "../poll/interest.ts";
import type { Source } from "../poll/registry.ts";
import type { CloseReason } from "../stream/close_reason.ts";
import type { ReactorPoll, StreamSocket } from "../system/system.ts";
import { EngineConnection } from "./connection/engine.ts";
import { READING } from "./connection/writing.ts";
import type { EngineListener } from "./listener/engine.ts";
import { type Ready, Slots } from "./slots.ts";
import { WatchedSource } from "./watch.ts";

/** The kinds of sources, beside an attempt to connect. */
export type Registered = EngineListener | EngineConnection | WatchedSource;

/** The sources of one reactor. */
export class Sources {
  /** Which source has which token. */
  readonly slots = new Slots();
  /** Sources and timers that keep the process alive. */
  refs = 0;
  /** Connections that listeners have accepted. */
  accepted = 0;
  /** Connections that `connect` has begun, or `adopt` has taken over. */
  connected = 0;
  /** Connections that have closed, by their reason. */
  readonly closed: Record<CloseReason, number> = {
    ended: 0,
    closed: 0,
    aborted: 0,
    error: 0,
    idle: 0,
    read: 0,
    write: 0,
    lifetime: 0,
    deadline: 0,
    shed: 0,
  };
  readonly #poll: ReactorPoll;
  /** Streams that still connect, before there is a connection for them. */
  #attempts = 0;
  /** The program's own sources: see `WatchedSource`. */
  #watches = 0;

  /** @param poll Where sources are registered. */
  constructor(poll: ReactorPoll) {
    this.#poll = poll;
  }

  /** Listeners and connections that are open. */
  get size(): number {
    return this.slots.size - this.#attempts - this.#watches;
  }

  /** Connections that are open. */
  get open(): number {
    let open = this.accepted + this.connected;
    for (const count of Object.values(this.closed)) open -= count;
    return open;
  }

  /** Yields all connections. */
  *connections(): IterableIterator<EngineConnection> {
    for (const source of this.slots) {
      if (source instanceof EngineConnection) yield source;
    }
  }

  /**
   * Registers a source; its socket is closed when that fails.
   *
   * @throws {RangeError} when a million tokens are in use.
   * @throws {Deno.errors.BadResource} and others of `Registry.register`.
   */
  add(
    source: Registered,
    socket: Source & Disposable,
    interest: InterestSet,
  ): void {
    let isInserted = false;
    try {
      this.slots.insert(source);
      isInserted = true;
      this.#poll.register(socket, source.token, interest);
    } catch (error) {
      // Without a slot the source's token is still 0, another source's token.
      if (isInserted) this.slots.remove(source.token);
      socket[Symbol.dispose]();
      throw error;
    }
    this.#count(source);
  }

  /** Adds a connection that has no socket yet. */
  addUnregistered(connection: EngineConnection): void {
    this.slots.insert(connection);
    this.#count(connection);
  }

  /** Calls `attempt` when `stream` is ready. */
  watchAttempt(attempt: Ready, stream: StreamSocket): void {
    try {
      this.slots.insert(attempt);
      this.#attempts++;
      this.#poll.register(stream, attempt.token, READING | Interest.WRITABLE);
    } catch (error) {
      this.unwatchAttempt(attempt);
      stream.close();
      throw error;
    }
  }

  /** Forgets an attempt to connect. */
  unwatchAttempt(attempt: Ready): void {
    if (this.slots.get(attempt.token) !== attempt) return;
    this.slots.remove(attempt.token);
    this.#attempts--;
  }

  /** Forgets a source that has closed. */
  remove(source: Registered): void {
    this.slots.remove(source.token);
    if (source.isRefed) this.refs--;
    if (source instanceof WatchedSource) this.#watches--;
  }

  #count(source: Registered): void {
    if (source.isRefed) this.refs++;
    if (source instanceof WatchedSource) this.#watches++;
    if (!(source instanceof EngineConnection)) return;
    if (source.listener === undefined) this.connected++;
    else this.accepted++;
  }
}
