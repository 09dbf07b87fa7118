/**
 * How a connection breaks, fails and ends: what each of these leaves behind, and
 * what the protocol is told.
 *
 * A connection that breaks can send no more, but is read to the error behind the
 * last byte that came; then it fails. Every end goes through `destroy`.
 *
 * @module
 */

import { errorFrom } from "../../native/errors.ts";
import type { CloseReason } from "../../stream/close_reason.ts";
import {
  BROKEN,
  CLOSED,
  CLOSING,
  CONGESTED,
  ENDED,
  FAILING,
  LINGERING,
  READ_CLOSED,
  READABLE,
  STOPPED,
  UNREAD,
  WRITE_ENDING,
} from "./flags.ts";
import { type ConnectionRecord, extrasOf, requeue } from "./record.ts";
import { dropUnread } from "./unread.ts";

/** What native errors say was tried. */
const CALL = "use the connection";

/** Closes at once, and lets go of everything. */
export function destroy(
  connection: ConnectionRecord,
  reason: CloseReason,
): void {
  if (connection.flags & CLOSED) return;
  const { host } = connection;
  try {
    release(connection);
    host.forget(connection, reason);
  } finally {
    try {
      tellClosed(connection, reason);
    } finally {
      // Last: a protocol may still ask for the addresses, as a log does.
      connection.stream.close();
    }
  }
}

function tellClosed(connection: ConnectionRecord, reason: CloseReason): void {
  const { protocol, owner } = connection.setup;
  try {
    protocol.close?.(connection, reason);
  } catch (error) {
    connection.host.report(error);
  }
  try {
    owner.gone?.(connection, reason);
  } catch (error) {
    connection.host.report(error);
  }
}

/** Closes at once, so that the peer sees an error. */
export function reset(connection: ConnectionRecord, reason: CloseReason): void {
  if (connection.flags & CLOSED) return;
  try {
    connection.stream.resetOnClose = true;
  } catch {
    // macOS refuses options of a socket that is reset already.
  }
  destroy(connection, reason);
}

/** Tells the protocol of `error`, and resets the peer. */
export function failWith(connection: ConnectionRecord, error: unknown): void {
  if (connection.flags & (CLOSED | FAILING)) return;
  connection.flags |= FAILING;
  const cause = error instanceof Error ? error : new Error(String(error));
  if (connection.runs > 0) connection.host.output.drop(connection);
  try {
    connection.setup.protocol.error?.(connection, cause);
  } catch (second) {
    connection.host.report(second);
  }
  reset(connection, "error");
}

/** Fails because of the errno `-code`. */
export function failNative(connection: ConnectionRecord, code: number): void {
  failWith(connection, errorFrom(-code, CALL));
}

/** Fails, since all that had come before the connection broke was told. */
export function failBroken(connection: ConnectionRecord): void {
  failWith(connection, connection.extras!.error);
}

/** Breaks because of the socket's error. */
export function breakSocket(connection: ConnectionRecord): void {
  breakOff(
    connection,
    connection.stream.takeError() ??
      new Deno.errors.ConnectionReset("The connection was reset"),
  );
}

/** Breaks because of the errno `-code`. */
export function breakNative(connection: ConnectionRecord, code: number): void {
  breakOff(connection, errorFrom(-code, CALL));
}

/**
 * Breaks: nothing can be sent any more. Reading goes on, unless the protocol has
 * stopped it, to the error that the system tells behind the last byte.
 */
function breakOff(connection: ConnectionRecord, error: Error): void {
  if (connection.flags & (CLOSED | BROKEN)) return;
  noteBroken(connection, error);
  if (connection.flags & CLOSING) return failBroken(connection);
  if (connection.flags & LINGERING) return destroy(connection, "closed");
  const isStopped = (connection.flags & STOPPED) !== 0;
  if (isStopped && isAllRead(connection)) return failBroken(connection);
  requeue(connection);
  try {
    connection.setup.protocol.broken?.(connection, error);
  } catch (second) {
    connection.fail(second);
  }
}

/** Takes note that nothing can be sent any more. Calls nobody. */
export function noteBroken(connection: ConnectionRecord, error: Error): void {
  connection.flags = connection.flags & ~(CONGESTED | WRITE_ENDING) |
    BROKEN | READ_CLOSED | READABLE;
  extrasOf(connection).error = error;
  dropUnsent(connection);
}

/** Whether all that has come is known to be read. */
function isAllRead(connection: ConnectionRecord): boolean {
  if (connection.flags & ENDED) return true;
  return (connection.flags & UNREAD) === 0 &&
    connection.stream.unreadBytes === 0;
}

/** Forgets what waits to be sent. */
function dropUnsent(connection: ConnectionRecord): void {
  connection.outbox?.clear();
  connection.outbox = undefined;
  if (connection.runs > 0) connection.host.output.drop(connection);
}

/** Lets go of what the connection holds. */
function release(connection: ConnectionRecord): void {
  const { host } = connection;
  dropUnsent(connection);
  host.countMemory(-connection.heldBytes);
  dropUnread(connection);
  connection.flags |= CLOSED;
  const linger = connection.extras?.linger;
  connection.extras = undefined;
  if (linger !== undefined) host.clearTimer(linger);
}
