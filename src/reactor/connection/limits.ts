/**
 * The limits of one connection, of time and of memory: how a program sets them,
 * how the sweep and the reactor's memory look at them, and what happens then.
 *
 * @module
 */

import { requireNumber } from "../../base/checks.ts";
import type { TimeoutReason } from "../../stream/close_reason.ts";
import type { Timeouts } from "../../stream/timeouts.ts";
import { limitUnacked } from "../../system/stream_options.ts";
import {
  TIMEOUT_MS_MAX,
  type TimeoutSet,
  timeoutsOf,
} from "../connection_options.ts";
import { Moved } from "../sweep.ts";
import { destroy, reset } from "./failing.ts";
import {
  CLOSED,
  CLOSING,
  DEAF,
  HEARD,
  LINGERING,
  RESUMED,
  SPOKEN,
} from "./flags.ts";
import { type ConnectionRecord, extrasOf } from "./record.ts";
import { unreadBytes } from "./unread.ts";

/** What a look at a connection has found. */
export interface Look {
  /** Looks in a row in which the peer has taken nothing. */
  readonly unsentLooks: number;
  /** Looks in a row in which the held bytes have not changed. */
  readonly heldLooks: number;
  /** Memory, in bytes, that is held for what the peer has sent. */
  readonly heldBytes: number;
}

/** Sets what the protocol holds: see `Transport.heldBytes`. */
export function setHeldBytes(
  connection: ConnectionRecord,
  bytes: number,
): void {
  if (!(bytes >= 0 && bytes < Infinity)) {
    throw new RangeError(
      `Cannot hold "${bytes}" bytes: it must be 0 or more, and finite`,
    );
  }
  requireNumber("heldBytes", bytes);
  const before = connection.heldBytes;
  if (connection.flags & CLOSED || bytes === 0 && before === 0) return;
  if (bytes !== before) connection.host.countMemory(bytes - before);
  const extras = extrasOf(connection);
  extras.heldBytes = bytes;
  extras.heldLooks = 0;
}

/**
 * Looks whether bytes have moved since the last look. The reactor calls this
 * when memory is short. It asks the system what the peer has acknowledged.
 */
export function look(connection: ConnectionRecord): Look {
  const unsentLooks = connection.outbox?.look(unackedBytes(connection)) ?? 0;
  const heldBytes = connection.heldBytes + unreadBytes(connection);
  const heldLooks = heldBytes > 0 ? extrasOf(connection).heldLooks++ : 0;
  return { unsentLooks, heldLooks, heldBytes };
}

function unackedBytes({ stream }: ConnectionRecord): number | undefined {
  try {
    return stream.unackedBytes;
  } catch {
    return undefined;
  }
}

/** Replaces the timeouts: see `Connection.setTimeouts`. */
export function setTimeouts(
  connection: ConnectionRecord,
  timeouts: Timeouts | undefined,
): void {
  const checked = timeoutsOf(timeouts);
  if (connection.flags & CLOSED) return;
  const { setup } = connection;
  const before = setup.limits.timeouts;
  const limits = { ...setup.limits, timeouts: checked };
  connection.setup = { ...setup, limits };
  renewTimeouts(connection, before);
}

/** Lets the timeouts of the connection's new setup count from now on. */
export function renewTimeouts(
  connection: ConnectionRecord,
  before: TimeoutSet | undefined,
): void {
  const writeMs = connection.timeouts?.writeMs ?? Infinity;
  if (writeMs !== (before?.writeMs ?? Infinity)) {
    limitUnacked(connection.stream, writeMs);
  }
  // The new limits do not count bytes that moved before.
  connection.flags &= ~(HEARD | SPOKEN | RESUMED);
  connection.host.watch(connection);
}

/** Sets the deadline: see `Transport.setDeadline`. */
export function setDeadline(
  connection: ConnectionRecord,
  delayMs: number,
): void {
  requireNumber("delayMs", delayMs);
  if (!(delayMs >= 0 && delayMs <= TIMEOUT_MS_MAX || delayMs === Infinity)) {
    throw new RangeError(
      `Cannot set a deadline in "${delayMs}" ms: it must be from 0 to ` +
        `${TIMEOUT_MS_MAX}, or Infinity`,
    );
  }
  if (connection.flags & CLOSED) return;
  connection.host.setDeadline(connection, delayMs);
}

/** Returns what has moved since the last call: see `Swept.takeMoved`. */
export function takeMoved(connection: ConnectionRecord): number {
  const { flags } = connection;
  connection.flags = flags & ~(HEARD | SPOKEN | RESUMED);
  return (flags & (HEARD | SPOKEN) ? Moved.ANY : 0) |
    (flags & (HEARD | RESUMED | DEAF) ? Moved.READ : 0);
}

/** Calls the protocol's `timeout`, or closes a connection without it. */
export function expire(
  connection: ConnectionRecord,
  reason: TimeoutReason,
): void {
  const { protocol } = connection.setup;
  const isEnding = (connection.flags & (CLOSING | LINGERING)) !== 0;
  try {
    if (protocol.timeout === undefined || isEnding) evict(connection, reason);
    else protocol.timeout(connection, reason);
  } catch (error) {
    connection.fail(error);
  }
}

/**
 * Closes at once. A peer that lacks bytes is reset: after an end the peer would
 * believe that it has all.
 */
export function evict(
  connection: ConnectionRecord,
  reason: TimeoutReason | "shed",
): void {
  if (connection.outbox !== undefined) reset(connection, reason);
  else destroy(connection, reason);
}
