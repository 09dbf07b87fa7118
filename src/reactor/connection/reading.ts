/**
 * Reading: until the system has no more bytes, the protocol pauses, the peer
 * does not read what was written, or the connection has had its share of the
 * turn, of bytes or of time.
 *
 * Bytes go to the shared read buffer, where the protocol gets them.
 *
 * @module
 */

import { WOULD_BLOCK } from "../../native/errors.ts";
import { close } from "./closing.ts";
import { breakNative, destroy, failBroken, failNative } from "./failing.ts";
import {
  BOTH_ENDED,
  BROKEN,
  BULK,
  CLOSED,
  CLOSING,
  END_FLAGS,
  ENDED,
  ENDING_NOTIFIED,
  HEARD,
  INTERRUPTED,
  LINGERING,
  MARKED,
  PAUSED,
  READ_CLOSED,
  READABLE,
  READS_ON,
  STOPPED,
  UNREAD,
  UNREADABLE,
  WRITE_ENDED,
} from "./flags.ts";
import { type ConnectionRecord, requeue } from "./record.ts";
import { keepUnread, takeUnread, unreadLength } from "./unread.ts";

/**
 * A connection with reads below this is read together with others. A batch has
 * room for so many bytes of it; the rest would take another read.
 */
const BULK_BYTES_MIN = 2_048;

/** Reads what the system has, up to the connection's share of the turn. */
export function read(connection: ConnectionRecord): void {
  const { host, stream } = connection;
  const { input } = host;
  let budget = connection.setup.limits.turnReadBytes;
  while (!isStopped(connection)) {
    // In one piece: where it is cut, a request would come in part.
    if (connection.flags & UNREAD) input.makeRoom(unreadLength(connection));
    const { bytes, start } = connection.target ?? input;
    const end = bytes.byteLength;
    if (connection.flags & UNREAD) {
      // Through the read buffer: the protocol may retain what it gets.
      const count = takeUnread(connection, bytes.subarray(start, end));
      deliver(connection, bytes, start, start + count);
      budget -= count;
    } else if (!(connection.flags & READABLE)) {
      return;
    } else {
      const count = stream.tryRead(bytes, start, end);
      host.reads++;
      if (!take(connection, bytes, start, count, end - start)) return;
      budget -= count;
    }
    if (budget <= 0 || host.isSpent) return requeue(connection);
  }
}

/** Whether the protocol or the peer has stopped reading. */
function isStopped({ flags, setup }: ConnectionRecord): boolean {
  if (!(flags & (UNREADABLE | CLOSING))) return false;
  const isLingering = (flags & LINGERING) !== 0;
  if (flags & CLOSING && !isLingering) return true;
  const readsOn = isLingering || setup.protocol.keepsReading === true;
  return (flags & (readsOn ? STOPPED : UNREADABLE)) !== 0;
}

/**
 * Acts on the result of a read: `count` bytes, 0 for the end, or `-errno`.
 *
 * @param room How many bytes could have been read.
 * @returns Whether there may be more to read.
 */
function take(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  count: number,
  room: number,
): boolean {
  if (count <= 0) {
    stopReading(connection, count);
    return false;
  }
  const { flags } = connection;
  // After a short read the system has no more, and later bytes are a new event.
  // But no event follows the peer's end, so reading goes on up to it; and a
  // read stops at an urgent byte, although no event reports the bytes behind.
  const drained = count < room && !(flags & READS_ON);
  connection.flags = HEARD |
    (drained
      ? flags & (count < BULK_BYTES_MIN ? ~(READABLE | BULK) : ~READABLE)
      : flags | (count < room ? READABLE : READABLE | BULK));
  connection.host.bytesIn += count;
  deliver(connection, bytes, start, start + count);
  return !drained;
}

/** Acts on the result of a read in a batch: see {@linkcode take}. */
export function takeOfBatch(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  count: number,
  room: number,
): boolean {
  return connection.flags & INTERRUPTED
    ? takeInterrupted(connection, bytes, start, count, room)
    : take(connection, bytes, start, count, room);
}

/**
 * Keeps the result of a read in a batch for the next turn, since this one has
 * had its time. Errors are not kept: the system reports each once.
 */
export function postponeOfBatch(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  count: number,
  room: number,
): void {
  // First: a queued connection is not notified of its end now.
  requeue(connection);
  takeInterrupted(connection, bytes, start, count, room);
}

/**
 * Acts on it when a handler of the same batch has paused or closed this one.
 */
function takeInterrupted(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  count: number,
  room: number,
): boolean {
  const { flags } = connection;
  if (flags & (CLOSED | ENDED)) return false;
  const isWaiting = (flags & (PAUSED | UNREAD)) !== 0;
  const isLingering = (flags & LINGERING) !== 0;
  // The system reports an error only once.
  const hasFailed = count < 0 && count !== WOULD_BLOCK;
  if (hasFailed && flags & UNREAD) breakNative(connection, count);
  else if (hasFailed || isLingering && !isWaiting) {
    return take(connection, bytes, start, count, room);
  }
  if (flags & CLOSING && !isLingering) return false;
  if (count > 0) {
    connection.host.bytesIn += count;
    keepUnread(connection, bytes, start, start + count);
    // As after any read: see `take`.
    const drained = count < room && !(flags & READS_ON);
    connection.flags |= drained ? HEARD : HEARD | READABLE;
  }
  if (count === 0) {
    // The end is read again, after the protocol got all bytes before it.
    connection.flags |= READABLE | READ_CLOSED;
    if ((connection.flags & END_FLAGS) === READ_CLOSED) {
      notifyEnding(connection);
    }
  }
  return false;
}

/** Hands bytes to the protocol; a lingering connection throws them away. */
function deliver(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): void {
  if (!(connection.flags & LINGERING)) {
    const { protocol } = connection.setup;
    return protocol.data(connection, bytes, start, end);
  }
  const { extras } = connection;
  if (extras === undefined) return;
  extras.lingerReadMs = connection.host.nowMs;
  // This peer still sends: it has not read our end.
  extras.endsDelivered = false;
}

/** Acts on a read without bytes: the end, an error, or nothing yet. */
function stopReading(connection: ConnectionRecord, count: number): void {
  connection.flags &= ~(READABLE | MARKED);
  if (connection.flags & BROKEN) return failBroken(connection);
  if (count === WOULD_BLOCK) return;
  if (count < 0) return failNative(connection, count);
  connection.flags |= ENDED;
  if (connection.flags & LINGERING) {
    // Unsent bytes still have to go: the peer may be reading.
    if (connection.flags & WRITE_ENDED) destroy(connection, "closed");
    return;
  }
  const { protocol } = connection.setup;
  if (protocol.end === undefined) return close(connection);
  protocol.end(connection);
  // An upgrade in `end` has cleared ENDED, for the new protocol.
  const hasEnded = (connection.flags & BOTH_ENDED) === BOTH_ENDED;
  if (hasEnded) destroy(connection, "ended");
}

/** Calls the protocol's `ending`, once: the peer's end is not read yet. */
export function notifyEnding(connection: ConnectionRecord): void {
  connection.flags |= ENDING_NOTIFIED;
  if (!(connection.flags & (CLOSING | LINGERING))) {
    connection.setup.protocol.ending?.(connection);
  }
}
