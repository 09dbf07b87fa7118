/**
 * The ways in which this side ends a connection: our half alone, at once, or
 * lingering until the peer has read what was sent.
 *
 * When a socket is closed over unread bytes, or over bytes that the peer has
 * not acknowledged, the system resets the peer and drops the bytes under way.
 * So most closes linger: the connection sends our end and throws away what it
 * reads.
 *
 * @module
 */

import { wrongType } from "../../base/checks.ts";
import {
  type CloseReason,
  TIMEOUT_REASONS,
  type TimeoutReason,
} from "../../stream/close_reason.ts";
import { destroy, failBroken, reset } from "./failing.ts";
import {
  BROKEN,
  CLOSED,
  CLOSING,
  CONNECTING,
  ENDED,
  HAS_SENT,
  LINGERING,
  UNWRITABLE,
  WAITING,
  WRITE_ENDED,
  WRITE_ENDING,
} from "./flags.ts";
import {
  type ConnectionExtras,
  type ConnectionRecord,
  extrasOf,
  flushOutput,
  requeue,
  resume,
} from "./record.ts";

/**
 * How long a lingering connection waits for bytes or the peer's end, after the
 * last bytes that it has read: nginx's `lingering_timeout`.
 */
const LINGER_MS = 5_000;
/**
 * How long a connection lingers at the most after its last byte was sent:
 * nginx's `lingering_time`.
 */
const LINGER_MS_MAX = 30_000;
/** Between two questions for what was delivered: Linux needs up to 40 ms. */
const DELIVERY_MS = 20;

/** Sends what was written, then our end: see `Transport.closeWrite`. */
export function closeWrite(connection: ConnectionRecord): void {
  flushOutput(connection);
  if (!(connection.flags & UNWRITABLE)) endWritingWhenSent(connection);
}

/** Sends what was written, and closes: see `Transport.close`. */
export function close(connection: ConnectionRecord): void {
  flushOutput(connection);
  if (connection.flags & (CLOSED | CLOSING)) return;
  if (connection.flags & BROKEN) return failBroken(connection);
  connection.flags |= CLOSING;
  if (connection.flags & LINGERING) return;
  const isSent = connection.outbox === undefined;
  if (isSent && !mustLinger(connection)) {
    destroy(connection, ownReason(connection));
  } else linger(connection);
}

/** Closes when the peer has read all bytes: see `Transport.closeLingering`. */
export function closeLingering(connection: ConnectionRecord): void {
  flushOutput(connection);
  if (connection.flags & (ENDED | BROKEN)) return close(connection);
  if (connection.flags & CLOSED) return;
  connection.flags &= ~CLOSING;
  if (!(connection.flags & LINGERING)) linger(connection);
}

/** Closes a connection that owes nothing: see `Transport.closeIdle`. */
export function closeIdle(connection: ConnectionRecord): void {
  if (connection.flags & CLOSED) return;
  const wasDelivered = isDelivered(connection);
  extrasOf(connection).endsDelivered = true;
  // The protocol does not get bytes that cross our end: it cannot answer them.
  closeLingering(connection);
  const isRead = connection.readNow() === 0 && connection.outbox === undefined;
  if (isRead && wasDelivered) destroy(connection, ownReason(connection));
}

/** Closes at once, with a reset: see `Transport.abort`. */
export function abort(
  connection: ConnectionRecord,
  reason: TimeoutReason | "aborted",
): void {
  if (reason !== "aborted" && !TIMEOUT_REASONS.has(reason)) {
    throw wrongType("reason", reason, "a limit of time that has passed");
  }
  reset(connection, reason);
}

/** Asks the protocol to finish its work: see `Protocol.shutdown`. */
export function shutdown(connection: ConnectionRecord): void {
  const { protocol } = connection.setup;
  if (protocol.shutdown !== undefined) return protocol.shutdown(connection);
  // The protocol still answers the bytes that are here by now.
  connection.readNow();
  // A peer that reads slowly has often sent more meanwhile: closing over these
  // bytes would destroy bytes that the peer has not read yet.
  if (connection.bufferedBytes > 0) closeLingering(connection);
  else closeIdle(connection);
}

/** Asks the protocol to end at once: see `Protocol.terminate`. */
export function terminate(connection: ConnectionRecord): void {
  const { protocol } = connection.setup;
  if (protocol.terminate !== undefined) return protocol.terminate(connection);
  close(connection);
  if (!(connection.flags & CLOSED)) connection.abort();
}

/** Shuts our half down, after the last byte was sent. */
export function endWriting(connection: ConnectionRecord): void {
  if (connection.flags & CLOSING && !mustLinger(connection)) {
    return destroy(connection, ownReason(connection));
  }
  connection.flags = connection.flags & ~WRITE_ENDING | WRITE_ENDED;
  if (connection.flags & LINGERING) startLinger(connection);
  try {
    connection.stream.shutdown("write");
  } catch {
    // The peer has gone: the next read gives the error.
  }
  if (connection.flags & ENDED) destroy(connection, "ended");
}

function endWritingWhenSent(connection: ConnectionRecord): void {
  connection.flags |= WRITE_ENDING;
  // Shutting down a socket that still connects would end the connect.
  if (connection.outbox === undefined && !(connection.flags & CONNECTING)) {
    endWriting(connection);
  }
}

function linger(connection: ConnectionRecord): void {
  connection.flags |= LINGERING;
  if (connection.flags & WRITE_ENDED) startLinger(connection);
  else endWritingWhenSent(connection);
  if (connection.flags & CLOSED) return;
  resume(connection);
  if (connection.flags & WAITING) requeue(connection);
}

/**
 * Starts the time of lingering, once all is sent: slow peers need not hurry.
 */
function startLinger(connection: ConnectionRecord): void {
  const extras = extrasOf(connection);
  extras.lingerReadMs = connection.host.nowMs;
  extras.lingerUntilMs = extras.lingerReadMs + LINGER_MS_MAX;
  lingerOn(connection, extras, extras.endsDelivered ? DELIVERY_MS : LINGER_MS);
}

/** Lingers on while the peer goes on sending. */
function lingerOn(
  connection: ConnectionRecord,
  extras: ConnectionExtras,
  delayMs: number,
): void {
  const { host } = connection;
  extras.linger = host.setTimer(delayMs, () => {
    const untilMs = Math.min(
      extras.lingerReadMs + LINGER_MS,
      extras.lingerUntilMs,
    );
    const { endsDelivered } = extras;
    const leftMs = untilMs - host.nowMs;
    if (leftMs <= 0 || endsDelivered && isDelivered(connection)) {
      return destroy(connection, "closed");
    }
    lingerOn(connection, extras, endsDelivered ? DELIVERY_MS : leftMs);
  });
}

/** Whether the peer's system has acknowledged all that was sent. */
function isDelivered({ stream }: ConnectionRecord): boolean {
  try {
    // A Unix socket delivers its bytes although it is closed.
    return !("resetOnClose" in stream && stream.unackedBytes! > 0);
  } catch {
    return true;
  }
}

/** Whether closing at once could destroy bytes that were sent. */
function mustLinger({ flags, stream }: ConnectionRecord): boolean {
  if (!(flags & HAS_SENT) || flags & ENDED) return false;
  if (flags & WAITING) return true;
  try {
    // A Unix socket delivers its bytes although it is closed.
    return stream.unreadBytes! > 0 ||
      "resetOnClose" in stream && stream.unackedBytes! > 0;
  } catch {
    return false;
  }
}

/** The reason of our own close: the side that ended first decides. */
function ownReason({ flags }: ConnectionRecord): CloseReason {
  return flags & ENDED && !(flags & LINGERING) ? "ended" : "closed";
}
