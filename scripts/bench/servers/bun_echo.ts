/**
 * The benchmark's echo server on `Bun.listen`: handlers that all connections
 * share, and a buffer for bytes that wait for `drain`. Bun runs it.
 *
 * @module
 */

import { announce } from "./announce.ts";

/** The part of Bun's socket that this uses. */
interface Socket {
  /** The bytes that are not sent yet. */
  data: Uint8Array | undefined;
  /** Returns how many bytes the system took. */
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
}

declare const Bun: {
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

announce(Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
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
  },
}));

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
