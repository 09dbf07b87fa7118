/**
 * The benchmark's servers on Bun, which runs this: `Bun.serve`, whose `fetch` is
 * the handler that denio and Deno serve too; as `ws…` its WebSockets; and as
 * `echo` `Bun.listen`, with handlers that all connections share, and a buffer
 * for bytes that wait for `drain`.
 *
 * @module
 */

import { announce } from "./announce.ts";
import { type Handler, handlerFor, TOPIC } from "./app.ts";

/** The part of Bun's WebSockets that is used. */
interface WebSocket {
  send(message: string | Uint8Array, compresses: boolean): number;
  subscribe(topic: string): void;
  isSubscribed(topic: string): boolean;
  publish(topic: string, message: string | Uint8Array): number;
}

/** The part of Bun's TCP sockets that is used. */
interface Socket {
  /** The bytes that are not sent yet. */
  data: Uint8Array | undefined;
  /** Returns how many bytes the system took. */
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
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
      message(socket: WebSocket, message: string | Uint8Array): void;
    };
  }): { readonly port: number };
  listen(options: {
    hostname: string;
    port: number;
    socket: {
      open(socket: Socket): void;
      data(socket: Socket, bytes: Uint8Array): void;
      drain(socket: Socket): void;
    };
  }): { readonly port: number };
};

/** As denio and nginx have it: Bun's own 10 would close what is to be idle. */
const IDLE_SECONDS = 75;

const where = { hostname: "127.0.0.1", port: 0 };
const service = Bun.argv[2]!;
const handler = handlerFor(service);
const perMessageDeflate = service === "ws-deflate";

if (service === "echo") announce(Bun.listen({ ...where, socket: echo() }));
else {
  announce(Bun.serve({
    ...where,
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
}

function message(socket: WebSocket, message: string | Uint8Array): void {
  if (service !== "ws-topic") socket.send(message, perMessageDeflate);
  else if (socket.isSubscribed(TOPIC)) socket.publish(TOPIC, message);
  else {
    socket.subscribe(TOPIC);
    socket.send(message, false);
  }
}

function echo(): Parameters<typeof Bun.listen>[0]["socket"] {
  return {
    open(socket) {
      socket.data = undefined;
    },
    data(socket, bytes) {
      // Another may come although it is paused.
      if (socket.data !== undefined) socket.data = joined(socket.data, bytes);
      else if (!send(socket, bytes)) socket.pause();
    },
    drain(socket) {
      if (socket.data !== undefined && send(socket, socket.data)) {
        socket.resume();
      }
    },
  };
}

/** Sends as many bytes as fit, keeps the rest; returns whether none is left. */
function send(socket: Socket, bytes: Uint8Array): boolean {
  const count = socket.write(bytes);
  const isAll = count === bytes.byteLength;
  socket.data = isAll ? undefined : bytes.subarray(count);
  return isAll;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.byteLength + second.byteLength);
  bytes.set(first);
  bytes.set(second, first.byteLength);
  return bytes;
}
