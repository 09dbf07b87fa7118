/**
 * An HTTP/1.1 server in the shape of `Deno.serve`, on this thread or on
 * Workers.
 *
 * @module
 */

import type { Handler } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import {
  type AnyServeOptions,
  type HandlerOptions,
  type HttpServer,
  serveHttp,
  type ServeOptions,
  type ServeUnixOptions,
} from "./http_server.ts";
import {
  HOSTNAME_DEFAULT,
  PORT_DEFAULT,
  refusalOf,
  serveArguments,
} from "./serve_options.ts";
import type {
  ServeModuleOptions,
  ServeModuleUnixOptions,
} from "./worker/group_options.ts";
import type { WorkersServer } from "./worker/workers.ts";

/**
 * Serves HTTP/1.1.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { serve } from "./serve.ts";
 *
 * await using server = serve(
 *   { hostname: "127.0.0.1", port: 0, onListen() {} },
 *   (request) => new Response(`Hello from ${new URL(request.url).pathname}`),
 * );
 * const response = await fetch(`http://127.0.0.1:${server.addr.port}/here`);
 * assertEquals(await response.text(), "Hello from /here");
 * ```
 *
 * @param handler Answers requests.
 * @throws {TypeError} when there is no handler, the port is no integer, or a
 * limit is no number.
 * @throws {RangeError} when a number is out of its range.
 * @throws {Deno.errors.AddrInUse} when the address is in use.
 * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
 * @throws {Deno.errors.NotSupported} when TLS or another transport is asked
 * for.
 */
export function serve(handler: Handler): HttpServer;
/**
 * Serves HTTP/1.1 and WebSockets with options.
 *
 * @param options Options of the server, with its handlers.
 */
export function serve(
  options: ServeOptions & HandlerOptions<Deno.NetAddr>,
): HttpServer;
/**
 * Serves HTTP/1.1 with options.
 *
 * @param options Options of the server.
 * @param handler Answers requests.
 */
export function serve(options: ServeOptions, handler: Handler): HttpServer;
/**
 * Serves HTTP/1.1 on a Unix socket, and removes its path in the end. URLs begin
 * with `http+unix:`, as those of `Deno.serve` do.
 *
 * @param options Options of the server.
 * @param handler Answers requests.
 */
export function serve(
  options: ServeUnixOptions,
  handler: Handler<Deno.UnixAddr>,
): HttpServer<Deno.UnixAddr>;
/**
 * Serves HTTP/1.1 and WebSockets on a Unix socket with options.
 *
 * @param options Options of the server, with its handlers.
 */
export function serve(
  options: ServeUnixOptions & HandlerOptions<Deno.UnixAddr>,
): HttpServer<Deno.UnixAddr>;
/**
 * Serves a module on Workers, each with its own reactor. All Workers accept
 * from one socket; the numbers of their open connections differ by two at the
 * most, and `accepted` has the number that each has accepted. With
 * `balance: "reuse-port"` each Worker has its own socket: see `Balance`.
 *
 * Needs `--allow-read` for denio's own files, which Deno requires for a Worker.
 * A Worker has the permissions of the program that starts it.
 *
 * @param options The module, the number of Workers, and options of the server.
 * @throws {RangeError} when the number of Workers, or a limit, is out of range.
 * @throws {TypeError} when an option is of a wrong type, names an unknown
 * balance or backend, or has no meaning for a module, such as `handler`.
 * @throws {Deno.errors.NotSupported} when TLS, another transport, or a backend
 * that the system does not have is asked for.
 * @throws {Deno.errors.TimedOut} when the module has not loaded in `startMs`.
 * @throws {Error} an error of the module, or of binding the address.
 */
export function serve(options: ServeModuleOptions): Promise<WorkersServer>;
/**
 * Serves a module on Workers at a Unix socket, and removes its path in the end.
 *
 * @param options The module, the number of Workers, and options of the server.
 */
export function serve(
  options: ServeModuleUnixOptions,
): Promise<WorkersServer<Deno.UnixAddr>>;
export function serve(
  first?: unknown,
  second?: unknown,
): HttpServer<ServeAddress> | Promise<WorkersServer<ServeAddress>> {
  if (isModule(first, second)) return serveModule(first, second);
  const { options, handler } = serveArguments<
    AnyServeOptions,
    Handler<ServeAddress>
  >(
    first,
    second,
  );
  const refusal = refusalOf(options);
  if (refusal !== undefined) throw new Deno.errors.NotSupported(refusal);
  return serveHttp(options, handler);
}

async function serveModule(
  options: ServeModuleOptions | ServeModuleUnixOptions,
  handler: unknown,
): Promise<WorkersServer<ServeAddress>> {
  const refusal = refusalOf(options);
  if (refusal !== undefined) throw new Deno.errors.NotSupported(refusal);
  const { port, hostname } = options as ServeModuleOptions;
  const group = {
    ...options,
    ...handler !== undefined && { handler },
    echo: false,
    // As with Deno.serve, null counts as left out.
    port: port ?? PORT_DEFAULT,
    hostname: hostname ?? HOSTNAME_DEFAULT,
  };
  // Only now: the import would cost any other program a millisecond.
  const { serveOnWorkers } = await import("./worker/workers.ts");
  return serveOnWorkers(group);
}

/**
 * Whether the options ask for a module. An option that is `undefined` or `null`
 * counts as missing when there is a handler, and as a mistake otherwise.
 */
function isModule(
  first: unknown,
  second: unknown,
): first is ServeModuleOptions | ServeModuleUnixOptions {
  if (typeof first !== "object" || first === null) return false;
  if (!("module" in first)) return false;
  const { module, handler = second } = first as Record<string, unknown>;
  return (module ?? undefined) !== undefined || typeof handler !== "function";
}
