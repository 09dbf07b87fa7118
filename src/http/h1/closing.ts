/**
 * How a connection ends: when the server shuts down, when its time is over, or at
 * once.
 *
 * @module
 */

import { defer } from "../../base/own.ts";
import {
  BUSY,
  CLOSED,
  type Http1,
  isHeld,
  KEEP_ALIVE,
  PARTIAL,
  Reading,
} from "./state.ts";

/**
 * Closes when idle, else after the current answer. Never call it while bytes
 * are handed over: it reads what has come by now, which is still answered.
 */
export function shutdown(connection: Http1): void {
  connection.state &= ~KEEP_ALIVE;
  if (connection.state & BUSY) return;
  const intake = connection.intake;
  // Its request is answered, and the body's reader gets all of it.
  if (intake?.body.isHeld) return intake.watchReader();
  if (connection.reading !== Reading.HEAD) return;
  // While the peer does not read, requests may wait unread in the system.
  if (connection.transport.bufferedBytes > 0) return connection.closeAnswered();
  connection.transport.readNow();
  if (connection.isIdle) closeIdle(connection);
}

/**
 * Closes a connection that waits for a request, unless bytes of one have come
 * by now. Never call it while bytes are handed over.
 */
export function closeUnasked(connection: Http1): void {
  // A handler may be at work, and looks at all connections when it is done.
  if (connection.service.isClosing) return;
  if (connection.transport.readNow() === 0 && connection.isIdle) {
    closeIdle(connection);
  }
}

function closeIdle(connection: Http1): void {
  // A request that crosses our end cannot be answered any more.
  connection.reading = Reading.NOTHING;
  connection.pending = undefined;
  connection.countHeld();
  connection.transport.closeIdle();
}

/**
 * Something has taken too long: `write`, unsent bytes; `idle`, any byte;
 * `deadline`, what the last deadline was set for.
 */
export function timeout(connection: Http1, reason: string): void {
  if (reason === "write") return connection.transport.abort(reason);
  const { peerHasEnded } = connection.transport;
  if (connection.exchange?.isStreaming && peerHasEnded) {
    // The stream had nothing to give for too long, and the peer may be gone.
    if (reason === "deadline") connection.exchange.cancelStream();
    return;
  }
  // Nobody knows whether the peer still listens, and it has had its time.
  if (reason === "idle" && peerHasEnded) return connection.transport.close();
  if (connection.reading === Reading.BODY) {
    if (reason === "deadline") connection.intake!.check();
    else if (!(connection.state & BUSY)) connection.closeAnswered();
    return;
  }
  // While a handler works, or the client owes us reading, it is not late.
  if (connection.reading !== Reading.HEAD) return;
  if (!connection.isIdle && isHeld(connection)) return;
  if (connection.state & PARTIAL) connection.refuseUnseen(408);
  else if (reason === "idle") closeUnasked(connection);
}

/**
 * Ends at once, whatever is in progress; bytes that were written are still
 * sent. A handler that has not answered may do so in this round of Deno's
 * loop, as with `Deno.serve`: it may be the one that ends the server.
 */
export function terminate(connection: Http1): void {
  connection.state &= ~KEEP_ALIVE;
  const isHandling = (connection.state & BUSY) !== 0 &&
    !connection.exchange?.isStreaming;
  if (isHandling) defer(() => cutOff(connection));
  else cutOff(connection);
}

function cutOff(connection: Http1): void {
  if (connection.state & CLOSED) return;
  // A peer that is owed bytes would take those that came for all.
  if (!connection.exchange?.endsByClosing) connection.transport.close();
  if (!(connection.state & CLOSED)) connection.transport.abort();
}
