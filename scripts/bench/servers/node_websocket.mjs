/**
 * The benchmark's WebSocket server on a package of npm, `ws` or uWebSockets.js,
 * as `ws`, `ws-deflate` or `ws-topic`: `node node_websocket.mjs FOLDER SERVICE`.
 *
 * @module
 */

import { createRequire } from "node:module";
import process from "node:process";

const [folder, service] = process.argv.slice(2);
const library = createRequire(import.meta.url)(folder);
const compresses = service === "ws-deflate";
const TOPIC = "all";
const members = new Set();

function announce(port) {
  // deno-lint-ignore no-console -- the benchmark reads it
  console.log(`listening on 127.0.0.1:${port}`);
}

function serveByWs({ WebSocketServer }) {
  const options = { host: "127.0.0.1", port: 0, perMessageDeflate: compresses };
  const server = new WebSocketServer(options);
  server.on("listening", () => announce(server.address().port));
  server.on("connection", (socket) => {
    socket.on("message", (message, binary) => {
      if (members.has(socket)) {
        for (const each of members) {
          if (each !== socket) each.send(message, { binary });
        }
        return;
      }
      if (service === "ws-topic") members.add(socket);
      socket.send(message, { binary });
    });
    socket.on("close", () => members.delete(socket));
    // The peer has reset it; node destroys it.
    socket.on("error", () => {});
  });
}

function serveByUws({ App, SHARED_COMPRESSOR, us_socket_local_port }) {
  App().ws("/*", {
    compression: compresses ? SHARED_COMPRESSOR : 0,
    message(socket, message, isBinary) {
      if (socket.isSubscribed(TOPIC)) {
        return socket.publish(TOPIC, message, isBinary);
      }
      if (service === "ws-topic") socket.subscribe(TOPIC);
      socket.send(message, isBinary, compresses);
    },
  }).listen("127.0.0.1", 0, (socket) => announce(us_socket_local_port(socket)));
}

if (library.App === undefined) serveByWs(library);
else serveByUws(library);
