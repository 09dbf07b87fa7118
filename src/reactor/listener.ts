/**
 * A listener of a reactor, TCP or Unix, as programs see it.
 *
 * How it accepts is in `listener/`, which no program can reach.
 *
 * @module
 */

import type { StreamAddress, TcpAddress } from "../net/address.ts";

/** A listener at an address of either kind. */
export type AnyListener = Listener<StreamAddress>;

/**
 * A listening socket that makes connections.
 *
 * @typeParam Address The form of its address.
 */
export interface Listener<Address extends StreamAddress = TcpAddress>
  extends Disposable {
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Address;
  /** Whether it is closed. */
  readonly isClosed: boolean;
  /** Whether it keeps the process alive. */
  readonly isRefed: boolean;
  /** Called once when it is closed, by its user or by the reactor. */
  onClose: (() => void) | undefined;
  /** Stops accepting: connections wait in the system's backlog. */
  pause(): void;
  /** Goes on accepting, also those that came while it was paused. */
  resume(): void;
  /**
   * Accepts the connections that wait already, for a server that is about to
   * close: closing resets each peer that is connected and was not accepted, and
   * that has perhaps asked something.
   */
  acceptWaiting(): void;
  /** Keeps the process alive while this is open, which is how it begins. */
  ref(): void;
  /** Lets the process end although this is open. */
  unref(): void;
  /**
   * Stops accepting, and removes a Unix socket's path. Connections already
   * accepted stay open. What fails on the way, as the removal may, is reported.
   */
  close(): void;
}
