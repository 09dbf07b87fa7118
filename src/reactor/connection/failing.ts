/**
 * How a connection breaks, fails and ends: what each step leaves behind, and
 * which handlers it calls.
 *
 * A broken connection can send nothing more. It is read up to the error behind
 * the last byte; then it fails. Every end goes through `destroy`.
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

/** What errors of native calls say that the program tried. */
const CALL = "use the connection";

/** Closes at once, and frees everything that the connection has. */
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
      notifyClosed(connection, reason);
    } finally {
      // Last: the handlers may still ask for the addresses, for a log.
      connection.stream.close();
    }
  }
}

function notifyClosed(connection: ConnectionRecord, reason: CloseReason): void {
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

/** Closes at once; the peer gets a reset. */
export function reset(connection: ConnectionRecord, reason: CloseReason): void {
  if (connection.flags & CLOSED) return;
  try {
    connection.stream.resetOnClose = true;
  } catch {
    // macOS refuses to set options of a socket that is reset already.
  }
  destroy(connection, reason);
}

/** Calls the protocol's `error`, and resets the peer. */
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

/** Fails with the errno `-code`. */
export function failNative(connection: ConnectionRecord, code: number): void {
  failWith(connection, errorFrom(-code, CALL));
}

/** Fails a broken connection, after the protocol got all that was read. */
export function failBroken(connection: ConnectionRecord): void {
  failWith(connection, connection.extras!.error);
}

/** Breaks with the socket's error. */
export function breakSocket(connection: ConnectionRecord): void {
  breakOff(
    connection,
    connection.stream.takeError() ??
      new Deno.errors.ConnectionReset("The connection was reset"),
  );
}

/** Breaks with the errno `-code`. */
export function breakNative(connection: ConnectionRecord, code: number): void {
  breakOff(connection, errorFrom(-code, CALL));
}

/**
 * Breaks: nothing can be sent any more. Unless the protocol has stopped
 * reading, reading goes on up to the error that the system gives after the last
 * byte.
 */
function breakOff(connection: ConnectionRecord, error: Error): void {
  if (connection.flags & (CLOSED | BROKEN)) return;
  noteBroken(connection, error);
  endBroken(connection, error);
}

/** Breaks with the errno `-code`, and calls the handlers from the loop. */
export function breakNativeLater(
  connection: ConnectionRecord,
  code: number,
): void {
  breakLater(connection, errorFrom(-code, CALL));
}

/** Breaks at once, and calls the handlers from the loop. */
export function breakLater(connection: ConnectionRecord, error: Error): void {
  if (connection.flags & (CLOSED | BROKEN)) return;
  noteBroken(connection, error);
  connection.host.setTimer(0, () => {
    if (!(connection.flags & CLOSED)) endBroken(connection, error);
  });
}

/** Ends a broken connection, or lets its protocol read on. */
function endBroken(connection: ConnectionRecord, error: Error): void {
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

/** Notes that nothing can be sent any more. Calls no handler. */
export function noteBroken(connection: ConnectionRecord, error: Error): void {
  connection.flags = connection.flags & ~(CONGESTED | WRITE_ENDING) |
    BROKEN | READ_CLOSED | READABLE;
  extrasOf(connection).error = error;
  dropUnsent(connection);
}

/** Whether all bytes that the system had were certainly read. */
function isAllRead(connection: ConnectionRecord): boolean {
  if (connection.flags & ENDED) return true;
  return (connection.flags & UNREAD) === 0 &&
    connection.stream.unreadBytes === 0;
}

/** Drops the bytes that wait to be sent. */
function dropUnsent(connection: ConnectionRecord): void {
  connection.outbox?.clear();
  connection.outbox = undefined;
  if (connection.runs > 0) connection.host.output.drop(connection);
}

/** Frees the memory and the timer of a connection. */
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
