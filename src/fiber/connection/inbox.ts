/**
 * The inbox: bytes that came for a fiber and that it has not read yet, counted
 * as held bytes.
 *
 * @module
 */

import { ByteQueue } from "../../bytes/byte_queue.ts";
import { keepForLater } from "../../reactor/connection/unread.ts";
import type { FiberConnectionRecord } from "./record.ts";

/** Adds a copy of `bytes` from `start` to `end`; `noteInbox` counts it. */
export function keep(
  record: FiberConnectionRecord,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const whole = bytes as Uint8Array<ArrayBuffer>;
  (record.inbox ??= new ByteQueue()).push(whole, start, end);
}

/** Takes the first `length` bytes, or all, of an inbox that has bytes. */
export function takeFromInbox(
  record: FiberConnectionRecord,
  length?: number,
): Uint8Array<ArrayBuffer> {
  const chunk = record.inbox!.take(length);
  noteInbox(record);
  return chunk;
}

/**
 * Gives the bytes of an inbox back to the reactor when the turn has had its
 * time: a fiber that finds all it reads here would run on, and keep all others
 * waiting. The read waits then, and gets the bytes in the next turn.
 *
 * @returns Whether they were given back.
 */
export function postpone(record: FiberConnectionRecord): boolean {
  const { connection, inbox } = record;
  if (inbox === undefined || record.isEnded || connection.isClosed) {
    return false;
  }
  if (!connection.host.countCalls(1)) return false;
  keepForLater(connection, inbox.take());
  record.inbox = undefined;
  noteInbox(record);
  return true;
}

/** Frees an inbox that is empty, and counts the memory of one that is not. */
export function noteInbox(record: FiberConnectionRecord): void {
  if (record.inbox?.byteLength === 0) record.inbox = undefined;
  record.connection.heldBytes = record.inbox?.memoryBytes ?? 0;
}
