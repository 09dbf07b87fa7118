/**
 * The benchmark's HTTP server on denio's Workers: `WORKERS [BALANCE]`. It is also
 * the module that each of them serves.
 *
 * On SIGUSR2 and at its end it prints how many connections each has accepted.
 * (Deno starts a debugger on SIGUSR1.)
 *
 * @module
 */

// deno-lint-ignore-file no-console -- the benchmark reads it

import { type Balance, serve } from "../../../mod.ts";
import { announce } from "./announce.ts";
import { hello } from "./app.ts";

/** The handler of each Worker. */
export default { fetch: hello };

async function run(workers: number, balance: Balance): Promise<void> {
  const server = await serve({
    module: new URL(import.meta.url),
    workers,
    balance,
    hostname: "127.0.0.1",
    port: 0,
  });
  const printAccepted = () => console.log(`accepted ${server.accepted}`);
  Deno.addSignalListener("SIGUSR2", printAccepted);
  Deno.addSignalListener("SIGTERM", () => server.shutdown());
  announce(server.addr);
  await server.finished;
  printAccepted();
  Deno.exit();
}

if (import.meta.main) {
  const [workers = "1", balance = "shared-listener"] = Deno.args;
  await run(Number(workers), balance as Balance);
}
