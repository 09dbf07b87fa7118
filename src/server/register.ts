/**
 * Has denio serve what calls `Deno.serve`: programs and frameworks that know
 * nothing of it.
 *
 * Importing this module is enough, before anything keeps `Deno.serve` for
 * itself: `import "denio/register"`, or `deno run --preload` for a program that
 * is not to be changed. Deno's own types stay as they are. What denio does not
 * offer, as TLS, is left to Deno.
 *
 * @module
 */

import type { Handler } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import type { HttpServer, ServeBaseOptions } from "./http_server.ts";
import { serve } from "./serve.ts";
import { refusalOf, serveArguments } from "./serve_options.ts";

/** What servers get whose own options do not say it. */
export type RegisterOptions = Omit<
  ServeBaseOptions<ServeAddress>,
  "signal" | "onListen" | "onError"
>;

type Serve = (
  options: object,
  handler: Handler<ServeAddress>,
) => HttpServer<ServeAddress>;

/** How Deno has it, which may be a getter that loads it on first use. */
const DENOS = Object.getOwnPropertyDescriptor(Deno, "serve")!;
const denosServe = Deno.serve as Serve;

let defaults: RegisterOptions = {};

/**
 * Has denio serve what calls `Deno.serve` from now on, which importing this
 * module does as well. Calling it again only replaces the options.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { register, unregister } from "./register.ts";
 *
 * register({ bodyBytesMax: 4 });
 * const server = Deno.serve(
 *   { hostname: "127.0.0.1", port: 0, onListen() {} },
 *   async (request) => new Response(await request.text()),
 * );
 * unregister();
 * const url = `http://127.0.0.1:${server.addr.port}`;
 * const response = await fetch(url, { method: "POST", body: "large" });
 * assertEquals(response.status, 413);
 * await response.body?.cancel();
 * await server.shutdown();
 * ```
 *
 * @param options What servers get whose own options do not say it.
 */
export function register(options: RegisterOptions = {}): void {
  defaults = options;
  Object.defineProperty(Deno, "serve", {
    configurable: true,
    enumerable: true,
    writable: true,
    value: serveHere,
  });
}

/**
 * Gives `Deno.serve` back to Deno. Servers that run go on, and what somebody
 * else has put in its place stays there.
 */
export function unregister(): void {
  if (Deno.serve as unknown !== serveHere) return;
  Object.defineProperty(Deno, "serve", DENOS);
}

function serveHere(
  first?: unknown,
  second?: unknown,
): HttpServer<ServeAddress> {
  const { options, handler } = serveArguments<object, Handler<ServeAddress>>(
    first,
    second,
  );
  return refusalOf(options) === undefined
    ? (serve as Serve)({ ...defaults, ...options }, handler)
    : denosServe(options, handler);
}

register();
