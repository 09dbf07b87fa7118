/**
 * A handler that upgrades as one for `Deno.serve` does: it answers each text
 * with its words in reverse order.
 *
 * @module
 */

import {
  type HttpServer,
  serve,
  type ServeOptions,
  upgradeWebSocket,
} from "../../mod.ts";

/** Serves at the address of `options`. */
export function serveReverse(options: ServeOptions): HttpServer {
  return serve(options, (request) => {
    if (request.headers.get("upgrade") !== "websocket") {
      return new Response("Connect by WebSocket\n", { status: 426 });
    }
    const { socket, response } = upgradeWebSocket(request);
    socket.onmessage = ({ data }) => {
      socket.send(String(data).split(" ").reverse().join(" "));
    };
    return response;
  });
}
