/**
 * The benchmark's HTTP server on `Bun.serve`: `fetch` with the handler that
 * denio and Deno serve too. Bun runs it.
 *
 * @module
 */

import { announce } from "./announce.ts";
import { type Handler, handlerFor } from "./app.ts";

/** The part of Bun that is used. */
declare const Bun: {
  readonly argv: readonly string[];
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    fetch: Handler;
  }): { readonly port: number };
};

/** As denio and nginx have it: Bun's own 10 would close what is to be idle. */
const IDLE_SECONDS = 75;

announce(Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: IDLE_SECONDS,
  fetch: handlerFor(Bun.argv[2]),
}));
