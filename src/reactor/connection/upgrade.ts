/**
 * Another protocol takes over a living connection, with the bytes that the old
 * protocol got and did not use.
 *
 * These bytes join the unread ones (`unread.ts`). So they precede all later
 * bytes, wait while the connection is paused, and count for its share of a
 * turn.
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
  ENDING_NOTIFIED,
  FAILING,
  LINGERING,
  READ_CLOSED,
  READABLE,
} from "./flags.ts";
import { type ConnectionRecord, requeue } from "./record.ts";
import { keepUnreadFirst } from "./unread.ts";

/** States in which no other protocol can take over. */
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
  // What the old protocol has set does not hold for the new one.
  connection.target = undefined;
  connection.heldBytes = 0;
  connection.setDeadline(Infinity);
  if (leftover !== undefined && leftover.byteLength > 0) {
    keepUnreadFirst(connection, leftover);
  }
  renewEnd(connection);
  // A connection that still connects calls `open` when it is connected.
  if (connection.flags & CONNECTING) return;
  protocol.open?.(connection);
  if (connection.flags & CLOSED) return;
  if (connection.flags & BROKEN) {
    protocol.broken?.(connection, connection.extras!.error!);
  }
  if (connection.flags & READABLE) requeue(connection);
}

/** Lets the new protocol get the peer's end, also if the old one got it. */
function renewEnd(connection: ConnectionRecord): void {
  const { flags } = connection;
  connection.flags = flags & ~ENDING_NOTIFIED;
  // Each read behind the end gives the end again.
  if (flags & ENDED) {
    connection.flags = flags & ~(ENDING_NOTIFIED | ENDED) | READ_CLOSED |
      READABLE;
  }
}
