/**
 * Replaces `Deno.serve` by denio, for programs and frameworks that call it.
 *
 * Importing this module is enough: `import "denio/register"`, before other code
 * stores `Deno.serve`, or `deno run --preload` to leave the program unchanged.
 * Deno's types stay as they are. Deno itself serves what denio does not offer,
 * such as TLS.
 *
 * @module
 */

import type { Handler } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import type { HttpServer, ServeBaseOptions } from "./http_server.ts";
import { serve } from "./serve.ts";
import { refusalOf, serveArguments } from "./serve_options.ts";

/** Default options of the servers. */
export type RegisterOptions = Omit<
  ServeBaseOptions<ServeAddress>,
  "signal" | "onListen" | "onError"
>;

type Serve = (
  options: object,
  handler: Handler<ServeAddress>,
) => HttpServer<ServeAddress>;

/** Deno's property, which may be a getter that loads the server. */
const DENOS = Object.getOwnPropertyDescriptor(Deno, "serve")!;
const denosServe = Deno.serve as Serve;

let defaults: RegisterOptions = {};

/**
 * Replaces `Deno.serve` by denio, as importing this module does. Another call
 * only replaces the options.
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
 * @param options Default options of the servers: their own options override
 * them.
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
 * Restores Deno's own `Deno.serve`, unless other code has replaced it since.
 * Running servers go on.
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
