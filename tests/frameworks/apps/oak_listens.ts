/**
 * Oak's own `listen()`, which calls `Deno.serve`: by then that is denio's.
 * Prints its port, and ends at a SIGTERM.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- the test reads it

import { serve } from "../../../src/server/serve.ts";
import { oakApp } from "./oak.ts";

let served = 0;
Object.assign(Deno, {
  serve: (...args: Parameters<typeof serve>) => {
    served++;
    return serve(...args);
  },
});

const app = await oakApp();
const leaving = new AbortController();
Deno.addSignalListener("SIGTERM", () => leaving.abort());
app.addEventListener("listen", ({ hostname, port, serverType }) => {
  console.log(`${serverType} at ${hostname}:${port}, served ${served}`);
});
await app.listen({ port: 0, hostname: "127.0.0.1", signal: leaving.signal });
console.log("ended");
Deno.exit();
