/**
 * The benchmark's server on denio: the smallest handler there is.
 *
 * @module
 */

import { serve } from "../../../mod.ts";

serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen({ port }) {
    // deno-lint-ignore no-console -- the benchmark reads it
    console.log(`listening on 127.0.0.1:${port}`);
  },
}, () => new Response("Hello, World!"));
