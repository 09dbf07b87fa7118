/**
 * Oak's own `listen()`, which calls `Deno.serve`: denio has replaced it. Prints
 * its address, and ends at a SIGTERM.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- the test reads it

import type { Handler } from "../../../src/http/service.ts";
import type {
  HttpServer,
  ServeOptions,
} from "../../../src/server/http_server.ts";
import { serve } from "../../../src/server/serve.ts";
import { oakApp } from "./oak.ts";

const servers: HttpServer[] = [];
Object.assign(Deno, {
  serve: (options: ServeOptions & { handler: Handler }) => {
    const server = serve(options);
    servers.push(server);
    return server;
  },
});

const app = await oakApp();
const leaving = new AbortController();
app.addEventListener("listen", ({ hostname, port, serverType }) => {
  console.log(`${serverType} at ${hostname}:${port}`);
});
const listening = app.listen({
  port: 0,
  hostname: "127.0.0.1",
  signal: leaving.signal,
});
listening.catch((error) => console.error(error));

Deno.addSignalListener("SIGTERM", async () => {
  leaving.abort();
  await Promise.all(servers.map(({ finished }) => finished));
  console.log(`${servers.length} server has finished`);
  // Oak 14 itself waits for one more request, on Deno.serve as well.
  Deno.exit();
});
