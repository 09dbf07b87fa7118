/**
 * The arguments and options of `Deno.serve`, and its messages about them.
 *
 * @module
 */

import type { ServeAddress } from "../http/transport.ts";
import { Reactor } from "../reactor/reactor.ts";
import { upgradeRequired } from "./web_sockets.ts";

/** The default port, as of `Deno.serve`. */
export const PORT_DEFAULT = 8000;
/** The default address, as of `Deno.serve`: all of the machine's. */
export const HOSTNAME_DEFAULT = "0.0.0.0";
const PORT_MAX = 65_535;

/** Options of `Deno.serve` that denio does not offer. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  cert: "TLS",
  key: "TLS",
  certFile: "TLS",
  keyFile: "TLS",
  alpnProtocols: "TLS",
  cid: "vsock",
  tunnel: "a tunnel",
};

/** Where options may have a handler. */
interface GivenOptions {
  readonly handler?: unknown;
  readonly fetch?: unknown;
  readonly websocket?: unknown;
}

/**
 * Returns the options and the handler among the arguments of any overload, as
 * `Deno.serve` does.
 *
 * @typeParam Options The type of the options, which is not checked.
 * @typeParam Handler The type of the handler, which is not checked.
 * @throws {TypeError} when there is no handler.
 */
export function serveArguments<Options extends object, Handler>(
  first: unknown,
  second: unknown,
): { options: Options; handler: Handler } {
  const isHandler = typeof first === "function";
  const given = isHandler ? undefined : first as GivenOptions | null;
  const options = given ?? {};
  const handler = isHandler
    ? first
    : typeof second === "function"
    ? second
    : options.handler ?? options.fetch ??
      (options.websocket ? upgradeRequired : undefined);
  if (typeof handler === "function") {
    return { options: options as Options, handler: handler as Handler };
  }
  throw new TypeError(
    given === undefined || given === null
      ? "Cannot serve HTTP requests: either a `handler` or `options` must be " +
        "specified"
      : "Cannot serve HTTP requests: handler must be a function, received " +
        typeof handler,
  );
}

/**
 * Returns why denio cannot serve with the options: plain text instead of TLS
 * would be worse than no server. An option that is `undefined` counts as
 * missing.
 *
 * @returns A message, or `undefined` when denio can.
 */
export function refusalOf(options: object): string | undefined {
  const given = options as Readonly<Record<string, unknown>>;
  // No iterator of an array, since a program may have changed it.
  for (const name in NOT_OFFERED) {
    if (given[name] === undefined || given[name] === false) continue;
    return `Cannot serve with option "${name}": ${NOT_OFFERED[name]} is not ` +
      "offered";
  }
  const { transport = "tcp" } = given;
  const isOffered = transport === "tcp" || transport === "unix" && has(given);
  if (isOffered) return undefined;
  return `Cannot serve with transport "${String(transport)}": it must be ` +
    `"tcp", or "unix" with a path`;
}

/**
 * Returns the signal of an option.
 *
 * @throws {TypeError} when the option is no signal.
 */
export function checkSignal(
  signal: AbortSignal | null | undefined,
): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal.addEventListener === "function") return signal;
  throw new TypeError(
    `Cannot use signal "${String(signal)}": it must be an AbortSignal`,
  );
}

/**
 * Throws unless an option is a function, or left out: `undefined` or `null`.
 *
 * @throws {TypeError} when the option has another type.
 */
export function checkCallback(name: string, value: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof value === "function") return;
  throw new TypeError(
    `Cannot use ${name} "${String(value)}": it must be a function`,
  );
}

/**
 * Returns the reactor of an option; this thread's shared one when left out.
 *
 * @throws {TypeError} when the option is no reactor.
 */
export function reactorOf(reactor: Reactor | null | undefined): Reactor {
  if (reactor === undefined || reactor === null) return Reactor.shared;
  if (reactor instanceof Reactor) return reactor;
  throw new TypeError(
    `Cannot use reactor "${String(reactor)}": it must be a Reactor`,
  );
}

/**
 * Returns a hostname or a path.
 *
 * @throws {TypeError} when the option is no string, or empty.
 */
export function textOf(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  const what = value === "" ? "must not be empty" : "must be a string";
  throw new TypeError(`Cannot use ${name} "${String(value)}": it ${what}`);
}

/**
 * Throws unless `graceMs` is a time.
 *
 * @throws {RangeError} when it is below 0 or no number.
 */
export function checkGraceMs(graceMs: number): void {
  if (typeof graceMs === "number" && graceMs >= 0) return;
  throw new RangeError(
    `Cannot use graceMs "${String(graceMs)}": it must be zero or more`,
  );
}

/** Whether options ask for a Unix socket. */
export function hasPath<Options extends object>(
  options: Options,
): options is Options & { path: string } {
  return has(options as Readonly<Record<string, unknown>>);
}

function has({ path }: Readonly<Record<string, unknown>>): boolean {
  return path !== undefined && path !== null;
}

/**
 * Returns the port of an option: a number, or a number as text.
 *
 * @throws {TypeError} when the option is no integer.
 * @throws {RangeError} when it is not from 0 to 65535.
 */
export function portOf(option: unknown): number {
  // Deno's messages, since programs for Deno.serve may check them.
  if (typeof option !== "number" && typeof option !== "string") {
    throw new TypeError(`Invalid port (expected number): ${String(option)}`);
  }
  const port = typeof option === "string" ? numberIn(option) : option;
  if (!Number.isInteger(port)) {
    const text = Number.isNaN(port) && typeof option === "string"
      ? `'${option}'`
      : option;
    throw new TypeError(`Invalid port: ${text}`);
  }
  if (port >= 0 && port <= PORT_MAX) return port;
  throw new RangeError(`Invalid port (out of range): ${option}`);
}

function numberIn(text: string): number {
  return text.trim() === "" ? NaN : Number(text);
}

/** Returns the line that a listening server prints, as `Deno.serve` does. */
export function announcement(addr: ServeAddress): string {
  if ("path" in addr) {
    return `Listening on ${addr.path.replaceAll("\0", "\\0")}`;
  }
  const { hostname, port } = addr;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  // Not every browser can open an unspecified address: add one that it can.
  const isAny = hostname === "0.0.0.0" || hostname === "::";
  const here = isAny ? ` (http://localhost:${port}/)` : "";
  return `Listening on http://${host}:${port}/${here}`;
}
