/**
 * How a connection ends: when the server shuts down, when a time is over, or at
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
  SHUT_DOWN,
} from "./state.ts";

/**
 * Closes an idle connection at once, any other after the current answer. Never
 * call it while `data` runs: it reads the bytes that have arrived by now, and
 * their requests are still answered.
 */
export function shutdown(connection: Http1): void {
  connection.state = connection.state & ~KEEP_ALIVE | SHUT_DOWN;
  if (connection.state & BUSY) return;
  const intake = connection.intake;
  // The request is answered, but the reader of its body gets the whole body.
  if (intake?.body.isHeld) return intake.watchReader();
  if (connection.reading !== Reading.HEAD) return;
  // Requests may wait unread in the system, since the peer does not read.
  if (connection.transport.bufferedBytes > 0) return connection.closeAnswered();
  connection.transport.readNow();
  if (connection.isIdle) closeIdle(connection);
}

/**
 * Closes a connection that waits for a request, unless bytes of a request have
 * arrived by now. Never call it while `data` runs.
 */
export function closeUnasked(connection: Http1): void {
  // Shutting down closes all connections itself, outside of handlers.
  if (connection.service.isClosing) return;
  if (connection.transport.readNow() === 0 && connection.isIdle) {
    closeIdle(connection);
  }
}

function closeIdle(connection: Http1): void {
  // A request that arrives after our end cannot be answered any more.
  connection.reading = Reading.NOTHING;
  connection.pending = undefined;
  connection.countHeld();
  connection.transport.closeIdle();
}

/**
 * A time is over: `write`, for the peer to take bytes; `idle`, for any byte;
 * `deadline`, the time of the last `setDeadline`.
 */
export function timeout(connection: Http1, reason: string): void {
  if (reason === "write") return connection.transport.abort(reason);
  const { peerHasEnded } = connection.transport;
  if (connection.exchange?.isStreaming && peerHasEnded) {
    // The stream gave nothing for too long, and the peer may be gone.
    if (reason === "deadline") connection.exchange.cancelStream();
    return;
  }
  // The peer has sent its end, may be gone, and has had its time.
  if (reason === "idle" && peerHasEnded) return connection.transport.close();
  if (connection.reading === Reading.BODY) {
    if (reason === "deadline") checkBody(connection);
    else if (!(connection.state & BUSY)) connection.closeAnswered();
    return;
  }
  // The client is not late while a handler works, or while it has to read.
  if (connection.reading !== Reading.HEAD) return;
  if (!connection.isIdle && isHeld(connection)) return;
  if (connection.state & PARTIAL) refuseLate(connection);
  else if (reason === "idle") closeUnasked(connection);
}

/** Checks the rate of a body, behind what has come and was not read. */
function checkBody(connection: Http1): void {
  const { intake, transport } = connection;
  transport.readNow();
  const isSame = connection.intake === intake &&
    connection.reading === Reading.BODY;
  if (isSame) intake!.check();
}

/** Refuses a head that is late, unless the rest has come and was not read. */
function refuseLate(connection: Http1): void {
  const { requests, transport } = connection;
  transport.readNow();
  const isLate = connection.requests === requests &&
    (connection.state & (PARTIAL | CLOSED)) === PARTIAL &&
    connection.reading === Reading.HEAD;
  if (isLate) connection.refuseUnseen(408);
}

/**
 * Ends the connection at once; written bytes are still sent. A pending handler
 * may answer in this round of Deno's loop, as with `Deno.serve`, since that
 * handler may have ended the server.
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
  // When the end of the connection ends the body, only a reset shows the peer
  // that the body is not whole.
  if (!connection.exchange?.endsByClosing) connection.transport.close();
  if (!(connection.state & CLOSED)) connection.transport.abort();
}
