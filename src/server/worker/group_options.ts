/**
 * What a server on Workers is asked for, checked before anything is opened: a
 * wrong option must not first be seen by a Worker, whose errors Deno prints.
 *
 * @module
 */

import { checkMs, limitsOf } from "../../http/limits.ts";
import { NATIVE } from "../../system/readiness.ts";
import type { System } from "../../system/system.ts";
import { admissionOf } from "../admission.ts";
import { type MemberOptions, memberOptions } from "./control.ts";
import {
  backlogOf,
  checkCallback,
  checkGraceMs,
  hasPath,
  textOf,
} from "../serve_options.ts";
import type { Balance, GroupOptions } from "./workers.ts";

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
  for (const [name, value] of Object.entries(memberOptions(options))) {
    if (typeof value !== "function" && typeof value !== "symbol") continue;
    throw new TypeError(
      `Cannot pass ${name} to Workers: it is a ${typeof value}`,
    );
  }
  limitsOf(options);
  admissionOf(options);
  backlogOf(options.tcpBacklog);
  checkMs("handlerMs", options.handlerMs ?? Infinity);
  checkMs("writeMs", options.writeMs ?? Infinity);
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
