/**
 * Connecting for fibers: a promise of a connection, which a time limit, a signal
 * or the end of its fiber breaks off.
 *
 * @module
 */

import {
  addressText,
  type HostPort,
  isAddress,
  type UnixPath,
} from "../net/address.ts";
import { type Abortable, obeying } from "../base/abortable.ts";
import { allowSignal, requireNumber } from "../base/checks.ts";
import { AttemptsFailed, errorOfAttempts } from "../reactor/happy_eyeballs.ts";
import type { ConnectionOptions } from "../reactor/connection_options.ts";
import type { AnyFiberConnection } from "./fiber_connection.ts";
import type { FiberGuest } from "./fiber_guest.ts";
import type { Owner } from "./owned.ts";

/** Which Unix socket to connect to, which happens at once or not at all. */
export interface UnixConnectOptions
  extends UnixPath, ConnectionOptions, Abortable {}

/** Where to connect, how long to try, and what bounds the connection. */
export interface ConnectOptions extends HostPort, ConnectionOptions, Abortable {
  /**
   * How long to try all addresses, in milliseconds, the lookup included; without
   * limit when left out. The `timeouts` count from the start as well.
   */
  timeoutMs?: number;
}

/**
 * Connects to a name, an address or a Unix socket, for `owner`.
 *
 * @throws {TypeError} when `timeoutMs` is no number.
 * @throws {Deno.errors.TimedOut} when the time is over.
 * @throws {Deno.errors.NotFound} when nobody knows the name, or no socket is at
 * the path.
 * @throws {Error} of the class of the first attempt's error, whose `cause` has
 * every attempt's.
 */
export async function connect(
  host: FiberGuest,
  options: ConnectOptions | UnixConnectOptions,
  owner: Owner | undefined,
): Promise<AnyFiberConnection> {
  const { signal } = options;
  const timeoutMs = "path" in options ? undefined : options.timeoutMs;
  allowSignal(signal);
  if (timeoutMs !== undefined) requireNumber("timeoutMs", timeoutMs);
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const connection = host.dial(options, { open: resolve, fail: reject });
  if (owner !== undefined) connection.moveTo(owner);
  else host.running.add(connection);
  const timer = timeoutMs === undefined
    ? undefined
    : host.setTimer(timeoutMs, () => {
      connection.cancel(timedOut(options as HostPort, timeoutMs));
    });
  try {
    await obeying(signal, promise, (reason) => connection.cancel(reason));
  } catch (error) {
    throw connection.failedWith(error) ? withAddress(options, error) : error;
  } finally {
    if (timer !== undefined) host.clearTimer(timer);
    host.running.delete(connection);
  }
  if (owner === undefined) connection.moveTo(undefined);
  return connection;
}

/** Says where an attempt has failed that was made at an IP address. */
function withAddress(
  options: ConnectOptions | UnixConnectOptions,
  error: unknown,
): unknown {
  if ("path" in options || !isAddress(options.hostname)) return error;
  const cause = error as Error;
  const failure = { address: options.hostname, error: cause };
  return errorOfAttempts(options, new AttemptsFailed([failure]));
}

function timedOut(address: HostPort, timeoutMs: number): Error {
  return new Deno.errors.TimedOut(
    `Cannot connect to "${addressText(address)}": ` +
      `nobody answered in ${timeoutMs} ms`,
  );
}
