/**
 * How a fiber's connection ends: the program closes it, it fails, or the
 * reactor closes it.
 *
 * @module
 */

import type { CloseReason } from "../../stream/close_reason.ts";
import type { TimeoutSet } from "../../reactor/connection_options.ts";
import { noteInbox } from "./inbox.ts";
import { rejectRead } from "./reading.ts";
import {
  closedError,
  type FiberConnectionRecord,
  noteAddresses,
  stopRunning,
} from "./record.ts";
import { rejectWriters } from "./writing.ts";

/** Sends what is written and closes; what waits is interrupted. */
export function close(record: FiberConnectionRecord): void {
  if (record.isReleased) throw closedError("close");
  const reason = new Deno.errors.Interrupted(
    "The connection was closed meanwhile",
  );
  end(record, closedError("use"), reason);
  record.connection.close();
}

/** Closes with a reset; what waits rejects with `reason`. */
export function cancel(record: FiberConnectionRecord, reason: unknown): void {
  if (record.isReleased) return;
  end(record, reason, reason);
  record.connection.abort();
}

/**
 * Ends the connection for its program.
 *
 * @param error What reads and writes reject with from now on.
 * @param reason What reads and writes that wait reject with.
 */
function end(
  record: FiberConnectionRecord,
  error: unknown,
  reason: unknown,
): void {
  record.isReleased = true;
  record.fault = { error };
  record.inbox = undefined;
  noteInbox(record);
  rejectRead(record, reason);
  rejectWriters(record, reason);
  record.leaveOwner();
}

/** The connection has failed; what came before can still be read. */
export function fail(record: FiberConnectionRecord, error: unknown): void {
  record.fault ??= { error };
  rejectRead(record, error);
  rejectWriters(record, error);
}

/** The connection is open: the connect resolves. */
export function opened(record: FiberConnectionRecord): void {
  // The system forgets the peer of a connection that both sides have ended.
  noteAddresses(record);
  record.opening?.open();
  record.opening = undefined;
}

/** The reactor has closed its connection. */
export function closed(
  record: FiberConnectionRecord,
  reason: CloseReason,
): void {
  record.isGone = true;
  const { opening } = record;
  // After this the system has no addresses; a failed connect never had any.
  if (opening === undefined) noteAddresses(record);
  const isDone = record.isEnded &&
    (reason === "ended" || reason === "closed");
  if (!record.isReleased && !isDone) {
    fail(record, errorOf(reason, record.connection.timeouts));
  }
  record.opening = undefined;
  opening?.fail(record.fault!.error);
  stopRunning(record);
}

/** Returns the error of a connection that the reactor closed for `reason`. */
function errorOf(
  reason: CloseReason,
  timeouts: TimeoutSet | undefined,
): Error {
  if (reason === "shed") {
    return new Deno.errors.ConnectionAborted(
      "The reactor closed the connection: memoryBytesMax was reached",
    );
  }
  const name = `${reason}Ms` as keyof TimeoutSet;
  const limitMs = timeouts?.[name];
  return limitMs === undefined
    ? new Deno.errors.ConnectionAborted("The reactor closed the connection")
    : new Deno.errors.TimedOut(
      `The connection took longer than its ${name}, "${limitMs}" ms`,
    );
}
