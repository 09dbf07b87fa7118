/**
 * Connecting to a name, by whichever of its addresses answers first.
 *
 * @module
 */

import {
  addressText,
  checkPort,
  type HostPort,
  hostPort,
  type UnixAddress,
  type UnixPath,
} from "../net/address.ts";
import { requireNet } from "../net/permissions.ts";
import { type Abortable, obeying } from "../base/abortable.ts";
import { allowSignal, requireNumber } from "../base/checks.ts";
import type {
  AnyFiberConnection,
  FiberConnection,
  Opening,
} from "./fiber_connection.ts";
import {
  type Attempt,
  AttemptsFailed,
  interleave,
  Race,
} from "../reactor/happy_eyeballs.ts";
import { isAddress, type Lookup } from "../reactor/lookup.ts";
import type { ConnectionOptions } from "../reactor/limits.ts";
import { Owned, type Owner, type Running } from "./owned.ts";
import type { TimerHost } from "./sleep.ts";

/** Which Unix socket to connect to, which happens at once or not at all. */
export interface UnixConnectOptions
  extends UnixPath, ConnectionOptions, Abortable {}

/** Where to connect, how long to try, and what bounds the connection. */
export interface ConnectOptions extends HostPort, ConnectionOptions, Abortable {
  /**
   * How long to try all addresses, the lookup among it; for ever if absent.
   * The `timeouts` are those of a connection, each attempt's among them.
   */
  timeoutMs?: number;
}

/** What a connect needs. */
export interface ConnectHost {
  /** Where time limits are kept. */
  readonly timers: TimerHost;
  /** Finds the addresses of a name. */
  readonly lookup: Lookup;
  /** What ends when the reactor closes. */
  readonly running: Set<Running>;
  /** Begins to connect to an IP address, without asking whether it may. */
  dial(address: HostPort | UnixPath, opening: Opening): AnyFiberConnection;
}

/**
 * Connects to a Unix socket for `owner`.
 *
 * @throws {Deno.errors.NotFound} when there is none, and others of
 * `UnixStream.connect`.
 */
export async function connectPath(
  host: ConnectHost,
  { path, signal }: UnixConnectOptions,
  owner: Owner | undefined,
): Promise<FiberConnection<UnixAddress>> {
  allowSignal(signal);
  signal?.throwIfAborted();
  const { connection, opened } = new Dialled((opening) =>
    host.dial({ path }, opening)
  );
  connection.moveTo(owner);
  await obeying(signal, opened, (reason) => connection.cancel(reason));
  return connection as FiberConnection<UnixAddress>;
}

/**
 * Connects for `owner`.
 *
 * @throws {TypeError} when `timeoutMs` is no number.
 * @throws {Deno.errors.TimedOut} when the time is over.
 * @throws {Deno.errors.NotFound} when nobody knows the name.
 * @throws {Error} of the class of the first attempt's error, whose `cause` has
 * every attempt's.
 */
export function connect(
  host: ConnectHost,
  options: ConnectOptions,
  owner: Owner | undefined,
): Promise<FiberConnection> {
  // Read once: what is permitted must be what is connected to.
  const { signal, timeoutMs } = options;
  return new Connect(host, hostPort(options), owner).run(signal, timeoutMs);
}

class Connect extends Owned {
  readonly #host: ConnectHost;
  readonly #target: HostPort;
  readonly #owner: Owner | undefined;
  readonly #late = Promise.withResolvers<never>();
  #race: Race<Dialled> | undefined = undefined;
  #stopped: { readonly reason: unknown } | undefined = undefined;

  constructor(host: ConnectHost, target: HostPort, owner: Owner | undefined) {
    super();
    this.#host = host;
    this.#target = target;
    this.#owner = owner;
    // Who waits for it is not always there yet.
    this.#late.promise.catch(() => {});
  }

  async run(
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ): Promise<FiberConnection> {
    allowSignal(signal);
    if (timeoutMs !== undefined) requireNumber("timeoutMs", timeoutMs);
    signal?.throwIfAborted();
    checkPort(this.#target.port);
    requireNet(this.#target.hostname, this.#target.port);
    const { timers } = this.#host;
    const timer = timeoutMs === undefined
      ? undefined
      : timers.setTimer(timeoutMs, () => this.#stop(this.#timedOut(timeoutMs)));
    const abort = () => this.#stop(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#begin();
    try {
      return await this.#connect();
    } finally {
      this.#end();
      signal?.removeEventListener("abort", abort);
      if (timer !== undefined) timers.clearTimer(timer);
    }
  }

  /** What has no owner any more closes what opens. */
  release(): void {}

  /** Gives up. */
  cancel(reason: unknown): void {
    this.#stop(reason);
  }

  /** Is told from now on when the fiber, or the reactor, ends. */
  #begin(): void {
    if (this.#owner === undefined) this.#host.running.add(this);
    else this.moveTo(this.#owner);
  }

  #end(): void {
    if (this.#owner === undefined) this.#host.running.delete(this);
    else this.moveTo(undefined);
  }

  async #connect(): Promise<FiberConnection> {
    const addresses = await this.#addresses();
    if (this.#stopped) throw this.#stopped.reason;
    const { port } = this.#target;
    this.#race = new Race(
      this.#host.timers,
      addresses,
      (hostname) =>
        new Dialled((opening) => this.#host.dial({ hostname, port }, opening)),
    );
    try {
      const { connection } = await this.#race.run();
      connection.moveTo(this.#owner);
      return connection as FiberConnection;
    } catch (error) {
      throw error instanceof AttemptsFailed
        ? errorOfAttempts(this.#target, error)
        : error;
    }
  }

  /** A name's addresses, or the address that the name is. */
  async #addresses(): Promise<string[]> {
    const { hostname } = this.#target;
    if (isAddress(hostname)) return [hostname];
    const found = this.#host.lookup(this.#target);
    const addresses = await Promise.race([found, this.#late.promise]);
    return orderedAddresses(this.#target, addresses);
  }

  #stop(reason: unknown): void {
    this.#stopped ??= { reason };
    this.#late.reject(reason);
    this.#race?.stop(reason);
  }

  #timedOut(timeoutMs: number): Error {
    return new Deno.errors.TimedOut(
      `Cannot connect to "${addressText(this.#target)}": ` +
        `nobody answered in ${timeoutMs} ms`,
    );
  }
}

/**
 * Returns the addresses of a name in the order to try them in.
 *
 * @throws {Deno.errors.NotFound} when there is none.
 */
export function orderedAddresses(
  { hostname }: HostPort,
  addresses: readonly string[],
): string[] {
  if (addresses.length > 0) return interleave(addresses);
  throw new Deno.errors.NotFound(
    `Cannot resolve "${hostname}": it has no address`,
  );
}

/** Returns an error of the class that the first attempt had. */
export function errorOfAttempts(
  target: HostPort,
  failed: AttemptsFailed,
): Error {
  const first = failed.failures[0]!.error;
  const Class = first.constructor as new (
    message: string,
    options: ErrorOptions,
  ) => Error;
  return new Class(
    `Cannot connect to "${addressText(target)}": ${failed.message}`,
    { cause: failed },
  );
}

/** A connection that is being made, as the race sees it. */
class Dialled implements Attempt {
  readonly connection: AnyFiberConnection;
  readonly opened: Promise<void>;

  constructor(dial: (opening: Opening) => AnyFiberConnection) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.opened = promise;
    this.connection = dial({ open: resolve, fail: reject });
  }

  giveUp(): void {
    this.connection.abort();
  }
}
