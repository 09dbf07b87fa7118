/**
 * The benchmark's HTTP server on denio: `serve` with its defaults, which are
 * all the limits and timeouts that it has; as `ws…` its WebSockets.
 *
 * @module
 */

import { serve, type ServerWebSocket } from "../../../mod.ts";
import { announce } from "./announce.ts";
import { handlerFor, TOPIC } from "./app.ts";

type Message = Parameters<ServerWebSocket["send"]>[0];

const [service = ""] = Deno.args;
const where = { hostname: "127.0.0.1", port: 0, onListen: announce };

if (service.startsWith("ws")) {
  const message = service === "ws-topic" ? publish : echo;
  const compression = service === "ws-deflate";
  serve({ ...where, websocket: { compression, message, binary: "lent" } });
} else serve(where, handlerFor(service));

function echo(socket: ServerWebSocket, message: Message): void {
  socket.send(message);
}

function publish(socket: ServerWebSocket, message: Message): void {
  if (socket.topics.length > 0) socket.publish(TOPIC, message);
  else {
    socket.subscribe(TOPIC);
    socket.send(message);
  }
}
