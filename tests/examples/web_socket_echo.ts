/**
 * Echoes what WebSockets send:
 * `deno task serve tests/examples/web_socket_echo.ts`.
 *
 * @module
 */

import { webSocket } from "../../mod.ts";

export default {
  fetch: () => new Response("Connect by WebSocket\n"),
  websocket: webSocket({
    compression: true,
    message: (socket, message) => void socket.send(message),
  }),
};
