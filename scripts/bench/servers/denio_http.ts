/**
 * The benchmark's HTTP server on denio: `serve` with its defaults, which are
 * all the limits and timeouts that it has.
 *
 * @module
 */

import { serve } from "../../../mod.ts";
import { announce } from "./announce.ts";
import { handlerFor } from "./app.ts";

serve(
  { hostname: "127.0.0.1", port: 0, onListen: announce },
  handlerFor(Deno.args[0]),
);
