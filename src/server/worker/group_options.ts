/**
 * What a server on Workers is asked for, checked before anything is opened: a
 * wrong option must not first be seen by a Worker, whose errors Deno prints.
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
 * How Workers share what comes.
 *
 * - `"shared-listener"`, the default: all Workers accept from one socket, each by
 *   a clone in its own poll, and the system notifies one of them
 *   (`EPOLLEXCLUSIVE`). A Worker that has two connections more than another
 *   leaves the next connection to the others. Each Worker may accept any
 *   connection that waits: a Worker that is busy keeps no client waiting, and a
 *   Worker that dies loses only the connections that it has accepted. Its
 *   successor gets the next connections until it has as many as the others.
 * - `"reuse-port"`: a socket for each (`SO_REUSEPORT`, `socket(7)`), among which
 *   Linux shares connections out by a hash of their addresses. What waits at a
 *   Worker's socket waits for that Worker, and is reset if it dies. Elsewhere
 *   one Worker may get all. Other processes may listen at the port as well.
 *
 * Measured on two cores that had other work to do (Linux 6.18, ten runs each):
 * connections of the Worker that has most, as a multiple of the mean.
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
 * Processor time is the same: 10 µs for a request, 57 µs for a connection of one
 * request, with 7.9 system calls, or 7.5 by `"reuse-port"`; so are the slowest
 * percent of answers. When one of two Workers dies under 32 clients that connect
 * for each request, 5 of them lose one, by `"reuse-port"` 27; when it is busy
 * for 200 ms, 6 wait for it, by `"reuse-port"` 32.
 */
export type Balance = "shared-listener" | "reuse-port";

/** What a server on Workers is made of, wherever it is. */
export interface ServeModuleBaseOptions extends MemberOptions {
  /**
   * A module with `export default { fetch }`: a URL, or a path from the
   * program's folder. Each Worker imports it for itself.
   */
  module: URL | string;
  /** How many Workers; `"auto"`, one a core, when left out. */
  workers?: number | "auto";
  /** What to wait with; the environment's when left out. */
  backend?: string;
  /** Called when a Worker has died; left out, that is printed. */
  onWorkerEnd?: (end: WorkerEnd) => void;
  /**
   * Ends the server at once when it aborts: the Workers are terminated, and
   * their connections are cut off. If it aborts before all Workers have
   * started, `serve` rejects with the signal's reason.
   */
  signal?: AbortSignal;
  /**
   * Milliseconds that Workers have to answer what has come, when the server
   * shuts down. Workers that have not ended by then are terminated, and
   * `finished` rejects. 30000 when left out; from 0, and `Infinity` waits for
   * ever.
   */
  graceMs?: number;
  /**
   * Milliseconds that a Worker has to import the module and to listen. A Worker
   * that takes longer is terminated, and counts as one that failed to start.
   * 90000 when left out. From 1 to 2147483647, or `Infinity`.
   */
  startMs?: number;
}

/** What a server on Workers is made of, at a port. */
export interface ServeModuleOptions extends ServeModuleBaseOptions {
  /** From 0 to 65535; 8000 when left out, 0 for one of the system's choosing. */
  port?: number;
  /** An address or a name; `0.0.0.0` when left out. */
  hostname?: string;
  /** How Workers share what comes; `"shared-listener"` when left out. */
  balance?: Balance;
}

/** What a server on Workers is made of, at a Unix socket. */
export interface ServeModuleUnixOptions
  extends ServeModuleBaseOptions, UnixPath {
  /** The only way: the system has no `SO_REUSEPORT` for paths. */
  balance?: "shared-listener";
}

/** A Worker that has died. */
export interface WorkerEnd {
  /** Which, from 0. */
  readonly index: number;
  /** Why, as far as it is known. */
  readonly error: Error;
  /** When it is started again. */
  readonly restartMs: number;
}

/** What is to be served, and who is told. */
export interface GroupOptions extends Omit<ServeModuleBaseOptions, "module"> {
  /** The module, unless the Workers echo. */
  module?: URL | string;
  /** Whether the Workers echo instead of serving a module. */
  echo?: boolean;
  /** The folder from which a path leads; the program's when left out. */
  folder?: string;
  /** From 0 to 65535. */
  port: number;
  /** An address or a name. */
  hostname: string;
  /** A Unix socket's path instead of host and port. */
  path?: string;
  /** How Workers share what comes. */
  balance?: Balance;
}

/** The most Workers. More is a slip: no machine has as many cores. */
export const WORKERS_MAX = 1024;

/** The ways to share connections, the better one first, which is the default. */
export const BALANCES: readonly [Balance, ...Balance[]] = [
  "shared-listener",
  "reuse-port",
];

/** How a poll is opened. */
type PollOptions = Parameters<System["openPoll"]>[0];

/** Options of `serve` that are not for modules, and what there is instead. */
const NOT_FOR_MODULES: Readonly<Record<string, string>> = {
  handler: "the module answers requests",
  onError: "handle errors in the module",
  onListen: 'the server that "await serve()" returns has the address',
  observer: "export it from the module, beside fetch",
  reactor: "each Worker has its own",
  reusePort: 'use balance: "reuse-port"',
};

/**
 * Throws when an option is given that a server on Workers would ignore. One
 * that is `undefined`, `null` or `false` counts as missing.
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
 * Throws unless a group can serve as it is asked to.
 *
 * @throws {TypeError} when an option is of a wrong type, or names nothing that
 * there is.
 * @throws {RangeError} when a number is out of its range.
 * @throws {Deno.errors.NotSupported} when the system has not got the backend.
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
  // Opening a poll says what is wrong with a name; a list here would only age.
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

/** Throws what the `serve` of each Worker would throw. */
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
 * Returns the way to share connections that options mean.
 *
 * @throws {TypeError} when there is no such way, or not for a path.
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
 * Returns how many Workers an option means.
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
