/**
 * A listening socket that the reactors of several threads accept from.
 *
 * Each member has a clone of the socket in its own poll. The system keeps the
 * clones in a queue, and notifies the first member that waits just then
 * (`EPOLLEXCLUSIVE` of `epoll_ctl(2)`; without it the system notifies all, and
 * the first member accepts). Without further rules, the first member of the
 * queue gets nearly all connections that arrive one by one, and chance decides
 * about connections that arrive together. So:
 *
 * - A member that has accepted goes to the end of the queue, unless it still
 *   has the fewest connections.
 * - A member that is ahead of its rival, the member with the fewest
 *   connections, calls the rival into the queue and leaves the queue (it is
 *   away). It comes back when another member calls it, when it is not ahead any
 *   more, or after `AWAY_MS`. If connections wait at the socket even then, the
 *   rival is late: the others do not leave connections to it until it has
 *   accepted one.
 *
 * No connection is forgotten. A member that is notified accepts at least one
 * connection before it leaves the queue. For each connection beyond that, the
 * system has notified another waiting member or all members of the queue, or
 * notifies the member that is called.
 *
 * @module
 */

import { errnoNumber, WOULD_BLOCK } from "../../native/errors.ts";
import type { InterestSet } from "../../poll/interest.ts";
import type { CustomSource, Registry } from "../../poll/registry.ts";
import type { Token } from "../../poll/token.ts";
import type { StreamAddress } from "../../net/address.ts";
import { ACCEPT_MAX } from "../../net/listener.ts";
import { TcpListener } from "../../net/tcp_listener.ts";
import { UnixListener } from "../../net/unix_listener.ts";
import type { AcceptTable } from "./accept_table.ts";
import type { AcceptedBatch, ListenerSocket } from "../../system/system.ts";

/**
 * A member that has so many connections more than its rival leaves the next
 * ones to the rival. With 1 it would leave the queue after each connection.
 */
const LEAD_MAX = 2;
/**
 * Milliseconds that a member stays away: the time that a thread may wait for a
 * core of a busy machine. Within 10 ms some threads did not get a core.
 */
const AWAY_MS = 20;

const NO_MEMBER = -1;
const ALREADY_REGISTERED = -errnoNumber("EEXIST");

/** A socket that the group has opened. */
export interface SharedSocket {
  /** Its handle, which the group holds open. */
  readonly handle: number;
  /** The kind of the socket. */
  readonly transport: StreamAddress["transport"];
}

/** One member's clone of the socket. */
export class SharedListener implements ListenerSocket, CustomSource {
  readonly #socket: ListenerSocket;
  readonly #table: AcceptTable;
  readonly #index: number;
  #open = 0;
  #isAway = false;

  /**
   * @param shared The socket to accept from.
   * @param table The group's table.
   * @param index The member's row of the table.
   */
  constructor(shared: SharedSocket, table: AcceptTable, index: number) {
    const { handle, transport } = shared;
    const posted = transport === "unix"
      ? new UnixListener(handle)
      : new TcpListener(handle);
    // A handle closes with the thread that opened it: this thread clones it.
    this.#socket = posted.tryClone();
    this.#table = table;
    this.#index = index;
  }

  /** The handle of the clone. */
  get handle(): number {
    return this.#socket.handle;
  }

  /** The bound address. */
  get localAddress(): StreamAddress {
    return this.#socket.localAddress;
  }

  /** Milliseconds to stay away; `undefined` when the member is not away. */
  get restMs(): number | undefined {
    return this.#isAway ? AWAY_MS : undefined;
  }

  /** Returns an empty batch of the streams that it accepts. */
  batch(): AcceptedBatch {
    return this.#socket.batch();
  }

  /**
   * Accepts a share of the waiting connections, then leaves or queues up again.
   */
  acceptBatch(batch: AcceptedBatch): number {
    // No member has called this one back: the rival did not accept in its time.
    const late = this.#comeBack() ? this.#rival() : NO_MEMBER;
    const rival = this.#rival(late);
    const count = this.#socket.acceptBatch(batch, this.#room(rival));
    if (count === 0) return 0;
    if (late !== NO_MEMBER) this.#table.miss(late);
    const open = this.#open + count;
    // First: two members must not both see themselves ahead.
    this.#table.setOpen(this.#index, open);
    if (this.#table.size === 1 || this.#leadOf(open, rival) <= 0) return count;
    this.#queueUp(open);
    // For the rest, the system will notify this member or another.
    if (batch.stopped === 0) batch.words[0] = -WOULD_BLOCK;
    return count;
  }

  /**
   * Accepts all waiting connections, before closing: all other members may
   * close at the same time, and leave the connections to this one.
   */
  acceptRest(batch: AcceptedBatch): number {
    return this.#socket.acceptBatch(batch);
  }

  /** Counts a connection. */
  opened(): void {
    this.#open++;
  }

  /** Uncounts a connection, and comes back if the member is not ahead now. */
  closed(): void {
    this.#open--;
    this.#table.setOpen(this.#index, this.#open);
    if (!this.#isAway) return;
    if (this.#leadOf(this.#open, this.#rival()) < LEAD_MAX) this.#comeBack();
  }

  /** Leaves the queue, and notifies the rival instead, if there is one. */
  passOn(): void {
    const rival = this.#rival();
    if (rival === NO_MEMBER) return;
    this.#table.dismiss(this.#index);
    this.#isAway = true;
    this.#table.recall(rival);
  }

  /** Registers the clone, exclusively if the system can. */
  register(registry: Registry, token: Token, interest: InterestSet): void {
    let exclusive = true;
    try {
      registry.register(this.#socket, token, interest, { exclusive });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotSupported)) throw error;
      exclusive = false;
      registry.register(this.#socket, token, interest);
    }
    const listener = this.handle;
    this.#table.enter(this.#index, { registry, listener, token, exclusive });
  }

  /** Registers the clone anew: an exclusive registration cannot be changed. */
  reregister(registry: Registry, token: Token, interest: InterestSet): void {
    this.deregister(registry);
    this.register(registry, token, interest);
  }

  /** Deregisters the clone. */
  deregister(registry: Registry): void {
    this.#table.leave(this.#index);
    registry.deregister(this.#socket);
  }

  /** Closes the clone; the socket stays open while other members have it. */
  close(): void {
    this.#table.leave(this.#index);
    this.#socket.close();
  }

  /** Closes the clone, unless it is closed already. */
  [Symbol.dispose](): void {
    this.#table.leave(this.#index);
    this.#socket[Symbol.dispose]();
  }

  /** Goes to the end of the queue, or away if it is too far ahead. */
  #queueUp(open: number): void {
    this.#table.dismiss(this.#index);
    this.#isAway = true;
    // Again, since the counts of the others may have changed before `#isAway`.
    const rival = this.#rival();
    if (this.#leadOf(open, rival) < LEAD_MAX) this.#comeBack();
    else this.#table.call(rival);
  }

  /** Comes back; returns whether it was away, and no member had called it. */
  #comeBack(): boolean {
    if (!this.#isAway) return false;
    const code = this.#table.call(this.#index);
    this.#isAway = code < 0 && code !== ALREADY_REGISTERED;
    return code >= 0;
  }

  /** Returns the accepting other member with the fewest connections. */
  #rival(late = NO_MEMBER): number {
    const table = this.#table;
    let rival = NO_MEMBER;
    let fewest = Infinity;
    for (let index = 0; index < table.size; index++) {
      if (index === this.#index || index === late) continue;
      if (!table.isPresent(index)) continue;
      const open = table.open(index);
      if (open >= fewest || table.isMissing(index)) continue;
      fewest = open;
      rival = index;
    }
    return rival;
  }

  /** Returns the lead over a rival in connections; 1 without a rival. */
  #leadOf(open: number, rival: number): number {
    return rival === NO_MEMBER ? 1 : open - this.#table.open(rival);
  }

  /**
   * Returns how many connections it may accept until it is ahead; at least 1.
   */
  #room(rival: number): number {
    if (rival === NO_MEMBER) return ACCEPT_MAX;
    const room = LEAD_MAX - this.#leadOf(this.#open, rival);
    return Math.max(1, Math.min(room, ACCEPT_MAX));
  }
}
