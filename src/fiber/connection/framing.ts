/**
 * Reads of whole messages: a count of bytes, or up to a delimiter. What they
 * have read of a message that does not become whole is read again.
 *
 * @module
 */

import type { Abortable } from "../../base/abortable.ts";
import { requireNumber, wrongType } from "../../base/checks.ts";
import { countNothing, transferredError } from "./arrays.ts";
import { keep, noteInbox, postpone, takeFromInbox } from "./inbox.ts";
import { read, readMore, receive } from "./reading.ts";
import { type FiberConnectionRecord, NOTHING } from "./record.ts";

/** Fills `target`: see `FiberConnection.readExactly`. */
export async function readExactly<Bytes extends Uint8Array>(
  record: FiberConnectionRecord,
  target: Bytes,
  options: Abortable | undefined,
): Promise<Bytes | null> {
  const { byteLength } = target;
  let length = 0;
  try {
    if (byteLength === 0) await countNothing("read into", target);
    while (length < byteLength) {
      const count = await read(record, target.subarray(length), options);
      if (count === 0) throw transferredError();
      if (count === null && length === 0) return null;
      if (count === null) {
        throw new Deno.errors.UnexpectedEof(
          `Cannot read ${byteLength} bytes: the stream ended after ${length}`,
        );
      }
      length += count;
    }
    return target;
  } catch (error) {
    const isAtEnd = error instanceof Deno.errors.UnexpectedEof;
    if (!isAtEnd) giveBack(record, target, length);
    throw error;
  }
}

/** Lets the next read begin with what was read into `target`. */
function giveBack(
  record: FiberConnectionRecord,
  target: Uint8Array,
  length: number,
): void {
  // A buffer that was transferred has taken the bytes along.
  if (record.isReleased || length === 0 || target.byteLength < length) return;
  if (record.wants !== NOTHING) {
    return receive(record, target as Uint8Array<ArrayBuffer>, 0, length);
  }
  const later = record.inbox?.take();
  keep(record, target, 0, length);
  if (later !== undefined) keep(record, later, 0, later.byteLength);
  noteInbox(record);
}

/** Reads up to `delimiter`: see `FiberConnection.readUntil`. */
export async function readUntil(
  record: FiberConnectionRecord,
  delimiter: string | Uint8Array,
  bytesMax: number,
  options: Abortable | undefined,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const wanted = bytesOf(delimiter);
  requireNumber("bytesMax", bytesMax);
  if (!(bytesMax >= 0)) {
    throw new RangeError(`Cannot read "${bytesMax}" bytes: it must be from 0`);
  }
  for (let seen = 0, hasWaited = false;; hasWaited = true) {
    const length = record.inbox?.find(wanted, seen) ?? -1;
    seen = record.inbox?.byteLength ?? 0;
    // A message that is whole leaves the inbox at once, and is not counted.
    if (length < 0 || length > bytesMax) noteInbox(record);
    if (length > bytesMax || length < 0 && seen >= bytesMax) {
      throw new Deno.errors.InvalidData(
        `Cannot read more than ${bytesMax} bytes until the delimiter`,
      );
    }
    const isThere = length >= 0;
    if (isThere && (hasWaited || !postpone(record))) {
      return takeFromInbox(record, length);
    }
    if (isThere) seen = 0;
    const more = await readMore(record, options);
    if (more !== null) continue;
    if (seen === 0) return null;
    throw new Deno.errors.UnexpectedEof(
      `Cannot read until the delimiter: the stream ended after ${seen} bytes`,
    );
  }
}

function bytesOf(delimiter: string | Uint8Array): Uint8Array {
  const bytes = typeof delimiter === "string"
    ? new TextEncoder().encode(delimiter)
    : delimiter;
  if (!(bytes instanceof Uint8Array)) {
    throw wrongType("delimiter", bytes, "a string or a Uint8Array");
  }
  if (bytes.byteLength > 0) return bytes;
  throw new TypeError("Cannot read until an empty delimiter");
}
