/**
 * Bytes that were read for a connection and that its protocol did not get yet:
 * a handler of the same batch has paused the connection, the protocol has given
 * them back, or they are the bytes that the old protocol left over at an upgrade.
 *
 * Few connections have such bytes, so the reactor keeps the queues.
 *
 * @module
 */

import { assert } from "../../base/assert.ts";
import { ByteQueue } from "../../bytes/byte_queue.ts";
import {
  ENDED,
  ENDING_NOTIFIED,
  READ_CLOSED,
  READABLE,
  UNREAD,
} from "./flags.ts";
import { type ConnectionRecord, requeue } from "./record.ts";

/** Returns how much memory these bytes take. */
export function unreadBytes(connection: ConnectionRecord): number {
  if (!(connection.flags & UNREAD)) return 0;
  return connection.host.unread.get(connection)!.memoryBytes;
}

/** Returns how many bytes there are. */
export function unreadLength(connection: ConnectionRecord): number {
  if (!(connection.flags & UNREAD)) return 0;
  return connection.host.unread.get(connection)!.byteLength;
}

/** Keeps bytes for a later turn, before those that are kept already. */
export function keepForLater(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  keepUnreadFirst(connection, bytes);
  const { flags } = connection;
  // The protocol had the end already, and gets it again behind these bytes.
  if (flags & ENDED) {
    connection.flags = flags & ~ENDED | READ_CLOSED | READABLE |
      ENDING_NOTIFIED;
  }
  requeue(connection);
}

/** Keeps bytes behind those that are kept already. */
export function keepUnread(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): void {
  const { host } = connection;
  // A queue is there already when the batch had two events of the connection.
  const kept = host.unread.get(connection) ?? new ByteQueue();
  const before = kept.memoryBytes;
  kept.push(bytes, start, end);
  host.countMemory(kept.memoryBytes - before);
  host.unread.set(connection, kept);
  connection.flags |= UNREAD;
}

/** Keeps bytes before those that are kept already. */
export function keepUnreadFirst(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  const kept = connection.host.unread.get(connection);
  const later = new Uint8Array(kept?.byteLength ?? 0);
  if (kept !== undefined) takeUnread(connection, later);
  keepUnread(connection, bytes, 0, bytes.byteLength);
  if (kept !== undefined) keepUnread(connection, later, 0, later.byteLength);
}

/** Moves bytes to `to`, as many as fit; returns how many. */
export function takeUnread(
  connection: ConnectionRecord,
  to: Uint8Array<ArrayBuffer>,
): number {
  const { host } = connection;
  const kept = host.unread.get(connection);
  assert(kept !== undefined, "a connection with UNREAD has a queue");
  const before = kept.memoryBytes;
  const count = kept.moveTo(to);
  host.countMemory(kept.memoryBytes - before);
  // The connection goes on: it has not stalled.
  if (connection.extras !== undefined) connection.extras.heldLooks = 0;
  if (kept.byteLength === 0) {
    connection.flags &= ~UNREAD;
    host.unread.delete(connection);
  }
  return count;
}

/** Drops the bytes. */
export function dropUnread(connection: ConnectionRecord): void {
  if (!(connection.flags & UNREAD)) return;
  const { host } = connection;
  host.countMemory(-host.unread.get(connection)!.memoryBytes);
  connection.flags &= ~UNREAD;
  host.unread.delete(connection);
}
