/**
 * Fibers: code that reads as if it blocked, one fiber for each client. `await`
 * parks the fiber and not the thread; the reactor below resumes it when bytes have
 * come. An awaited read costs a promise, which a callback does not.
 *
 * @module
 */

import { Fibers, Reactor } from "../../../mod.ts";
import { announce } from "../../bench/servers/announce.ts";

const port = Number(Deno.args[1] ?? 0); // --port N
const server = new Fibers(new Reactor()).serve(
  { hostname: "127.0.0.1", port },
  async (connection) => {
    for await (const bytes of connection) await connection.write(bytes);
  },
);
announce(server.addr);
