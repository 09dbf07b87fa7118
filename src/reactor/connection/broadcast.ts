/**
 * Broadcasting: the same bytes to many connections.
 *
 * One native call sends to 512 connections, and all of them get the same range
 * of one array, so no byte is copied for a receiver. Bytes that the system does
 * not take are copied once, for all receivers together. No handler runs
 * inside: a program may broadcast from anywhere.
 *
 * @module
 */

import { WOULD_BLOCK } from "../../native/errors.ts";
import { WriteBatch } from "../../net/batches.ts";
import { checkRange } from "../../net/transfer.ts";
import type { Part, Receiver } from "../../stream/shared.ts";
import { breakLater, breakNativeLater } from "./failing.ts";
import { HAS_SENT, SPOKEN, UNWRITABLE } from "./flags.ts";
import type { ConnectionHost, ConnectionRecord } from "./record.ts";
import { openOutbox, sendVectored, wantWritable } from "./writing.ts";

/**
 * Connections that one native call sends to: as many as one system call. A
 * process of this machine that receives for many falls asleep between two
 * calls, and waking it costs more than sending to it.
 */
const BATCH_MAX = 512;

/** The batch of this thread: no code of others runs while it is used. */
let threadBatch: WriteBatch | undefined;
/** The connections of the batch. */
const batched: (ConnectionRecord | undefined)[] = [];

/** Indexes, when there are none. */
const NONE: readonly number[] = [];

/** Sends the same bytes to many: see `SharedTransport.broadcast`. */
export function broadcast(
  host: ConnectionHost,
  receivers: readonly Receiver[],
  part: Part,
): readonly number[] {
  checkRange(part.bytes, part.start, part.end);
  if (part.start === part.end) return NONE;
  let others: number[] | undefined;
  const fan = new Fan(host, part);
  for (let index = 0; index < receivers.length; index++) {
    const connection = receivers[index] as unknown as ConnectionRecord;
    const isOwn = connection.host === host && host.writeAll !== undefined;
    if (isOwn) fan.add(connection);
    else (others ??= []).push(index);
  }
  fan.send();
  return others ?? NONE;
}

/** One broadcast to the connections of one reactor. */
class Fan {
  readonly #host: ConnectionHost;
  readonly #part: Part;
  readonly #batch: WriteBatch;
  /** A copy of the bytes, once a connection must keep some. */
  #kept: Uint8Array<ArrayBuffer> | undefined;

  constructor(host: ConnectionHost, part: Part) {
    this.#host = host;
    this.#part = part;
    this.#batch = threadBatch ??= new WriteBatch(BATCH_MAX);
  }

  /** Adds a connection; sends when the batch is full. */
  add(connection: ConnectionRecord): void {
    if (connection.flags & UNWRITABLE) return;
    if (connection.outbox !== undefined) return this.#keep(connection, 0);
    if (connection.runs > 0) return this.#sendBehind(connection);
    const { start, end } = this.#part;
    const batch = this.#batch;
    batched[batch.length] = connection;
    batch.add(connection.handle, start, end);
    if (batch.length === BATCH_MAX) this.send();
  }

  /** Sends to the connections of the batch. */
  send(): void {
    const batch = this.#batch;
    const { length } = batch;
    if (length === 0) return;
    let error: unknown;
    try {
      this.#host.writeAll!(batch, this.#part.bytes);
    } catch (thrown) {
      error = thrown;
    }
    batch.length = 0;
    for (let index = 0; index < length; index++) {
      const connection = batched[index]!;
      batched[index] = undefined;
      // After an error it is unknown how many bytes were sent.
      if (error !== undefined) breakLater(connection, error as Error);
      else this.#account(connection, batch.count(index));
    }
  }

  /** Acts on the result of sending to one connection. */
  #account(connection: ConnectionRecord, count: number): void {
    this.#host.wrote(count);
    if (count > 0) connection.flags |= SPOKEN | HAS_SENT;
    const { start, end } = this.#part;
    if (count === end - start) return;
    if (count < 0 && count !== WOULD_BLOCK) breakNativeLater(connection, count);
    else this.#keep(connection, Math.max(0, count));
  }

  /** Keeps the bytes behind the first `sent` until the system has room. */
  #keep(connection: ConnectionRecord, sent: number): void {
    const { bytes, start, end } = this.#part;
    this.#kept ??= bytes.slice(start, end);
    const outbox = connection.outbox ?? openOutbox(connection);
    outbox.pushOwned(this.#kept, sent);
    wantWritable(connection);
  }

  /** Sends in one call with this connection's bytes of the write buffer. */
  #sendBehind(connection: ConnectionRecord): void {
    const { bytes, start, end } = this.#part;
    const before = this.#host.output.take(connection);
    const parts = [before, bytes.subarray(start, end)];
    const code = sendVectored(connection, parts);
    if (code < 0) breakNativeLater(connection, code);
  }
}
