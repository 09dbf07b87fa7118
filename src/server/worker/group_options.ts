/**
 * The options of a server on Workers, checked before a Worker starts: Deno
 * prints the errors of Workers.
 *
 * @module
 */

import { checkMs } from "../../http/http_limits.ts";
import { NATIVE } from "../../system/readiness.ts";
import type { System } from "../../system/system.ts";
import { givenLimits, settingsOf } from "../option_table.ts";
import type { MemberOptions } from "./control.ts";
import {
  checkCallback,
  checkGraceMs,
  hasPath,
  textOf,
} from "../serve_options.ts";
import type { UnixPath } from "../../net/address.ts";

/**
 * How Workers share connections.
 *
 * - `"shared-listener"`, the default: all Workers accept from one socket, each
 *   by a clone in its own poll, and the system notifies one of them
 *   (`EPOLLEXCLUSIVE`). A Worker that has two connections more than another
 *   leaves the next connection to the others. Each Worker may accept any
 *   waiting connection: a busy Worker keeps no client waiting, and a Worker
 *   that dies loses only the connections that it has accepted. Its successor
 *   gets the next connections until it has as many as the others.
 * - `"reuse-port"`: each Worker has its own socket (`SO_REUSEPORT`,
 *   `socket(7)`), and Linux chooses one by a hash of the addresses. A
 *   connection that waits at a Worker's socket waits for that Worker, and is
 *   reset if the Worker dies. On other systems one Worker may get all
 *   connections. Other processes may listen at the port as well.
 *
 * Measured on two cores that had other work to do (Linux 6.18, ten runs each):
 * connections of the Worker with the most, as a multiple of the mean.
 *
 * | Workers, connections at once | shared | reuse-port | `EPOLLEXCLUSIVE` alone |
 * | ---------------------------- | ------ | ---------- | ---------------------- |
 * | 2, 8                         | 1.00   | 1.25       | 1.70                   |
 * | 2, 64                        | 1.01   | 1.10       | 1.86                   |
 * | 2, 512                       | 1.00   | 1.04       | 1.43                   |
 * | 4, 8                         | 1.05   | 1.95       | 2.90                   |
 * | 4, 64                        | 1.00   | 1.31       | 2.24                   |
 * | 4, 512                       | 1.00   | 1.09       | 2.28                   |
 *
 * Processor time is the same for both: 10 µs for a request, 57 µs for a
 * connection of one request, with 7.9 system calls (7.5 by `"reuse-port"`); so
 * are the slowest percent of answers. When one of two Workers dies under 32
 * clients that connect for each request, 5 of them lose a connection (27 by
 * `"reuse-port"`); when it is busy for 200 ms, 6 wait for it (32 by
 * `"reuse-port"`).
 */
export type Balance = "shared-listener" | "reuse-port";

/** Options of a server on Workers at any address. */
export interface ServeModuleBaseOptions extends MemberOptions {
  /**
   * A module with `export default { fetch }`: a URL, or a path from the
   * program's folder. Each Worker imports it.
   */
  module: URL | string;
  /** The number of Workers; `"auto"`, one a core, when left out. */
  workers?: number | "auto";
  /** The backend of the polls; the environment's when left out. */
  backend?: string;
  /** Called when a Worker has died; by default that is printed. */
  onWorkerEnd?: (end: WorkerEnd) => void;
  /**
   * Ends the server at once when it aborts: the Workers are terminated, and
   * their connections are cut off. If it aborts before all Workers have
   * started, `serve` rejects with the signal's reason.
   */
  signal?: AbortSignal;
  /**
   * Milliseconds that Workers have to answer received requests when the server
   * shuts down. Later, Workers that have not ended are terminated, and
   * `finished` rejects. 30000 when left out; from 0, or `Infinity` for no
   * limit.
   */
  graceMs?: number;
  /**
   * Milliseconds that a Worker has to import the module and to listen. A Worker
   * that takes longer is terminated, and has failed to start. 90000 when left
   * out. From 1 to 2147483647, or `Infinity`.
   */
  startMs?: number;
}

/** Options of a server on Workers at a port. */
export interface ServeModuleOptions extends ServeModuleBaseOptions {
  /** From 0 to 65535; 8000 when left out, 0 lets the system choose. */
  port?: number;
  /** An address or a name; `0.0.0.0` when left out. */
  hostname?: string;
  /** How Workers share connections; `"shared-listener"` when left out. */
  balance?: Balance;
}

/** Options of a server on Workers at a Unix socket. */
export interface ServeModuleUnixOptions
  extends ServeModuleBaseOptions, UnixPath {
  /** The only way: the system has no `SO_REUSEPORT` for paths. */
  balance?: "shared-listener";
}

/** A Worker that has died. */
export interface WorkerEnd {
  /** The index of the Worker, from 0. */
  readonly index: number;
  /** Why the Worker died, if that is known. */
  readonly error: Error;
  /** Milliseconds until the Worker is started again. */
  readonly restartMs: number;
}

/** Options of a group: of a server, or of an echo server. */
export interface GroupOptions extends Omit<ServeModuleBaseOptions, "module"> {
  /** The module, unless the Workers echo. */
  module?: URL | string;
  /** Whether the Workers echo instead of serving a module. */
  echo?: boolean;
  /** The folder that a path is relative to; the program's when left out. */
  folder?: string;
  /** From 0 to 65535. */
  port: number;
  /** An address or a name. */
  hostname: string;
  /** A Unix socket's path instead of host and port. */
  path?: string;
  /** How Workers share connections. */
  balance?: Balance;
}

/** The most Workers. More is a mistake: no machine has so many cores. */
export const WORKERS_MAX = 1024;

/** The ways to share connections; the first one is the default. */
export const BALANCES: readonly [Balance, ...Balance[]] = [
  "shared-listener",
  "reuse-port",
];

/** Options of a poll. */
type PollOptions = Parameters<System["openPoll"]>[0];

/** Options of `serve` that modules cannot have, with what to do instead. */
const NOT_FOR_MODULES: Readonly<Record<string, string>> = {
  handler: "the module answers requests",
  fetch: "the module answers requests",
  onError: "handle errors in the module",
  onListen: 'the server that "await serve()" returns has the address',
  observer: "export it from the module, beside fetch",
  topics: "export them from the module, beside fetch",
  websocket: "export it from the module, beside fetch",
  reactor: "each Worker has its own",
  reusePort: 'use balance: "reuse-port"',
};

/**
 * Throws for an option that a server on Workers would ignore. An option that is
 * `undefined`, `null` or `false` counts as missing.
 */
function refuseIgnored(options: object): void {
  const given = options as Readonly<Record<string, unknown>>;
  for (const [name, instead] of Object.entries(NOT_FOR_MODULES)) {
    const value = given[name];
    if (value === undefined || value === null || value === false) continue;
    throw new TypeError(
      `Cannot serve a module with option "${name}": ${instead}`,
    );
  }
}

/**
 * Throws unless a group can serve with the options.
 *
 * @throws {TypeError} when an option is of a wrong type, or names something
 * unknown.
 * @throws {RangeError} when a number is out of its range.
 * @throws {Deno.errors.NotSupported} when the system does not have the backend.
 */
export function checkGroup(options: GroupOptions): void {
  const { module, echo, startMs = Infinity, graceMs = 0 } = options;
  refuseIgnored(options);
  if (!echo) checkModule(module);
  if (hasPath(options)) textOf("path", options.path);
  else textOf("hostname", options.hostname);
  checkMs("startMs", startMs);
  checkGraceMs(graceMs);
  checkCallback("onWorkerEnd", options.onWorkerEnd);
  checkMembers(options);
  const { backend } = options;
  // Opening a poll checks the name: a list of names here would grow old.
  if (backend !== undefined) {
    NATIVE.openPoll({ backend } as PollOptions).close();
  }
}

function checkModule(module: unknown): void {
  if (module instanceof URL) return;
  if (typeof module === "string" && module !== "") return;
  throw new TypeError(
    `Cannot serve module "${String(module)}": it must be a URL or a path`,
  );
}

/** Throws the errors that `serve` would throw in each Worker. */
function checkMembers(options: MemberOptions): void {
  for (const [name, value] of Object.entries(givenLimits(options))) {
    if (typeof value !== "function" && typeof value !== "symbol") continue;
    throw new TypeError(
      `Cannot pass ${name} to Workers: it is a ${typeof value}`,
    );
  }
  settingsOf(options);
}

/**
 * Returns the way to share connections.
 *
 * @throws {TypeError} when the way is unknown, or does not work for a path.
 */
export function balanceOf(options: GroupOptions): Balance {
  const { balance = BALANCES[0] } = options;
  if (!BALANCES.includes(balance)) {
    throw new TypeError(
      `Cannot balance by "${String(balance)}": it must be ` +
        BALANCES.map((name) => `"${name}"`).join(" or "),
    );
  }
  if (!hasPath(options) || balance !== "reuse-port") return balance;
  throw new TypeError(
    `Cannot balance by "${balance}" at path "${options.path}": only ports are ` +
      "reused",
  );
}

/**
 * Returns the number of Workers of an option.
 *
 * @throws {RangeError} when it is no integer from 1 to 1024.
 */
export function countOf(workers: number | "auto" = "auto"): number {
  if (workers === "auto") return navigator.hardwareConcurrency;
  if (Number.isInteger(workers) && workers >= 1 && workers <= WORKERS_MAX) {
    return workers;
  }
  throw new RangeError(
    `Cannot serve on "${String(workers)}" workers: it must be "auto" or an ` +
      `integer from 1 to ${WORKERS_MAX}`,
  );
}
