/**
 * What `Deno.serve` takes as arguments and options, and what it says of them.
 *
 * @module
 */

import type { ServeAddress } from "../http/transport.ts";
import { Reactor } from "../reactor/reactor.ts";

/** The port that `Deno.serve` takes when none is given. */
export const PORT_DEFAULT = 8000;
/** The address that `Deno.serve` takes when none is given: all of them. */
export const HOSTNAME_DEFAULT = "0.0.0.0";
const PORT_MAX = 65_535;

/** Options that ask for what is not here. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  cert: "TLS",
  key: "TLS",
  certFile: "TLS",
  keyFile: "TLS",
  alpnProtocols: "TLS",
  cid: "vsock",
  tunnel: "a tunnel",
};

/**
 * Takes the arguments of any overload apart, as `Deno.serve` does.
 *
 * @typeParam Options What the caller takes options for.
 * @typeParam Handler What the caller takes handlers for.
 * @throws {TypeError} when there is no handler among them.
 */
export function serveArguments<Options extends object, Handler>(
  first: unknown,
  second: unknown,
): { options: Options; handler: Handler } {
  const isHandler = typeof first === "function";
  const given = isHandler ? undefined : first as { handler?: unknown } | null;
  const options = given ?? {};
  const handler = isHandler
    ? first
    : typeof second === "function"
    ? second
    : options.handler;
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
 * Says why a server of ours cannot do what the options ask for: to serve plain
 * text where TLS was asked for would be worse than not to serve. An option that
 * is `undefined` counts as missing.
 *
 * @returns A message, or `undefined` when it can.
 */
export function refusalOf(options: object): string | undefined {
  const given = options as Readonly<Record<string, unknown>>;
  // No iterator of an array, which a program may have broken.
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
 * Returns the signal that an option means, before anything is opened.
 *
 * @throws {TypeError} when it is something else.
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
 * Throws unless a callback can be called or was left out: `null` is left out.
 *
 * @throws {TypeError} when it is something else.
 */
export function checkCallback(name: string, value: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof value === "function") return;
  throw new TypeError(
    `Cannot use ${name} "${String(value)}": it must be a function`,
  );
}

/**
 * Returns the reactor that an option means, this thread's when left out.
 *
 * @throws {TypeError} when it is something else.
 */
export function reactorOf(reactor: Reactor | null | undefined): Reactor {
  if (reactor === undefined || reactor === null) return Reactor.shared;
  if (reactor instanceof Reactor) return reactor;
  throw new TypeError(
    `Cannot use reactor "${String(reactor)}": it must be a Reactor`,
  );
}

/**
 * Returns a place's text: a hostname or a path.
 *
 * @throws {TypeError} when it is no string, or empty.
 */
export function textOf(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  const what = value === "" ? "must not be empty" : "must be a string";
  throw new TypeError(`Cannot use ${name} "${String(value)}": it ${what}`);
}

/**
 * Throws unless a time to end is one.
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
 * Returns the port that an option means: a number in text is one too.
 *
 * @throws {TypeError} when it is no integer.
 * @throws {RangeError} when it is not from 0 to 65535.
 */
export function portOf(option: unknown): number {
  // Programs that were written for Deno.serve may know its messages.
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

/** Returns what is printed of a server that listens, as `Deno.serve` does. */
export function announcement(addr: ServeAddress): string {
  if ("path" in addr) {
    return `Listening on ${addr.path.replaceAll("\0", "\\0")}`;
  }
  const { hostname, port } = addr;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  // An address that cannot be typed into every browser, and one that can.
  const isAny = hostname === "0.0.0.0" || hostname === "::";
  const here = isAny ? ` (http://localhost:${port}/)` : "";
  return `Listening on http://${host}:${port}/${here}`;
}
