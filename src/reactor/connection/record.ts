/**
 * What the engine keeps of one connection, and what a connection needs of its
 * reactor.
 *
 * A record is small: there may be many that wait for nothing but their peer.
 * What few connections have at a time is kept apart.
 *
 * @module
 */

import type {
  ReadBuffer,
  WriteBuffer,
  WriteTarget,
} from "../../bytes/buffers.ts";
import type { ByteQueue } from "../../bytes/byte_queue.ts";
import type { Outbox, OutboxMemory } from "../../bytes/outbox.ts";
import type { CloseReason } from "../../stream/close_reason.ts";
import type { Protocol } from "../../stream/transport.ts";
import type { StreamSocket } from "../../system/system.ts";
import type { Connection, ConnectionHandlers } from "../connection.ts";
import type { ConnectionLimits } from "../connection_options.ts";
import type { Ready } from "../slots.ts";
import type { Timer } from "../timers.ts";
import { CLOSED, PAUSED, QUEUED, READABLE, RESUMED } from "./flags.ts";

/** Where a read goes. */
export interface ReadTarget {
  /** The array. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where in it the read begins. */
  readonly offset: number;
}

/** A listener, as its connections know it. */
export interface Acceptor {
  /** Whether it keeps the process alive. */
  readonly isRefed: boolean;
}

/** What all connections of one listener, or one connect, share; not changed. */
export interface ConnectionSetup<Data = unknown> {
  /** What is called for what happens on them. */
  readonly protocol: Protocol<Data, Connection<Data>>;
  /** What is called when one is gone, whatever protocol it has by then. */
  readonly owner: ConnectionHandlers<Data>;
  /** The listener that accepted them, if one did. */
  readonly listener: Acceptor | undefined;
  /** What bounds them. */
  readonly limits: ConnectionLimits;
}

/** What few connections have at a time. */
export interface ConnectionExtras {
  /** Memory that the protocol keeps for what the peer has sent. */
  heldBytes: number;
  /** Looks, one after the other, that found `heldBytes` unchanged. */
  heldLooks: number;
  /** Ends the lingering close. */
  linger: Timer | undefined;
  /** When the lingering close ends at the latest. */
  lingerUntilMs: number;
  /** When bytes that are thrown away were last read. */
  lingerReadMs: number;
  /** Whether the lingering close ends when the peer's side has all. */
  endsDelivered: boolean;
  /** Why nothing can be sent. */
  error: Error | undefined;
}

/** What the engine keeps of one connection. */
export interface ConnectionRecord extends Connection, Ready, WriteTarget {
  /** Where the next read goes, when that is not the shared buffer. */
  target: ReadTarget | undefined;
  /** Its reactor. */
  readonly host: ConnectionHost;
  /** Its socket. */
  readonly stream: StreamSocket;
  /** What it shares with connections that came the same way. */
  setup: ConnectionSetup;
  /** Bytes that the system had no room for, while there are some. */
  outbox: Outbox | undefined;
  /** What few connections have, while it has some of that. */
  extras: ConnectionExtras | undefined;
  /** The bits of `flags.ts`. */
  flags: number;
}

/** What a connection needs of its reactor. */
export interface ConnectionHost extends OutboxMemory {
  /** Where reads go. */
  readonly input: ReadBuffer;
  /** Where answers are serialised. */
  readonly output: WriteBuffer;
  /** Whether its poll cannot tell of urgent bytes. */
  readonly lacksPriority: boolean;
  /** Whether the loop runs, and sends what is in the write buffer soon. */
  readonly isFresh: boolean;
  /** Calls that read, of all connections. */
  reads: number;
  /** Bytes that were read. */
  bytesIn: number;
  /** What was read for connections and they were not told of yet. */
  readonly unread: Map<unknown, ByteQueue>;
  /** Whether connections hold more memory than they may. */
  readonly isOverfull: boolean;
  /** Calls the connection's `relieve`, once, when they hold less. */
  awaitMemory(connection: ConnectionRecord): void;
  /** Counts a call that wrote, and the bytes that the system took. */
  wrote(bytes: number): void;
  /** Watches a connection's `timeouts`, which are new. */
  watch(connection: ConnectionRecord): void;
  /** Sets, or with infinity clears, a connection's deadline. */
  setDeadline(connection: ConnectionRecord, delayMs: number): void;
  /** Since when a watched connection is quiet, as of the sweep's last pass. */
  quietSinceMs(connection: ConnectionRecord): number;
  /** Asks the poll to tell of room to write as well. */
  reregister(connection: ConnectionRecord, interest: number): void;
  /** Lets the connection act again in the next turn. */
  requeue(connection: ConnectionRecord): void;
  /** Sends what is in the write buffer soon, outside of a turn. */
  flushSoon(): void;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer. */
  clearTimer(timer: Timer): void;
  /** Forgets a closed connection. */
  forget(connection: ConnectionRecord, reason: CloseReason): void;
  /** Counts a connection that no longer, or again, keeps the process alive. */
  countRef(delta: number): void;
  /** Reports an `error` that nobody else can catch. */
  report(error: unknown): void;
}

/** Returns what connections share that begin with `handlers`. */
export function setupOf<Data>(
  handlers: ConnectionHandlers<Data>,
  limits: ConnectionLimits,
  listener?: Acceptor,
): ConnectionSetup<Data> {
  return { protocol: handlers, owner: handlers, listener, limits };
}

/** Returns the extras, which it makes when there are none. */
export function extrasOf(connection: ConnectionRecord): ConnectionExtras {
  return connection.extras ??= {
    heldBytes: 0,
    heldLooks: 0,
    linger: undefined,
    lingerUntilMs: 0,
    lingerReadMs: 0,
    endsDelivered: false,
    error: undefined,
  };
}

/** Lets a connection act in the next turn. */
export function requeue(connection: ConnectionRecord): void {
  if (connection.flags & (QUEUED | CLOSED)) return;
  connection.flags |= QUEUED;
  connection.host.requeue(connection);
}

/** Goes on reading. */
export function resume(connection: ConnectionRecord): void {
  if (!(connection.flags & PAUSED)) return;
  connection.flags = connection.flags & ~PAUSED | RESUMED;
  if (connection.flags & READABLE) requeue(connection);
}

/** Sends what waits for this connection in the shared write buffer. */
export function flushOutput(connection: ConnectionRecord): void {
  if (connection.runs > 0) connection.host.output.flushFor(connection);
}
