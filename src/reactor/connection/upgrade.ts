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
import { timeoutsOf } from "../connection_options.ts";
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
  WAITING,
} from "./flags.ts";
import { renewTimeouts } from "./limits.ts";
import {
  type ConnectionRecord,
  type ConnectionSetup,
  requeue,
} from "./record.ts";
import { keepUnreadFirst } from "./unread.ts";
import { speakLast } from "./writing.ts";

/**
 * The setups of upgraded connections, by the setups that they had before: all
 * connections of a listener that change to the same protocol share one.
 */
const setups = new WeakMap<
  ConnectionSetup,
  WeakMap<Protocol<unknown, Connection>, ConnectionSetup>
>();

/** States in which no other protocol can take over. */
const OVER = CLOSED | CLOSING | LINGERING | FAILING;

/** Replaces the protocol: see `Transport.upgrade`. */
export function upgrade(
  connection: ConnectionRecord,
  protocol: Protocol<unknown, Connection>,
  data: unknown,
  leftover: Uint8Array<ArrayBuffer> | undefined,
): void {
  const setup = setupWith(connection.setup, protocol);
  if (connection.flags & OVER) {
    throw new Deno.errors.BadResource(
      "Cannot upgrade the connection: it is closed, or about to be",
    );
  }
  const { limits } = connection.setup;
  connection.setup = setup;
  connection.data = data;
  // What the old protocol has set does not hold for the new one.
  connection.target = undefined;
  connection.heldBytes = 0;
  connection.setDeadline(Infinity);
  speakLast(connection, connection.outbox === undefined);
  const { timeouts } = connection.setup.limits;
  if (timeouts !== limits.timeouts) renewTimeouts(connection, limits.timeouts);
  if (leftover !== undefined && leftover.byteLength > 0) {
    keepUnreadFirst(connection, leftover);
  }
  renewEnd(connection);
  // A connection that still connects calls `open` when it is connected.
  if (connection.flags & CONNECTING) return;
  // A connection that breaks in `open` calls `broken` by itself.
  const wasBroken = (connection.flags & BROKEN) !== 0;
  protocol.open?.(connection);
  if (connection.flags & CLOSED) return;
  if (wasBroken) protocol.broken?.(connection, connection.extras!.error!);
  if (connection.flags & WAITING) requeue(connection);
}

/** Returns a setup with another protocol, and its timeouts if it has some. */
function setupWith(
  setup: ConnectionSetup,
  protocol: Protocol<unknown, Connection>,
): ConnectionSetup {
  let made = setups.get(setup);
  let next = made?.get(protocol);
  if (next === undefined) {
    // Once for each protocol: checking takes as long as an upgrade.
    requireHandlers(protocol);
    if (made === undefined) setups.set(setup, made = new WeakMap());
    const limits = protocol.timeouts === undefined
      ? setup.limits
      : { ...setup.limits, timeouts: timeoutsOf(protocol.timeouts) };
    next = { ...setup, protocol, limits };
    made.set(protocol, next);
  }
  return next;
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
