/**
 * The benchmark's echo server on `Bun.listen`: handlers that all connections
 * share, and what a write has not taken kept until `drain`. Bun runs it.
 *
 * @module
 */

import { announce } from "./announce.ts";

/** The part of a socket of Bun's that is used. */
interface Socket {
  /** What has still to be sent. */
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
      // One more may come although it is paused.
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

/** Sends what there is room for, keeps the rest, and returns if there is none. */
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
