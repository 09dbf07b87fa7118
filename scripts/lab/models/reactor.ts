/**
 * A reactor with callbacks: the loop of the models before, written once. It waits,
 * reads and writes, keeps what a client does not read, and calls the program when
 * bytes have come. The program has no loop, and no sockets.
 *
 * @module
 */

import { Reactor } from "../../../mod.ts";
import { announce } from "../../bench/servers/announce.ts";

const port = Number(Deno.args[1] ?? 0); // --port N
// Its turns end now and then, and Deno's loop gets one: timers, signals, fetch.
const reactor = new Reactor();
const listener = reactor.listen({ hostname: "127.0.0.1", port }, {
  data(connection, bytes, start, end) {
    connection.write(bytes, start, end);
  },
});
announce(listener.addr);
