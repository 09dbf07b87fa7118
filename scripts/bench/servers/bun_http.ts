/**
 * The benchmark's HTTP server on `Bun.serve`: `fetch` with the handler that
 * denio and Deno serve too; as `ws…` its WebSockets. Bun runs it.
 *
 * @module
 */

import { announce } from "./announce.ts";
import { type Handler, handlerFor, TOPIC } from "./app.ts";

/** The part of Bun's sockets that is used. */
interface Socket {
  send(message: string | Uint8Array, compresses: boolean): number;
  subscribe(topic: string): void;
  isSubscribed(topic: string): boolean;
  publish(topic: string, message: string | Uint8Array): number;
}

/** The part of Bun that is used. */
declare const Bun: {
  readonly argv: readonly string[];
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    fetch: (
      request: Request,
      server: { upgrade(request: Request): boolean },
    ) => ReturnType<Handler> | undefined;
    websocket?: {
      perMessageDeflate: boolean;
      message(socket: Socket, message: string | Uint8Array): void;
    };
  }): { readonly port: number };
};

/** As denio and nginx have it: Bun's own 10 would close what is to be idle. */
const IDLE_SECONDS = 75;

const service = Bun.argv[2]!;
const handler = handlerFor(service);
const perMessageDeflate = service === "ws-deflate";

announce(Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: IDLE_SECONDS,
  ...service.startsWith("ws")
    ? {
      fetch: (request, server) => {
        if (!server.upgrade(request)) return handler(request);
      },
      websocket: { perMessageDeflate, message },
    }
    : { fetch: handler },
}));

function message(socket: Socket, message: string | Uint8Array): void {
  if (service !== "ws-topic") socket.send(message, perMessageDeflate);
  else if (socket.isSubscribed(TOPIC)) socket.publish(TOPIC, message);
  else {
    socket.subscribe(TOPIC);
    socket.send(message, false);
  }
}
