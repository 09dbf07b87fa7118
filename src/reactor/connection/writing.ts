/**
 * Writing: a few bytes are copied to the shared write buffer and leave when the
 * turn ends; many go to the system at once. Bytes that the system does not take
 * wait in an outbox until the poll reports room.
 *
 * @module
 */

import { Outbox } from "../../bytes/outbox.ts";
import { WOULD_BLOCK } from "../../native/errors.ts";
import { BUFFERS_MAX, checkMemory, checkRange } from "../../net/transfer.ts";
import { Interest, type InterestSet } from "../../poll/interest.ts";
import { isCopiedAlone } from "../../stream/copying.ts";
import { endWriting } from "./closing.ts";
import { breakNative, noteBroken } from "./failing.ts";
import {
  CLOSED,
  CONGESTED,
  CONNECTING,
  HAS_SENT,
  RESUMED,
  SPOKEN,
  UNWRITABLE,
  WAITING,
  WANTS_WRITABLE,
  WRITE_ENDING,
} from "./flags.ts";
import { type ConnectionRecord, requeue } from "./record.ts";

/**
 * Up to this length a loop copies, at 0.8 nanoseconds a byte. `set` takes 38
 * nanoseconds, and `subarray` allocates an object for it.
 */
const LOOP_BYTES_MAX = 64;
/** The length of the array that `writeInto` lends to programs. */
const LENT_BYTES = 65_536;
/** That array, while no program writes into it. */
let lent: Uint8Array<ArrayBuffer> | undefined = undefined;
/** Parts of a vectored write: one more is for bytes of the write buffer. */
const PARTS_MAX = BUFFERS_MAX - 1;

/** What a poll watches for reading: an urgent byte stops a read. */
export const READING: InterestSet = Interest.READABLE | Interest.PRIORITY;

/** Whether fewer unsent bytes wait than the high-water mark. */
function isFlowing({ outbox, setup }: ConnectionRecord): boolean {
  return outbox === undefined ||
    outbox.byteLength < setup.limits.highWaterBytes;
}

/** Sends bytes, or copies them to the write buffer: see `Transport.write`. */
export function write(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): boolean {
  const isFew = isCopiedAlone(end - start) && connection.host.isFresh &&
    connection.sendsAtOnce;
  // `collect` may flush the buffer, so `runs` is read after it.
  if (isFew && collect(connection, bytes, start, end)) {
    return isFlowing(connection);
  }
  if (!Number.isInteger(start) || !Number.isInteger(end)) {
    throw new RangeError(
      `Cannot write from "${start}" to "${end}": they must be whole numbers`,
    );
  }
  checkRange(bytes, start, end);
  if (connection.runs > 0) {
    // In one call with this connection's bytes of the write buffer.
    return writeVectored(connection, [bytes.subarray(start, end)]);
  }
  if (end > start) send(connection, bytes, start, end);
  return isFlowing(connection);
}

/** Sends bytes that `fill` makes: see `Transport.writeInto`. */
export function writeInto(
  connection: ConnectionRecord,
  size: number,
  fill: (bytes: Uint8Array<ArrayBuffer>) => number,
): boolean {
  requireCount(size, Infinity);
  // Not shared while in use: `fill` may write to another connection.
  const bytes = size <= LENT_BYTES ? lent : undefined;
  lent = undefined;
  const array = bytes ?? new Uint8Array(Math.max(size, LENT_BYTES));
  try {
    const length = fill(array);
    requireCount(length, size);
    return write(connection, array, 0, length);
  } finally {
    if (array.byteLength === LENT_BYTES) lent = array;
  }
}

function requireCount(value: number, most: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= most) return;
  throw new RangeError(
    `Cannot write "${value}" bytes: it must be a whole number from 0 to ${most}`,
  );
}

/** Copies bytes to the shared write buffer; returns whether they fitted. */
function collect(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): boolean {
  checkRange(bytes, start, end);
  const size = end - start;
  // A fraction would misplace the bytes of all peers: `write` throws for it.
  if ((start | 0) !== start || (end | 0) !== end) return false;
  const { output } = connection.host;
  if (!output.reserve(connection, size)) return false;
  connection.host.flushSoon();
  const to = output.bytes;
  const at = output.length;
  if (size > LOOP_BYTES_MAX) {
    to.set(bytes.subarray(start, end), at);
  } else {
    for (let index = 0; index < size; index++) {
      to[at + index] = bytes[start + index]!;
    }
  }
  output.length = at + size;
  return true;
}

/** Sends several arrays in one call: see `Transport.writeVectored`. */
export function writeVectored(
  connection: ConnectionRecord,
  parts: readonly Uint8Array<ArrayBuffer>[],
): boolean {
  checkParts(parts);
  const { output } = connection.host;
  const code = connection.runs === 0
    ? sendVectored(connection, parts)
    : sendVectored(connection, [output.take(connection), ...parts]);
  if (code < 0) breakNative(connection, code);
  return isFlowing(connection);
}

/** Sends bytes that never change: see `Transport.writeOwned`. */
export function writeOwned(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
): boolean {
  checkPart(bytes);
  const { output } = connection.host;
  const code = connection.runs === 0
    ? sendVectored(connection, [bytes], bytes)
    : sendVectored(connection, [output.take(connection), bytes], bytes);
  if (code < 0) breakNative(connection, code);
  return isFlowing(connection);
}

/** Sends bytes, behind those of the outbox when there is one. */
export function send(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): void {
  if (connection.flags & UNWRITABLE) return;
  if (connection.outbox !== undefined) {
    connection.outbox.push(bytes, start, end);
    return wantWritable(connection);
  }
  const count = connection.stream.tryWrite(bytes, start, end);
  if (!noteSent(connection, bytes, start, end, count)) {
    breakNative(connection, count);
  }
}

/** Acts on the result of sending bytes: see `WriteTarget.sent`. */
export function noteSent(
  connection: ConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
  count: number,
): boolean {
  connection.host.wrote(count);
  if (count > 0) connection.flags |= SPOKEN | HAS_SENT;
  if (count === end - start) return true;
  if (count < 0 && count !== WOULD_BLOCK) return false;
  const left = count > 0 ? start + count : start;
  openOutbox(connection).push(bytes, left, end);
  wantWritable(connection);
  return true;
}

/**
 * Sends several arrays in one call, and keeps the bytes that the system does
 * not take. Calls no handler.
 *
 * @param owned The part that an outbox keeps without a copy.
 * @returns 0, or `-errno` when the connection is broken.
 */
export function sendVectored(
  connection: ConnectionRecord,
  parts: readonly Uint8Array<ArrayBuffer>[],
  owned?: Uint8Array<ArrayBuffer>,
): number {
  if (connection.flags & UNWRITABLE) return 0;
  let skipped = 0;
  if (connection.outbox === undefined) {
    const sent = connection.stream.tryWriteVectored(parts);
    connection.host.wrote(sent);
    if (sent < 0 && sent !== WOULD_BLOCK) return sent;
    if (sent > 0) connection.flags |= SPOKEN | HAS_SENT;
    skipped = Math.max(0, sent);
  }
  for (const part of parts) {
    const start = Math.min(skipped, part.byteLength);
    skipped -= start;
    if (start === part.byteLength) continue;
    const outbox = connection.outbox ?? openOutbox(connection);
    if (part === owned) outbox.pushOwned(part, start);
    else outbox.push(part, start, part.byteLength);
  }
  if (connection.outbox !== undefined) wantWritable(connection);
  return 0;
}

/** Makes the outbox of a connection that has none. */
export function openOutbox(connection: ConnectionRecord): Outbox {
  // They would stand in the middle of what is unsent.
  speakLast(connection, false);
  return connection.outbox = new Outbox(connection.host);
}

/** Gives the system the protocol's last words, or takes them back. */
export function speakLast(
  { setup, stream }: ConnectionRecord,
  isAllowed: boolean,
): void {
  const { lastWords } = setup.protocol;
  if (lastWords === undefined) return;
  stream.setLastWords?.(isAllowed ? lastWords : 0);
}

/** Sends bytes of the outbox: the system has room. */
export function flushOutbox(connection: ConnectionRecord): void {
  const { outbox, host } = connection;
  if (outbox === undefined) return;
  while (outbox.byteLength > 0) {
    const views = outbox.views;
    const wanted = views.reduce((sum, view) => sum + view.byteLength, 0);
    const sent = connection.stream.tryWriteVectored(views);
    host.wrote(sent);
    if (sent < 0 && sent !== WOULD_BLOCK) return breakNative(connection, sent);
    if (sent > 0) {
      outbox.shift(sent);
      connection.flags |= SPOKEN | HAS_SENT;
    }
    if (sent < wanted) break;
  }
  if (outbox.byteLength === 0) {
    connection.outbox = undefined;
    speakLast(connection, true);
  }
  const { lowWaterBytes } = connection.setup.limits;
  if (connection.flags & CONGESTED && outbox.byteLength <= lowWaterBytes) {
    decongest(connection);
  }
  if (connection.outbox !== undefined || connection.flags & CLOSED) return;
  if (connection.flags & WRITE_ENDING) endWriting(connection);
}

function decongest(connection: ConnectionRecord): void {
  connection.flags = connection.flags & ~CONGESTED | RESUMED;
  if (connection.flags & WAITING) requeue(connection);
  connection.setup.protocol.drain?.(connection);
}

/** Has the poll report when the system has room for the outbox's bytes. */
export function wantWritable(connection: ConnectionRecord): void {
  if (!isFlowing(connection)) connection.flags |= CONGESTED;
  // While connecting, the poll reports room anyway.
  if (connection.flags & (WANTS_WRITABLE | CONNECTING)) return;
  // This stays: one call for a connection, not two for each partial write.
  connection.flags |= WANTS_WRITABLE;
  try {
    connection.host.reregister(connection, READING | Interest.WRITABLE);
  } catch (error) {
    // The unsent bytes would never leave. No handler may run inside a write.
    noteBroken(connection, error as Error);
    requeue(connection);
  }
}

/**
 * Throws when the parts cannot be sent. This comes before bytes are taken out
 * of the write buffer, since an error after that would lose them.
 */
function checkParts(parts: readonly Uint8Array[]): void {
  if (parts.length > PARTS_MAX) {
    throw new RangeError(
      `Cannot write "${parts.length}" parts at once: there may be ${PARTS_MAX}`,
    );
  }
  for (let index = 0; index < parts.length; index++) checkPart(parts[index]!);
}

function checkPart(part: Uint8Array): void {
  if (part instanceof Uint8Array) return checkMemory(part);
  throw new TypeError(
    `Cannot write "${String(part)}": it must be a Uint8Array`,
  );
}
