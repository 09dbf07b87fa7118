/**
 * The benchmark's servers on denio, with its defaults, which are all the limits
 * and timeouts that it has: HTTP; as `ws…` WebSockets; as `echo` the library's
 * own, in which `data` writes the reactor's buffer back; and as `fibers` the
 * same loop as the one on `Deno.listen`, a connection each.
 *
 * @module
 */

import {
  echo,
  Fibers,
  Reactor,
  serve,
  type ServerWebSocket,
} from "../../../mod.ts";
import { announce } from "./announce.ts";
import { handlerFor, TOPIC } from "./app.ts";

type Message = Parameters<ServerWebSocket["send"]>[0];

/** The largest message of the benchmark. */
const BUFFER_BYTES = 65_536;

const [service = ""] = Deno.args;
const where = { hostname: "127.0.0.1", port: 0, onListen: announce };

if (service === "echo") announce(echo(where).addr);
else if (service === "fibers") announce(serveByFibers().addr);
else if (service.startsWith("ws")) {
  const message = service === "ws-topic" ? publish : sendBack;
  const compression = service === "ws-deflate";
  serve({ ...where, websocket: { compression, message, binary: "lent" } });
} else serve(where, handlerFor(service));

function serveByFibers() {
  return new Fibers(new Reactor()).serve(where, async (connection) => {
    const buffer = new Uint8Array(BUFFER_BYTES);
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) return;
      // When this resolves, all bytes are sent or copied.
      await connection.write(buffer.subarray(0, count));
    }
  });
}

function sendBack(socket: ServerWebSocket, message: Message): void {
  socket.send(message);
}

function publish(socket: ServerWebSocket, message: Message): void {
  if (socket.topics.length > 0) socket.publish(TOPIC, message);
  else {
    socket.subscribe(TOPIC);
    socket.send(message);
  }
}
