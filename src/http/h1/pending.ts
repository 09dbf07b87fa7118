/**
 * Bytes that wait on a connection: for the rest of a head, for the answer to
 * the previous request, or for memory. Their number is bounded.
 *
 * @module
 */

import { ByteQueue } from "../../bytes/byte_queue.ts";
import { leave } from "./handover.ts";
import { emptyLinesEnd, isBareLineEnd, tooLongStatus } from "./head.ts";
import { consume, postpone } from "./reading.ts";
import {
  beginPartial,
  BUSY,
  CLOSED,
  ENDED,
  type Http1,
  isHeld,
  PARTIAL,
  type Pending,
  Reading,
} from "./state.ts";

/**
 * Bytes of memory that waiting bytes may take while a handler works, before
 * reading stops.
 */
const PENDING_BYTES_MAX = 65_536;

/**
 * Keeps bytes until the current request is answered, or their head is whole.
 */
export function keep(
  connection: Http1,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): void {
  const queue = new ByteQueue();
  queue.push(bytes, start, end);
  boundPending(connection, connection.pending = { queue, emptyBytes: 0 });
}

/** Keeps bytes behind those that wait, and acts on them if it may. */
export function addPending(
  connection: Http1,
  pending: Pending,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): void {
  const { queue } = pending;
  const kept = queue.byteLength;
  queue.push(bytes, start, end);
  if (!isHeld(connection)) {
    return consumePending(
      connection,
      pending,
      connection.state & PARTIAL ? kept : 0,
    );
  }
  connection.state &= ~PARTIAL;
  boundPending(connection, pending);
}

function consumePending(
  connection: Http1,
  pending: Pending,
  scanned: number,
): void {
  const { queue } = pending;
  const { requireHost } = connection.service;
  const bytes = queue.joined();
  const end = bytes.byteLength;
  // Empty lines are scanned once, not again with each further byte.
  const from = emptyLinesEnd(bytes, pending.emptyBytes, end, requireHost);
  let rest = end;
  if (requireHost && isBareLineEnd(bytes, from)) connection.refuseUnseen(400);
  else {rest = consume(
      connection,
      bytes,
      from,
      end,
      Math.max(0, scanned - from),
    );}
  if (connection.pending !== pending) return;
  if (rest === from) {
    if (from === end) beginPartial(connection);
    pending.emptyBytes = from;
  } else {
    queue.shift(rest);
    pending.emptyBytes = 0;
  }
  if (queue.byteLength === 0) connection.pending = undefined;
  boundPending(connection, pending);
}

/** Refuses a head that is too long; stops reading when enough bytes wait. */
function boundPending(connection: Http1, { queue }: Pending): void {
  const { headBytesMax } = connection.service.limits;
  if (connection.state & PARTIAL && queue.byteLength > headBytesMax) {
    connection.refuseUnseen(tooLongStatus(queue.joined(), 0, headBytesMax));
  }
  // The rest of a head is always read: its own limit bounds it.
  const isFull = queue.memoryBytes >= PENDING_BYTES_MAX ||
    connection.transport.isOverfull;
  if (isFull && isHeld(connection)) connection.pause();
  connection.countHeld();
}

/**
 * Gives waiting bytes back when the turn has had its time: handlers that await
 * nothing of the system would go on without an end to the turn.
 */
function postponePending(connection: Http1, { queue }: Pending): boolean {
  const bytes = queue.joined();
  if (!postpone(connection, bytes, 0, bytes.byteLength)) return false;
  connection.pending = undefined;
  connection.countHeld();
  return true;
}

/** Acts on requests that waited. */
export function proceed(connection: Http1): void {
  if (connection.reading === Reading.HANDED_OVER) return leave(connection);
  const pending = connection.pending;
  if (connection.state & CLOSED || isHeld(connection)) return;
  connection.unpause();
  // A partial head was parsed already, and has no new bytes.
  const isNew = pending !== undefined && !(connection.state & PARTIAL);
  if (isNew && !postponePending(connection, pending)) {
    consumePending(connection, pending, 0);
  }
  if (connection.reading === Reading.HANDED_OVER) return leave(connection);
  const isAnswered = !(connection.state & BUSY) && !isHeld(connection);
  if (connection.state & ENDED && isAnswered) connection.transport.close();
}
