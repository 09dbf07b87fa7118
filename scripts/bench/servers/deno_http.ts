/**
 * The benchmark's HTTP server on `Deno.serve`, as in its documentation.
 *
 * @module
 */

import { announce } from "./announce.ts";
import { handlerFor } from "./app.ts";

Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: announce },
  handlerFor(Deno.args[0]),
);
