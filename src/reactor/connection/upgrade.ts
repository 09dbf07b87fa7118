/**
 * Another protocol takes over a living connection, with the bytes that the old
 * one has read and left over.
 *
 * Those bytes go where bytes lie that the protocol was not told of: so they come
 * before all that is read later, wait while the connection is paused, and get
 * their share of a turn as any others.
 *
 * @module
 */

import { requireHandlers } from "../../base/checks.ts";
import type { Protocol } from "../../stream/transport.ts";
import type { Connection } from "../connection.ts";
import {
  BROKEN,
  CLOSED,
  CLOSING,
  CONNECTING,
  ENDED,
  FAILING,
  FORETOLD,
  LINGERING,
  READ_CLOSED,
  READABLE,
} from "./flags.ts";
import { type ConnectionRecord, requeue } from "./record.ts";
import { keepUnreadFirst } from "./unread.ts";

/** States in which there is nothing left for another protocol. */
const OVER = CLOSED | CLOSING | LINGERING | FAILING;

/** Replaces the protocol: see `Transport.upgrade`. */
export function upgrade(
  connection: ConnectionRecord,
  protocol: Protocol<unknown, Connection>,
  data: unknown,
  leftover: Uint8Array<ArrayBuffer> | undefined,
): void {
  requireHandlers(protocol);
  if (connection.flags & OVER) {
    throw new Deno.errors.BadResource(
      "Cannot upgrade the connection: it is closed, or about to be",
    );
  }
  connection.setup = { ...connection.setup, protocol };
  connection.data = data;
  // What the old protocol has asked for is not the new one's.
  connection.target = undefined;
  connection.heldBytes = 0;
  connection.setDeadline(Infinity);
  if (leftover !== undefined && leftover.byteLength > 0) {
    keepUnreadFirst(connection, leftover);
  }
  foretellAgain(connection);
  // A connect tells the new protocol when it is done.
  if (connection.flags & CONNECTING) return;
  protocol.open?.(connection);
  if (connection.flags & CLOSED) return;
  if (connection.flags & BROKEN) {
    protocol.broken?.(connection, connection.extras!.error!);
  }
  if (connection.flags & READABLE) requeue(connection);
}

/** The new protocol knows nothing of an end that the old one was told of. */
function foretellAgain(connection: ConnectionRecord): void {
  const { flags } = connection;
  connection.flags = flags & ~FORETOLD;
  // The system tells the end again to each read behind it.
  if (flags & ENDED) {
    connection.flags = flags & ~(FORETOLD | ENDED) | READ_CLOSED | READABLE;
  }
}
