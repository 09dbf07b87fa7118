/**
 * Replaces `Deno.serve` and `Deno.upgradeWebSocket` by denio, for programs and
 * frameworks that call them.
 *
 * Importing this module is enough: `import "denio/register"`, before other code
 * stores Deno's functions, or `deno run --preload` to leave the program unchanged.
 * Deno's types stay as they are. Deno itself serves what denio does not offer,
 * such as TLS.
 *
 * @module
 */

import type { Handler } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import { upgradeWebSocket } from "../websocket/drop_in.ts";
import type { ServeBaseOptions } from "./http_server.ts";
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
) => Deno.HttpServer<ServeAddress>;

/** Deno's properties, which may be getters that load the server. */
const DENOS = new Map(
  (["serve", "upgradeWebSocket"] as const).map((name) => [
    name,
    Object.getOwnPropertyDescriptor(Deno, name)!,
  ]),
);
const denosServe = Deno.serve as Serve;

let defaults: RegisterOptions = {};

/** What stands in their places. */
const OURS = { serve: serveHere, upgradeWebSocket } as const;

/**
 * Replaces Deno's functions by denio's, as importing this module does. Another call
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
  for (const name of DENOS.keys()) {
    Object.defineProperty(Deno, name, {
      configurable: true,
      enumerable: true,
      writable: true,
      value: OURS[name],
    });
  }
}

/**
 * Restores Deno's own functions, unless other code has replaced them since.
 * Running servers go on.
 */
export function unregister(): void {
  for (const [name, denos] of DENOS) {
    if (Deno[name] as unknown !== OURS[name]) continue;
    Object.defineProperty(Deno, name, denos);
  }
}

function serveHere(
  first?: unknown,
  second?: unknown,
): Deno.HttpServer<ServeAddress> {
  const { options, handler } = serveArguments<object, Handler<ServeAddress>>(
    first,
    second,
  );
  return refusalOf(options) === undefined
    ? (serve as Serve)({ ...defaults, ...options }, handler)
    : denosServe(options, handler);
}

register();
