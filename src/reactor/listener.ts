/**
 * A listener of a reactor, TCP or Unix, as programs see it. Its code is in
 * `listener/`, which programs cannot import.
 *
 * @module
 */

import type { StreamAddress, TcpAddress } from "../net/address.ts";

/** A listener at a TCP or Unix address. */
export type AnyListener = Listener<StreamAddress>;

/**
 * A listening socket of a reactor.
 *
 * @typeParam Address The kind of its address.
 */
export interface Listener<Address extends StreamAddress = TcpAddress>
  extends Disposable {
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Address;
  /** Whether the listener is closed. */
  readonly isClosed: boolean;
  /** Whether the listener keeps the process alive. */
  readonly isRefed: boolean;
  /** Called once when the program or the reactor has closed the listener. */
  onClose: (() => void) | undefined;
  /** Stops accepting: new connections wait in the system's backlog. */
  pause(): void;
  /** Accepts again, first the connections that wait in the backlog. */
  resume(): void;
  /**
   * Accepts the connections that wait in the backlog. Call this before `close`:
   * closing resets peers in the backlog, which may have sent a request already.
   */
  acceptWaiting(): void;
  /** Keeps the process alive while the listener is open: the default. */
  ref(): void;
  /** Lets the process end although the listener is open. */
  unref(): void;
  /**
   * Stops accepting, and removes a Unix socket's path. Accepted connections
   * stay open. The reactor's `onError` gets errors, such as one of the removal.
   */
  close(): void;
}
