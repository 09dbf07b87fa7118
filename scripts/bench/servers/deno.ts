/**
 * The benchmark's servers on Deno: `Deno.serve` as in its documentation; as
 * `ws…` its WebSockets; and as `echo` `Deno.listen`, with a loop of read and
 * write and a buffer of the connection's own, which costs less than its streams.
 * With denio in the place of both `Deno.serve` and its WebSockets it measures
 * denio's drop-in.
 *
 * @module
 */

import { announce } from "./announce.ts";
import { handlerFor } from "./app.ts";

/** The largest message of the benchmark. */
const BUFFER_BYTES = 65_536;

const [service = ""] = Deno.args;
const where = { hostname: "127.0.0.1", port: 0, onListen: announce };
const members = new Set<WebSocket>();

if (service === "echo") {
  const listener = Deno.listen(where);
  announce(listener.addr);
  for await (const conn of listener) echo(conn);
} else {
  Deno.serve(where, service.startsWith("ws") ? upgrade : handlerFor(service));
}

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

async function echo(conn: Deno.TcpConn): Promise<void> {
  // Every other peer does this by default.
  conn.setNoDelay();
  const buffer = new Uint8Array(BUFFER_BYTES);
  try {
    for (;;) {
      const count = await conn.read(buffer);
      if (count === null) return;
      for (let sent = 0; sent < count;) {
        sent += await conn.write(buffer.subarray(sent, count));
      }
    }
  } catch {
    // The peer has reset it.
  } finally {
    conn.close();
  }
}
