/**
 * A listening socket that the reactors of several threads accept from.
 *
 * Each has a clone of it in its own poll, of which one is told of a connection
 * and not each of them (`EPOLLEXCLUSIVE` of `epoll_ctl(2)`; where there is none
 * all are told, and the first accepts). Linux tells the first in its queue that
 * waits just then. Left at that, the first one there gets nearly all that come
 * one by one, and of those that come at once who happens to run. So
 *
 * - who has accepted goes to the end of the queue, unless it still has the
 *   fewest connections;
 * - who is ahead of who has fewest calls that one into the queue, leaves it
 *   itself, and is back when it is called, is ahead no more, or some time is
 *   over. If somebody waits at the socket even then, those whose turn it was are
 *   held up: they are not waited for again before they have accepted something.
 *
 * Nobody who connects is forgotten by that. Who is told accepts one at least
 * before it leaves the queue; of any other, another was told who waited, or all
 * in the queue, or it is told who is called.
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
 * How many connections more than another a reactor may have before it leaves
 * the next ones to that one. With 1 it would leave after each.
 */
const LEAD_MAX = 2;
/**
 * How long it leaves them: what a thread may have to wait for a core of a busy
 * machine. In 10 ms some had not run that were only not given a core.
 */
const AWAY_MS = 20;

const NOBODY = -1;
const ALREADY_REGISTERED = -errnoNumber("EEXIST");

/** A socket that others have opened. */
export interface SharedSocket {
  /** Its handle, which somebody holds open. */
  readonly handle: number;
  /** Of which kind it is. */
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
   * @param shared What to accept from.
   * @param table Where the others are.
   * @param index Its own place there.
   */
  constructor(shared: SharedSocket, table: AcceptTable, index: number) {
    const { handle, transport } = shared;
    const posted = transport === "unix"
      ? new UnixListener(handle)
      : new TcpListener(handle);
    // A handle ends with the thread that opened it: this one's must be its own.
    this.#socket = posted.tryClone();
    this.#table = table;
    this.#index = index;
  }

  /** The number by which native code knows the clone. */
  get handle(): number {
    return this.#socket.handle;
  }

  /** The bound address. */
  get localAddress(): StreamAddress {
    return this.#socket.localAddress;
  }

  /** How long to wait for the others, when it is their turn. */
  get restMs(): number | undefined {
    return this.#isAway ? AWAY_MS : undefined;
  }

  /** Returns an empty batch of the streams that it accepts. */
  batch(): AcceptedBatch {
    return this.#socket.batch();
  }

  /** Accepts its share of those who wait, and takes its place in the queue. */
  acceptBatch(batch: AcceptedBatch): number {
    // Nobody has called it back: it was another's turn all the while.
    const late = this.#comeBack() ? this.#rival() : NOBODY;
    const rival = this.#rival(late);
    const count = this.#socket.acceptBatch(batch, this.#room(rival));
    if (count === 0) return 0;
    if (late !== NOBODY) this.#table.miss(late);
    const open = this.#open + count;
    // Before the place is chosen: two must not both think that they are ahead.
    this.#table.setOpen(this.#index, open);
    if (this.#table.size === 1 || this.#leadOf(open, rival) <= 0) return count;
    this.#queueUp(open);
    // Those who are left will be told of, here or to another.
    if (batch.stopped === 0) batch.words[0] = -WOULD_BLOCK;
    return count;
  }

  /**
   * Accepts all who wait, since it is about to close: each of the others may
   * close at the same time, and leave them to this one.
   */
  acceptRest(batch: AcceptedBatch): number {
    return this.#socket.acceptBatch(batch);
  }

  /** Counts a connection. */
  opened(): void {
    this.#open++;
  }

  /** Uncounts a connection, and comes back when that was why it is away. */
  closed(): void {
    this.#open--;
    this.#table.setOpen(this.#index, this.#open);
    if (!this.#isAway) return;
    if (this.#leadOf(this.#open, this.#rival()) < LEAD_MAX) this.#comeBack();
  }

  /** Has another accept instead, when there is one. */
  passOn(): void {
    const rival = this.#rival();
    if (rival === NOBODY) return;
    this.#table.dismiss(this.#index);
    this.#isAway = true;
    this.#table.recall(rival);
  }

  /** Registers the clone, as exclusive as the system has it. */
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

  /** The same from the beginning, since what is exclusive cannot be replaced. */
  reregister(registry: Registry, token: Token, interest: InterestSet): void {
    this.deregister(registry);
    this.register(registry, token, interest);
  }

  /** Deregisters the clone. */
  deregister(registry: Registry): void {
    this.#table.leave(this.#index);
    registry.deregister(this.#socket);
  }

  /** Closes the clone; the socket goes on while others have it. */
  close(): void {
    this.#table.leave(this.#index);
    this.#socket.close();
  }

  /** Closes the clone, unless it is closed already. */
  [Symbol.dispose](): void {
    this.#table.leave(this.#index);
    this.#socket[Symbol.dispose]();
  }

  /** Goes to the end of the queue, or away when it is too far ahead. */
  #queueUp(open: number): void {
    this.#table.dismiss(this.#index);
    this.#isAway = true;
    // Looked at again: until now another may have relied on this one.
    const rival = this.#rival();
    if (this.#leadOf(open, rival) < LEAD_MAX) this.#comeBack();
    else this.#table.call(rival);
  }

  /** Returns whether it was away and nobody had called it. */
  #comeBack(): boolean {
    if (!this.#isAway) return false;
    const code = this.#table.call(this.#index);
    this.#isAway = code < 0 && code !== ALREADY_REGISTERED;
    return code >= 0;
  }

  /** Who else has the fewest connections, of those that accept them. */
  #rival(late = NOBODY): number {
    const table = this.#table;
    let rival = NOBODY;
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

  /** How many connections this one has more; 1 than nobody. */
  #leadOf(open: number, rival: number): number {
    return rival === NOBODY ? 1 : open - this.#table.open(rival);
  }

  /** How many it may accept until it is ahead, and one in any case. */
  #room(rival: number): number {
    if (rival === NOBODY) return ACCEPT_MAX;
    const room = LEAD_MAX - this.#leadOf(this.#open, rival);
    return Math.max(1, Math.min(room, ACCEPT_MAX));
  }
}
