/**
 * Calls of the program's handlers. A promise of one holds further messages, and
 * its error ends one WebSocket and no other.
 *
 * @module
 */

import { closeFailed } from "./closing.ts";
import { BUSY, Phase, phaseOf, type SocketRecord } from "./state.ts";

/** Holds further messages until the promise of a handler settles. */
export function waitFor(socket: SocketRecord, result: unknown): void {
  const then = (result as PromiseLike<unknown> | undefined)?.then;
  if (typeof then !== "function") return;
  // The handler of a loop over messages works until the last of them.
  if (socket.extras?.reader === undefined) {
    socket.state |= BUSY;
    socket.transport.pause();
  }
  socket.service.host.beginWork();
  // A thenable of another library may settle at once, or twice.
  const promise = result instanceof Promise
    ? result
    : Promise.resolve(result as PromiseLike<unknown>);
  promise.then(
    () => settled(socket),
    (error) => {
      closeFailed(socket, error);
      settled(socket);
    },
  );
}

function settled(socket: SocketRecord): void {
  socket.service.host.endWork();
  socket.state &= ~BUSY;
  if (phaseOf(socket) === Phase.CLOSED) return;
  try {
    socket.goOn();
  } catch (error) {
    // An error of denio's own: nothing else would end the WebSocket.
    socket.service.host.report(error);
    socket.transport.abort();
  }
}

/** Calls a handler that may return a promise. */
export function call(socket: SocketRecord, handler: () => unknown): void {
  try {
    waitFor(socket, handler());
  } catch (error) {
    closeFailed(socket, error);
  }
}
