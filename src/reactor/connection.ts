/**
 * A connection of a reactor, TCP or Unix, as programs see it. Its code is in
 * `connection/`, which programs cannot import.
 *
 * @module
 */

import type { CloseReason } from "../stream/close_reason.ts";
import type { Protocol, Transport } from "../stream/transport.ts";
import type { Timeouts } from "../stream/timeouts.ts";
import type { TimeoutSet } from "./connection_options.ts";

/**
 * A connection on a reactor: a {@linkcode Transport} with its time limits.
 *
 * @typeParam Data What the protocol keeps for each connection.
 */
export interface Connection<Data = unknown> extends Transport<Data> {
  /** Whether the connection keeps the process alive. */
  readonly isRefed: boolean;
  /** The time limits; `undefined` when there are none. */
  readonly timeouts: TimeoutSet | undefined;
  /** A number for the peer's network: see `TcpStream.peerKey`. */
  readonly peerKey: number;
  /**
   * When the last byte was read or sent, in milliseconds on the reactor's
   * clock. The true time may be later, by as much as a timeout may be late.
   * Without {@linkcode Timeouts} this is the present time.
   */
  readonly quietSinceMs: number;
  /**
   * Replaces the time limits, which count from now on; `undefined` removes
   * them.
   *
   * This call makes an object. For a limit that changes with every message use
   * {@linkcode Transport.setDeadline} and the handler `timeout`.
   *
   * @throws {RangeError} when a limit is out of its range.
   * @throws {TypeError} when a limit is no number.
   */
  setTimeouts(timeouts: Timeouts | undefined): void;
  /**
   * Whether the protocol waits for the peer and owes nothing: see
   * {@linkcode Protocol.isIdle}. False for a protocol without `isIdle`.
   */
  readonly isIdle: boolean;
  /**
   * Asks the protocol to finish its work and close: see
   * {@linkcode Protocol.shutdown}. Never call this from `data`.
   */
  shutdown(): void;
  /** Asks the protocol to end at once: see {@linkcode Protocol.terminate}. */
  terminate(): void;
  /** Replaces the protocol: see {@linkcode Transport.upgrade}. */
  upgrade<Next>(
    protocol: Protocol<Next, Connection<Next>>,
    data: Next,
    leftover?: Uint8Array<ArrayBuffer>,
  ): Connection<Next>;
  /** Keeps the process alive while the connection is open: the default. */
  ref(): void;
  /** Lets the process end although the connection is open. */
  unref(): void;
}

/**
 * The handlers of a listener's connections, or of a connection that `connect`
 * makes. One object serves all of them: it is their first protocol.
 *
 * @typeParam Data What the handlers keep for each connection, as
 * `connection.data`.
 */
export interface ConnectionHandlers<Data = unknown>
  extends Protocol<Data, Connection<Data>> {
  /**
   * The listener cannot accept: descriptors or memory are short. Close
   * connections that the program can spare; the listener accepts again when a
   * connection has closed.
   */
  shortage?(): void;
  /**
   * The connection is closed, also when another protocol has replaced this one;
   * called after that protocol's `close`. For servers that count connections.
   */
  gone?(connection: Connection, reason: CloseReason): void;
}
