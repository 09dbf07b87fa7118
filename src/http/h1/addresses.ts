/**
 * The addresses of a connection, also when its peer has gone while a handler
 * works: the system no longer knows them then.
 *
 * @module
 */

import type { ServeAddress } from "../transport.ts";
import type { Http1 } from "./state.ts";

interface Addresses {
  readonly local: ServeAddress;
  readonly remote: ServeAddress;
}

/** The addresses of connections that ended while a handler worked. */
const gone = new WeakMap<Http1, Addresses>();

/** Keeps the addresses of a connection that is gone, if the system has them. */
export function keepAddresses(connection: Http1): void {
  const { transport } = connection;
  try {
    const { localAddress: local, peerAddress: remote } = transport;
    gone.set(connection, { local, remote });
  } catch {
    // A handler that reads an address gets the error.
  }
}

/** Returns this side's address. */
export function localAddressOf(connection: Http1): ServeAddress {
  return gone.get(connection)?.local ?? connection.transport.localAddress;
}

/** Returns the peer's address; this side's for a Unix peer, which has none. */
export function remoteAddressOf(connection: Http1): ServeAddress {
  const { service, transport } = connection;
  if (service.scheme === "http+unix") return localAddressOf(connection);
  return gone.get(connection)?.remote ?? transport.peerAddress;
}
