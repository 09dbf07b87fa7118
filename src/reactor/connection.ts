/**
 * A connection of a reactor, TCP or Unix, as programs see it.
 *
 * How it works is in `connection/`, which no program can reach.
 *
 * @module
 */

import type { CloseReason } from "../stream/close_reason.ts";
import type { Protocol, Transport } from "../stream/transport.ts";
import type { Timeouts, TimeoutSet } from "./connection_options.ts";

/**
 * A connection on a reactor: a {@linkcode Transport} with its time limits.
 *
 * @typeParam Data What the protocol keeps for each connection.
 */
export interface Connection<Data = unknown> extends Transport<Data> {
  /** Whether it keeps the process alive. */
  readonly isRefed: boolean;
  /** How long it may take; `undefined` when that is without limit. */
  readonly timeouts: TimeoutSet | undefined;
  /** A number for the network that the peer is in: see `TcpStream.peerKey`. */
  readonly peerKey: number;
  /**
   * Since when, on the reactor's clock, no byte has come or gone, as far as is
   * known: it may have been later by as much as a timeout may be late. It is the
   * time now when the connection has no {@linkcode Timeouts}.
   */
  readonly quietSinceMs: number;
  /**
   * Sets how long it may take from now on, instead of what was set before;
   * `undefined` is without limit.
   *
   * It costs an object. For what changes with every message there are
   * {@linkcode Transport.setDeadline} and the handler `timeout`.
   *
   * @throws {RangeError} when one is out of its range.
   * @throws {TypeError} when one is no number.
   */
  setTimeouts(timeouts: Timeouts | undefined): void;
  /**
   * Whether its protocol says that it waits for the peer and owes nothing; false
   * when the protocol says nothing.
   */
  readonly isIdle: boolean;
  /**
   * Has its protocol finish what is under way, and close: see
   * {@linkcode Protocol.shutdown}. Never call it from `data`.
   */
  shutdown(): void;
  /** Has its protocol end at once: see {@linkcode Protocol.terminate}. */
  terminate(): void;
  /** Has another protocol take over: see {@linkcode Transport.upgrade}. */
  upgrade<Next>(
    protocol: Protocol<Next, Connection<Next>>,
    data: Next,
    leftover?: Uint8Array<ArrayBuffer>,
  ): Connection<Next>;
  /** Keeps the process alive while this is open, which is how it begins. */
  ref(): void;
  /** Lets the process end although this is open. */
  unref(): void;
}

/**
 * What is called for what happens on a listener's connections, or on one that
 * connects: one object for all of them, the protocol that they begin with.
 *
 * @typeParam Data What is kept for each connection, as `connection.data`.
 */
export interface ConnectionHandlers<Data = unknown>
  extends Protocol<Data, Connection<Data>> {
  /**
   * Nobody can be accepted: descriptors or memory are short. Close connections
   * that can be spared; accepting goes on when one has closed.
   */
  shortage?(): void;
  /**
   * The connection is closed, whatever protocol it has by then; called behind
   * that protocol's `close`. For a server that counts its connections.
   */
  gone?(connection: Connection, reason: CloseReason): void;
}
