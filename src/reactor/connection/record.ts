/**
 * What the engine keeps for one connection, and what a connection needs from
 * its reactor.
 *
 * A record is small: most connections are idle. What only a few connections
 * have at a time is kept apart, in {@linkcode ConnectionExtras}.
 *
 * @module
 */

import type { ReadBuffer } from "../../bytes/read_buffer.ts";
import type {
  WriteAll,
  WriteBuffer,
  WriteTarget,
} from "../../bytes/write_buffer.ts";
import type { ByteQueue } from "../../bytes/byte_queue.ts";
import type { Outbox, OutboxMemory } from "../../bytes/outbox.ts";
import type { CloseReason } from "../../stream/close_reason.ts";
import type { Protocol } from "../../stream/transport.ts";
import type { StreamSocket } from "../../system/system.ts";
import type { Connection, ConnectionHandlers } from "../connection.ts";
import type { ConnectionLimits } from "../connection_options.ts";
import type { Queued, Ready } from "../slots.ts";
import type { Timer } from "../timers.ts";
import { CLOSED, PAUSED, QUEUED, RESUMED, WAITING } from "./flags.ts";

/** Where a read puts its bytes. */
export interface ReadTarget {
  /** The array. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The index of the first byte. */
  readonly start: number;
}

/** The listener of a connection. */
export interface Acceptor {
  /** Whether it keeps the process alive. */
  readonly isRefed: boolean;
}

/** What the connections of one listener share; never changed. */
export interface ConnectionSetup<Data = unknown> {
  /** The handlers that are called. */
  readonly protocol: Protocol<Data, Connection<Data>>;
  /** The first handlers: `gone` is called also after an upgrade. */
  readonly owner: ConnectionHandlers<Data>;
  /** The listener; `undefined` for a connection of `connect`. */
  readonly listener: Acceptor | undefined;
  /** Water marks, timeouts and the share of a turn. */
  readonly limits: ConnectionLimits;
}

/** What only a few connections have at a time. */
export interface ConnectionExtras {
  /** Held bytes: memory that the protocol keeps for this peer. */
  heldBytes: number;
  /** Looks in a row that found `heldBytes` unchanged. */
  heldLooks: number;
  /** Ends the lingering close. */
  linger: Timer | undefined;
  /** When the lingering close ends at the latest. */
  lingerUntilMs: number;
  /** When the lingering connection last read bytes. */
  lingerReadMs: number;
  /** Whether the lingering close ends as soon as the peer has all bytes. */
  endsDelivered: boolean;
  /** Why nothing can be sent. */
  error: Error | undefined;
}

/** What the engine keeps for one connection. */
export interface ConnectionRecord extends Connection, Ready, WriteTarget {
  /** Where the next read goes; `undefined` for the shared read buffer. */
  target: ReadTarget | undefined;
  /** Its reactor. */
  readonly host: ConnectionHost;
  /** Its socket. */
  readonly stream: StreamSocket;
  /** What it shares with the other connections of its listener. */
  setup: ConnectionSetup;
  /** Bytes that the system did not take; `undefined` when there are none. */
  outbox: Outbox | undefined;
  /** See {@linkcode ConnectionExtras}; `undefined` until needed. */
  extras: ConnectionExtras | undefined;
  /** The bits of `flags.ts`. */
  flags: number;
}

/** What a connection needs from its reactor. */
export interface ConnectionHost extends OutboxMemory {
  /** The shared buffer that reads go to. */
  readonly input: ReadBuffer;
  /** The shared buffer that a turn's small writes go to. */
  readonly output: WriteBuffer;
  /** Sends to several streams in one call, where the system can. */
  readonly writeAll: WriteAll | undefined;
  /** Whether its poll cannot report urgent bytes. */
  readonly lacksPriority: boolean;
  /** Whether the loop runs, and soon flushes the write buffer. */
  readonly isFresh: boolean;
  /** Calls that read, counted for all connections. */
  reads: number;
  /** Bytes that were read, counted for all connections. */
  bytesIn: number;
  /** Bytes that were read and that protocols did not get yet: `unread.ts`. */
  readonly unread: Map<unknown, ByteQueue>;
  /** Whether connections hold more memory than `memoryBytesMax`. */
  readonly isOverfull: boolean;
  /** Whether the turn has had its time: a connection reads no more in it. */
  readonly isSpent: boolean;
  /** Calls of handlers until the next look at the clock; at least 1. */
  readonly callsLeft: number;
  /**
   * Counts calls of handlers; returns whether the turn has had its time, and
   * there is memory for bytes that wait. Looks at the clock seldom: see
   * `share.ts`.
   */
  countCalls(calls: number): boolean;
  /** Calls the connection's `relieve` once when connections hold less. */
  awaitMemory(connection: ConnectionRecord): void;
  /** Counts a call that wrote, and the bytes that the system took. */
  wrote(bytes: number): void;
  /** Starts to watch a connection's new `timeouts`. */
  watch(connection: ConnectionRecord): void;
  /** Sets a connection's deadline; `Infinity` clears it. */
  setDeadline(connection: ConnectionRecord, delayMs: number): void;
  /** When a byte of the connection last moved: see `Connection`. */
  quietSinceMs(connection: ConnectionRecord): number;
  /** Changes what the poll watches a connection for. */
  reregister(connection: ConnectionRecord, interest: number): void;
  /** Calls `onReady` again in the next turn: mostly a connection's. */
  requeue(source: Queued): void;
  /** Flushes the write buffer soon, also outside of a turn. */
  flushSoon(): void;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer. */
  clearTimer(timer: Timer): void;
  /** Forgets a closed connection. */
  forget(connection: ConnectionRecord, reason: CloseReason): void;
  /** Changes the count of sources that keep the process alive. */
  countRef(delta: number): void;
  /** Reports an `error` that no handler gets. */
  report(error: unknown): void;
}

/** Returns what the connections of one listener share. */
export function setupOf<Data>(
  handlers: ConnectionHandlers<Data>,
  limits: ConnectionLimits,
  listener?: Acceptor,
): ConnectionSetup<Data> {
  return { protocol: handlers, owner: handlers, listener, limits };
}

/** Returns the extras; makes them when there are none. */
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

/** Requeues a connection: it acts again in the next turn. */
export function requeue(connection: ConnectionRecord): void {
  if (connection.flags & (QUEUED | CLOSED)) return;
  connection.flags |= QUEUED;
  connection.host.requeue(connection);
}

/** Starts to read again: see `Transport.resume`. */
export function resume(connection: ConnectionRecord): void {
  if (!(connection.flags & PAUSED)) return;
  connection.flags = connection.flags & ~PAUSED | RESUMED;
  if (connection.flags & WAITING) requeue(connection);
}

/** Sends the bytes of this connection that are in the write buffer. */
export function flushOutput(connection: ConnectionRecord): void {
  if (connection.runs > 0) connection.host.output.flushFor(connection);
}
