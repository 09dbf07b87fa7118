/**
 * Reading: a read takes what the inbox has, or resumes the reactor's connection
 * until bytes have come.
 *
 * The connection reads from the system only while a fiber waits for bytes, so
 * other bytes stay in the system. They are copied once, from the shared buffer
 * to the fiber's array.
 *
 * @module
 */

import { type Abortable, obeying, refusalBy } from "../../base/abortable.ts";
import type { ReadTarget } from "../../reactor/connection/record.ts";
import { countNothing, transferredError } from "./arrays.ts";
import { keep, noteInbox, postpone, takeFromInbox } from "./inbox.ts";
import {
  beginWait,
  CHUNK,
  endWait,
  type FiberConnectionRecord,
  INTO_TARGET,
  MORE,
  NEXT,
  type Next,
  NOTHING,
  type ReadAnswer,
} from "./record.ts";

/**
 * After a read of this size the system reads into the program's array itself,
 * when the array is as large. A smaller array is often just full, and then a
 * second read is needed to find out that no byte is left. Few bytes are copied,
 * since then one call reads several connections.
 */
const DIRECT_BYTES = 4096;

const NO_MORE: Next = { done: true, value: undefined };

/** Reads into `target`: see `FiberConnection.read`. */
export function read(
  record: FiberConnectionRecord,
  target: Uint8Array,
  options: Abortable | undefined,
): Promise<number | null> {
  const refusal = refuseRead(record, options);
  if (refusal !== undefined) return refusal;
  if (!(target.byteLength > 0)) return countNothing("read into", target);
  if (record.inbox !== undefined && !postpone(record)) {
    const count = record.inbox.moveTo(target);
    noteInbox(record);
    return Promise.resolve(count);
  }
  record.target = target;
  if (record.isBulk && target.byteLength >= DIRECT_BYTES) readDirectly(record);
  return wait(record, INTO_TARGET, options);
}

/** Has the system read into the program's array. */
function readDirectly(record: FiberConnectionRecord): void {
  const bytes = record.target as Uint8Array<ArrayBuffer>;
  // Memory that other threads have is filled by copying: see `checkMemory`.
  if (!(bytes.buffer instanceof ArrayBuffer)) return;
  record.connection.target = new DirectTarget(bytes);
}

/** Reads a chunk: see `FiberConnection.readChunk`. */
export function readChunk(
  record: FiberConnectionRecord,
  options: Abortable | undefined,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const refusal = refuseRead(record, options);
  if (refusal !== undefined) return refusal;
  if (record.inbox === undefined) return wait(record, CHUNK, options);
  return Promise.resolve(takeFromInbox(record));
}

/**
 * Returns the iterator of `for await`. It is no generator, which would cost
 * three promises for each chunk.
 */
export function chunksOf(
  record: FiberConnectionRecord,
): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
  return {
    next: () => readNext(record),
    return: () => Promise.resolve(NO_MORE),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function readNext(record: FiberConnectionRecord): Promise<Next> {
  const refusal = refuseRead(record, undefined);
  if (refusal !== undefined) return refusal.then(() => NO_MORE);
  if (record.inbox === undefined) return wait(record, NEXT, undefined);
  return Promise.resolve({ done: false, value: takeFromInbox(record) });
}

/** Waits until the inbox has more bytes: `null` at the end of the stream. */
export function readMore(
  record: FiberConnectionRecord,
  options: Abortable | undefined,
): Promise<true | null> {
  return refuseRead(record, options, MORE) ?? wait(record, MORE, options);
}

/** Answers a read that cannot wait: misuse, an error, or the end. */
function refuseRead(
  record: FiberConnectionRecord,
  options: Abortable | undefined,
  wants: number = NOTHING,
): Promise<null> | undefined {
  if (options !== undefined) {
    const refusal = refusalBy(options.signal);
    if (refusal !== undefined) return refusal;
  }
  if (record.wants !== NOTHING) {
    return Promise.reject(
      new Deno.errors.Busy("Cannot read while another read waits"),
    );
  }
  if (record.isReleased) return Promise.reject(record.fault!.error);
  // Bytes that came before the end, or before the error, are read first.
  if (record.inbox !== undefined && wants !== MORE) return undefined;
  if (record.isEnded) return Promise.resolve(null);
  if (record.fault !== undefined) return Promise.reject(record.fault.error);
  return undefined;
}

function wait<T extends ReadAnswer>(
  record: FiberConnectionRecord,
  wants: number,
  options: Abortable | undefined,
): Promise<T> {
  record.wants = wants;
  record.burst = 0;
  beginWait(record);
  const waiting = new Promise<T>((resolve, reject) => {
    record.resolve = resolve as (answer: ReadAnswer) => void;
    record.reject = reject;
  });
  record.connection.resume();
  if (options?.signal === undefined) return waiting;
  return obeying(options.signal, waiting, (reason) => {
    record.connection.pause();
    rejectRead(record, reason);
  });
}

/** Resolves the read that waits. */
function settle(record: FiberConnectionRecord, answer: ReadAnswer): void {
  endRead(record);
  record.resolve!(answer);
}

/** Rejects the read that waits, if one does. */
export function rejectRead(
  record: FiberConnectionRecord,
  reason: unknown,
): void {
  if (record.wants === NOTHING) return;
  endRead(record);
  record.reject!(reason);
}

function endRead(record: FiberConnectionRecord): void {
  record.wants = NOTHING;
  record.target = undefined;
  record.connection.target = undefined;
  endWait(record);
}

/** Gives bytes that came to the read that waits, and keeps the others. */
export function receive(
  record: FiberConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): void {
  const { wants } = record;
  record.isBulk = end - start >= DIRECT_BYTES;
  if (wants === INTO_TARGET) {
    fill(record, bytes, start, end);
  } else if (wants === CHUNK) {
    settle(record, bytes.slice(start, end));
  } else if (wants === NEXT) {
    settle(record, { done: false, value: bytes.slice(start, end) });
  } else {
    keep(record, bytes, start, end);
    // `readUntil` counts the inbox itself, when it has taken its bytes.
    if (wants === MORE) settle(record, true);
    else noteInbox(record);
  }
  record.connection.pause();
}

/** Fills the array of the read that waits. */
function fill(
  record: FiberConnectionRecord,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): void {
  const target = record.target!;
  const count = Math.min(end - start, target.byteLength);
  if (bytes !== target) {
    if (count > 0) target.set(bytes.subarray(start, start + count));
    if (count < end - start) {
      keep(record, bytes, start + count, end);
      noteInbox(record);
    }
  }
  if (count > 0) settle(record, count);
  else rejectRead(record, transferredError());
}

/** The stream from the peer has ended. */
export function receiveEnd(record: FiberConnectionRecord): void {
  record.isEnded = true;
  if (record.wants === NEXT) settle(record, NO_MORE);
  else if (record.wants !== NOTHING) settle(record, null);
}

/** Ends the stream for the fiber: see `FiberConnection.endReading`. */
export function endReading(record: FiberConnectionRecord): void {
  if (record.fault !== undefined || record.isEnded) return;
  receiveEnd(record);
  record.connection.pause();
}

/** A fiber's own array, which the system reads into. */
class DirectTarget implements ReadTarget {
  readonly start = 0;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /**
   * The array, or another in its place when its buffer was transferred
   * meanwhile: a read into an array without bytes would look like the end.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes;
    return bytes.byteLength > 0 ? bytes : new Uint8Array(DIRECT_BYTES);
  }
}
