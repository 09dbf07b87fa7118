/**
 * The benchmark's HTTP server on `Deno.serve`, as in its documentation; as
 * `ws…` its WebSockets. With denio in their place it measures denio's drop-in.
 *
 * @module
 */

import { announce } from "./announce.ts";
import { handlerFor } from "./app.ts";

const [service = ""] = Deno.args;
const members = new Set<WebSocket>();

Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: announce },
  service.startsWith("ws") ? upgrade : handlerFor(service),
);

function upgrade(request: Request): Response {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (members.has(socket)) {
      for (const each of members) if (each !== socket) each.send(data);
      return;
    }
    if (service === "ws-topic") members.add(socket);
    socket.send(data);
  };
  socket.onclose = () => members.delete(socket);
  return response;
}
