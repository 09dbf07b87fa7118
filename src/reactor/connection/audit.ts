/**
 * What must hold for a connection between two calls: for tests and the
 * simulator.
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
 * Checks that the flags agree with each other and with the record.
 *
 * @throws {InvariantError} when they do not.
 */
export function auditRecord(connection: ConnectionRecord): void {
  const { flags, host, outbox } = connection;
  const has = (some: number) => (flags & some) !== 0;
  assert(
    !(has(WRITE_ENDING) && has(WRITE_ENDED)),
    "our half has not ended while it is ending",
  );
  assert(!(has(CONNECTING) && has(ENDED)), "a connecting peer has not ended");
  assert(
    !(has(BROKEN) && has(CONGESTED)),
    "a broken connection waits for no peer",
  );
  const hasUnread = host.unread.has(connection);
  assert(has(UNREAD) === hasUnread, "UNREAD says whether bytes are kept");
  assert(
    outbox === undefined || outbox.byteLength > 0 || has(FAILING),
    "an outbox is never empty",
  );
  if (has(CLOSED)) {
    assert(outbox === undefined, "a closed connection has no outbox");
    assert(
      connection.runs === 0,
      "a closed connection has no bytes in the write buffer",
    );
  }
  host.output.audit();
}
