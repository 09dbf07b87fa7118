/**
 * A program that calls `Deno.serve`, which denio replaces: it has limits that
 * Deno's own has not.
 *
 * `deno run -A tests/examples/deno_app.ts`
 *
 * @module
 */

import { register } from "../../src/server/register.ts";

register({ bodyBytesMax: 1_000_000, headMs: 10_000 });

if (import.meta.main) {
  Deno.serve({ port: 8000 }, () => new Response("Hello from denio\n"));
}
