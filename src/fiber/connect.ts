/**
 * Connecting for fibers: a promise of a connection. A time limit, a signal or
 * the end of its fiber ends the attempt.
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

/** Which Unix socket to connect to; this succeeds or fails at once. */
export interface UnixConnectOptions
  extends UnixPath, ConnectionOptions, Abortable {}

/** Where to connect, how long to try, and the limits of the connection. */
export interface ConnectOptions extends HostPort, ConnectionOptions, Abortable {
  /**
   * How long the lookup and the attempts at all addresses may take together, in
   * milliseconds; without limit when left out. The connection's `timeouts`
   * count from the start as well.
   */
  timeoutMs?: number;
}

/**
 * Connects to a name, an address or a Unix socket, for `owner`.
 *
 * @throws {TypeError} when `timeoutMs` is no number.
 * @throws {Deno.errors.TimedOut} when the time is over.
 * @throws {Deno.errors.NotFound} when the name is unknown, or no socket is at
 * the path.
 * @throws {Error} of the class of the first attempt's error; its `cause` has
 * the errors of all attempts.
 */
export async function connect(
  guest: FiberGuest,
  options: ConnectOptions | UnixConnectOptions,
  owner: Owner | undefined,
): Promise<AnyFiberConnection> {
  const { signal } = options;
  const timeoutMs = "path" in options ? undefined : options.timeoutMs;
  allowSignal(signal);
  if (timeoutMs !== undefined) requireNumber("timeoutMs", timeoutMs);
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const connection = guest.dial(options, { open: resolve, fail: reject });
  if (owner !== undefined) connection.moveTo(owner);
  else guest.running.add(connection);
  const timer = timeoutMs === undefined
    ? undefined
    : guest.setTimer(timeoutMs, () => {
      connection.cancel(timedOut(options as HostPort, timeoutMs));
    });
  try {
    await obeying(signal, promise, (reason) => connection.cancel(reason));
  } catch (error) {
    throw connection.failedWith(error) ? withAddress(options, error) : error;
  } finally {
    if (timer !== undefined) guest.clearTimer(timer);
    guest.running.delete(connection);
  }
  if (owner === undefined) connection.moveTo(undefined);
  return connection;
}

/** Adds the address to the error of an attempt at an IP address. */
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
      `no answer in ${timeoutMs} ms`,
  );
}
