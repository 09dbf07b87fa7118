/**
 * The benchmark's HTTP server on denio's Workers: `WORKERS [BALANCE]`. It is also
 * the module that each of them serves.
 *
 * @module
 */

import { type Balance, serve } from "../../../mod.ts";
import { announce } from "./announce.ts";
import { hello } from "./app.ts";

/** The handler of each Worker. */
export default { fetch: hello };

if (import.meta.main) {
  const [workers = "1", balance = "shared-listener"] = Deno.args;
  const { addr } = await serve({
    module: new URL(import.meta.url),
    workers: Number(workers),
    balance: balance as Balance,
    hostname: "127.0.0.1",
    port: 0,
  });
  announce(addr);
}
