/**
 * What must hold of a connection between two calls: for tests and the simulator.
 *
 * @module
 */

import { assert } from "../../base/assert.ts";
import {
  BROKEN,
  CLOSED,
  CONGESTED,
  CONNECTING,
  ENDED,
  FAILING,
  UNREAD,
  WRITE_ENDED,
  WRITE_ENDING,
} from "./flags.ts";
import type { ConnectionRecord } from "./record.ts";

/**
 * Checks that the flags agree with one another and with what the record has.
 *
 * @throws {InvariantError} when they do not.
 */
export function auditRecord(connection: ConnectionRecord): void {
  const { flags, host, outbox } = connection;
  const has = (some: number) => (flags & some) !== 0;
  assert(!(has(WRITE_ENDING) && has(WRITE_ENDED)), "a half ends once");
  assert(!(has(CONNECTING) && has(ENDED)), "a connect has no end yet");
  assert(!(has(BROKEN) && has(CONGESTED)), "a broken one waits for no peer");
  const hasUnread = host.unread.has(connection);
  assert(has(UNREAD) === hasUnread, "the flag says what is kept");
  assert(
    outbox === undefined || outbox.byteLength > 0 || has(FAILING),
    "an outbox has bytes",
  );
  if (has(CLOSED)) {
    assert(outbox === undefined, "a closed one owes nothing");
    assert(connection.runs === 0, "a closed one has nothing in the log");
  }
  host.output.audit();
}
