/**
 * Calls of the program's handlers. A promise of one holds further messages, and
 * its error ends one WebSocket and no other.
 *
 * @module
 */

import { closeFailed } from "./closing.ts";
import {
  BUSY,
  HELD,
  type MessageReader,
  Phase,
  phaseOf,
  type SocketRecord,
} from "./state.ts";

/**
 * Microtasks between two messages. An `async` function that returns the next
 * event needs three of them to listen for the one behind it.
 */
const SPACING_MICROTASKS = 4;
const SETTLED = Promise.resolve();

/**
 * Waits for the promise of a handler.
 *
 * @param holds Whether further messages are held until it settles.
 */
export function waitFor(
  socket: SocketRecord,
  result: unknown,
  holds: boolean,
): void {
  // Most handlers return nothing, or what `send` has returned.
  if (typeof result !== "object" || result === null) return;
  if (typeof (result as PromiseLike<unknown>).then !== "function") return;
  waitUntil(socket, result as PromiseLike<unknown>, holds);
}

/** Apart: its closures would cost each message memory in `waitFor`. */
function waitUntil(
  socket: SocketRecord,
  result: PromiseLike<unknown>,
  holds: boolean,
): void {
  // A thenable of another library may settle at once, or twice.
  const promise = result instanceof Promise ? result : Promise.resolve(result);
  const reader = holds ? socket.extras?.reader : undefined;
  if (reader !== undefined) return waitForLoop(socket, promise, reader);
  // After `close` only the peer's close frame is waited for, which must be read.
  holds &&= phaseOf(socket) === Phase.OPEN;
  if (holds) {
    socket.state |= BUSY;
    socket.transport.pause();
  }
  socket.service.host.beginWork();
  promise.then(
    () => settled(socket, holds),
    (error) => {
      closeFailed(socket, error);
      settled(socket, holds);
    },
  );
}

/**
 * Waits for a handler that loops over messages. It waits most of the time, which
 * is no work: with work the reactor never blocks.
 */
function waitForLoop(
  socket: SocketRecord,
  promise: Promise<unknown>,
  reader: MessageReader,
): void {
  reader.awaited();
  promise.then(
    () => reader.done(),
    (error) => {
      closeFailed(socket, error);
      reader.done();
    },
  );
}

/**
 * Holds further messages until a few microtasks have run, if the receiver wants
 * that.
 */
export function spaceOut(socket: SocketRecord): void {
  const { receiver, host } = socket.service;
  if (!receiver.spacesMessages || socket.state & HELD) return;
  if (phaseOf(socket) !== Phase.OPEN) return;
  socket.state |= BUSY;
  socket.transport.pause();
  host.beginWork();
  let left = SPACING_MICROTASKS;
  const goOn = (): void => {
    if (--left > 0) void SETTLED.then(goOn);
    else settled(socket, true);
  };
  SETTLED.then(goOn);
}

function settled(socket: SocketRecord, holds: boolean): void {
  socket.service.host.endWork();
  // Not for any promise: `drain` is called while another handler works.
  if (!holds) return;
  socket.state &= ~BUSY;
  if (phaseOf(socket) !== Phase.CLOSED) socket.goOn();
}

/**
 * Calls a handler that may return a promise.
 *
 * @param holds See {@linkcode waitFor}.
 */
export function call(
  socket: SocketRecord,
  holds: boolean,
  handler: () => unknown,
): void {
  try {
    waitFor(socket, handler(), holds);
  } catch (error) {
    closeFailed(socket, error);
  }
}
