/**
 * Writing: small writes gather in the shared write buffer, larger ones go to
 * the system at once. A write waits when the peer is slower than the fiber.
 *
 * @module
 */

import { type Abortable, obeying, refusalBy } from "../../base/abortable.ts";
import { sleep } from "../sleep.ts";
import { countNothing, isEmpty } from "./arrays.ts";
import {
  beginWait,
  endWait,
  type FiberConnectionRecord,
  type Writer,
} from "./record.ts";

/**
 * Writes up to this size wait for the end of the turn in the shared buffer, so
 * that many small ones leave together; copying more costs more than a call.
 */
const GATHER_BYTES = 16_384;
/**
 * Bytes that one connection may write before it waits for the next turn: a
 * fiber that only writes, to a peer that takes all, would let no other run.
 */
const BURST_BYTES = 262_144;

// Most writes are of one size, so the last promise is often right again.
let lastLength = 0;
let lastWritten: Promise<number> = Promise.resolve(0);

/** Writes `bytes`: see `FiberConnection.write`. */
export function write(
  record: FiberConnectionRecord,
  bytes: Uint8Array,
  options: Abortable | undefined,
): Promise<number> {
  const refusal = refuseWrite(record, options);
  if (refusal !== undefined) return refusal;
  if (!(bytes.byteLength > 0)) return countNothing("write", bytes);
  return written(record, send(record, bytes), bytes.byteLength, options);
}

/** Writes `chunks`: see `FiberConnection.writev`. */
export function writev(
  record: FiberConnectionRecord,
  chunks: Iterable<Uint8Array>,
  options: Abortable | undefined,
): Promise<number> {
  const refusal = refuseWrite(record, options);
  if (refusal !== undefined) return refusal;
  const all: Uint8Array[] = Array.isArray(chunks) ? chunks : [...chunks];
  for (const chunk of all) {
    // All chunks are checked before one is sent.
    const { byteLength } = chunk;
    if (!(byteLength > 0) && !isEmpty(chunk)) {
      return countNothing("write", chunk);
    }
  }
  let length = 0;
  let hasRoom = true;
  for (const chunk of all) {
    hasRoom = send(record, chunk);
    length += chunk.byteLength;
  }
  return written(record, hasRoom, length, options);
}

/** Ends the fiber's stream: see `FiberConnection.closeWrite`. */
export function closeWrite(record: FiberConnectionRecord): Promise<void> {
  if (record.fault !== undefined) return Promise.reject(record.fault.error);
  record.isWriteEnded = true;
  record.connection.closeWrite();
  return Promise.resolve();
}

function refuseWrite(
  record: FiberConnectionRecord,
  options: Abortable | undefined,
): Promise<never> | undefined {
  if (options !== undefined) {
    const refusal = refusalBy(options.signal);
    if (refusal !== undefined) return refusal;
  }
  const fault = record.fault ?? record.writeFault;
  if (fault !== undefined) return Promise.reject(fault.error);
  if (!record.isWriteEnded && !record.isGone) return undefined;
  return Promise.reject(
    new Deno.errors.BrokenPipe("Cannot write: the writing half is closed"),
  );
}

/** Sends or queues `bytes`, and returns whether the peer keeps up. */
function send(record: FiberConnectionRecord, bytes: Uint8Array): boolean {
  const { byteLength } = bytes;
  record.burst += byteLength;
  const { connection } = record;
  if (byteLength <= GATHER_BYTES && connection.bufferedBytes === 0) {
    const room = connection.reserve(byteLength);
    if (room !== undefined) {
      room.bytes.set(bytes, room.length);
      room.length += byteLength;
      return true;
    }
  }
  return connection.write(bytes as Uint8Array<ArrayBuffer>);
}

/** Answers a write whose bytes were sent or queued. */
function written(
  record: FiberConnectionRecord,
  hasRoom: boolean,
  length: number,
  options: Abortable | undefined,
): Promise<number> {
  const fault = record.fault ?? record.writeFault;
  if (fault !== undefined) return Promise.reject(fault.error);
  if (hasRoom) {
    if (record.burst >= BURST_BYTES) return rest(record, length);
    if (length === lastLength) return lastWritten;
    lastLength = length;
    return lastWritten = Promise.resolve(length);
  }
  record.burst = 0;
  beginWait(record);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const writer: Writer = { length, resolve, reject };
  (record.writers ??= new Set()).add(writer);
  return obeying(options?.signal, promise, (reason) => {
    if (!record.writers?.delete(writer)) return;
    endWait(record);
    reject(reason);
  });
}

/** Answers a write in the next turn, so that other connections act first. */
async function rest(
  record: FiberConnectionRecord,
  length: number,
): Promise<number> {
  record.burst = 0;
  beginWait(record);
  try {
    await sleep(record.scheduler, 0);
  } finally {
    endWait(record);
  }
  return length;
}

/** Resolves writes that wait: the peer has taken enough. */
export function drain(record: FiberConnectionRecord): void {
  const { writers } = record;
  record.writers = undefined;
  for (const { resolve, length } of writers ?? []) {
    endWait(record);
    resolve(length);
  }
}

/** Ends writing because of `error`; bytes that came can still be read. */
export function failWriting(
  record: FiberConnectionRecord,
  error: unknown,
): void {
  record.writeFault = { error };
  rejectWriters(record, error);
}

/** Rejects writes that wait. */
export function rejectWriters(
  record: FiberConnectionRecord,
  reason: unknown,
): void {
  const { writers } = record;
  record.writers = undefined;
  for (const { reject } of writers ?? []) {
    endWait(record);
    reject(reason);
  }
}
