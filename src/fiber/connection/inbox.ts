/**
 * The inbox: bytes that came for a fiber and that it has not read yet, counted
 * as held bytes.
 *
 * @module
 */

import { ByteQueue } from "../../bytes/byte_queue.ts";
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

/** Frees an inbox that is empty, and counts the memory of one that is not. */
export function noteInbox(record: FiberConnectionRecord): void {
  if (record.inbox?.byteLength === 0) record.inbox = undefined;
  record.connection.heldBytes = record.inbox?.memoryBytes ?? 0;
}
