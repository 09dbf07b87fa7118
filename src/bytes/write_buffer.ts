/**
 * The write buffer that all connections of a reactor share.
 *
 * An idle connection owns no buffer. Bytes that the system does not take go to
 * the connection's outbox.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { WriteBatch } from "../net/batches.ts";

/** The most bytes that are gathered before they are sent. */
export const WRITE_BUFFER_BYTES = 65_536;

/** Runs that one native call sends: a turn has at most 256 events. */
const BATCH_MAX = 256;

/** Sends the runs of a batch, which lie in `bytes`, in one call. */
export type WriteAll = (
  batch: WriteBatch,
  bytes: Uint8Array<ArrayBuffer>,
) => void;

/** A target that could not be sent to: an errno, or the error that it threw. */
interface Failure {
  readonly owner: WriteTarget;
  readonly code: number;
  readonly error: unknown;
}

/** What bytes of the write buffer are sent to: a connection. */
export interface WriteTarget {
  /** How many runs of bytes wait for it; the buffer counts them. */
  runs: number;
  /** The handle of its stream. */
  readonly handle: number;
  /** Whether bytes may be sent in one call with those of other targets. */
  readonly sendsAtOnce: boolean;
  /**
   * Acts on the result of a call that sent the runs of several targets: keeps a
   * copy of the bytes that the system did not take. Calls no handler.
   *
   * @param count How many bytes the system took, or `-errno`.
   * @returns Whether the stream works.
   */
  sent(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    count: number,
  ): boolean;
  /** Ends it, because a send failed with the errno `-code`. Never throws. */
  failSending(code: number): void;
  /** Sends bytes, or queues a copy: the buffer overwrites them afterwards. */
  send(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void;
  /** Ends it, because a method of it threw `error`. Never throws. */
  fail(error: unknown): void;
}

/**
 * The buffer that answers are written into: a log of runs of bytes, each with
 * an owner. When the log is sent, all runs of one owner leave in one write,
 * also when runs of other owners lie between them.
 */
export class WriteBuffer {
  /** The bytes; those before `length` wait to be sent. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(WRITE_BUFFER_BYTES);
  /** How many bytes wait. */
  length = 0;
  // The first `#count` entries are used. The arrays are never shortened: V8
  // would allocate an array that is emptied and filled again.
  readonly #owners: (WriteTarget | undefined)[] = [];
  readonly #starts: number[] = [];
  #count = 0;
  /** The range that the last `reserve` has reserved. */
  #reservedFrom = 0;
  #reservedTo = 0;
  #isFlushing = false;
  #scratch: Uint8Array<ArrayBuffer> | undefined;
  readonly #writeAll: WriteAll | undefined;
  readonly #batch = new WriteBatch(BATCH_MAX);
  readonly #batchOwners: (WriteTarget | undefined)[] = [];

  /** @param writeAll When left out, each run is sent by a call of its own. */
  constructor(writeAll?: WriteAll) {
    this.#writeAll = writeAll;
  }

  /**
   * Makes room for `size` bytes of `owner`; sends the log when it has no room.
   * Write the bytes at `length`, and add to `length` how many they are. An
   * owner that writes more is ended: its bytes may have replaced those of
   * others.
   *
   * @returns Whether there is room: false when `size` exceeds the whole buffer,
   * or when the log is full while it is sent.
   * @throws {RangeError} when `size` is no whole number from 0.
   */
  reserve(owner: WriteTarget, size: number): boolean {
    if (size > this.bytes.byteLength) return false;
    if ((size | 0) !== size || size < 0) throw badSize(size);
    this.#checkLast();
    if (this.bytes.byteLength - this.length < size) {
      if (this.#isFlushing) return false;
      this.flush();
    }
    this.#reservedFrom = this.length;
    this.#reservedTo = this.length + size;
    const count = this.#count;
    if (count === 0 || this.#owners[count - 1] !== owner) {
      this.#owners[count] = owner;
      this.#starts[count] = this.length;
      this.#count = count + 1;
      owner.runs++;
    }
    return true;
  }

  /** Sends the whole log. */
  flush(): void {
    this.#checkLast();
    if (this.#count === 0 || this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      // A target that fails may write more, so the log may grow meanwhile.
      for (let run = 0; run < this.#count;) {
        const isOne = run + 1 === this.#count || this.#writeAll === undefined;
        if (isOne) this.#send(run++);
        else run = this.#sendSeveral(run, this.#writeAll!);
      }
    } finally {
      this.#isFlushing = false;
      this.#empty();
    }
  }

  #empty(): void {
    this.#count =
      this.length =
      this.#reservedFrom =
      this.#reservedTo =
        0;
  }

  /** Checks that the last owner has kept to its room, before bytes leave. */
  #checkLast(): void {
    const { length } = this;
    const isIn = length >= this.#reservedFrom && length <= this.#reservedTo;
    if (!isIn || (length | 0) !== length) this.#refuseLast();
  }

  /**
   * Checks that the runs are in order, lie in the log, and are counted by their
   * owners. It looks at every run: for tests and the simulator.
   *
   * @throws {InvariantError} when one of these does not hold.
   */
  audit(): void {
    const runs = new Map<WriteTarget, number>();
    let end = 0;
    for (let run = 0; run < this.#count; run++) {
      assert(this.#starts[run]! >= end, "runs are in order");
      end = this.#starts[run]!;
      const owner = this.#owners[run];
      if (owner !== undefined) runs.set(owner, (runs.get(owner) ?? 0) + 1);
    }
    assert(end <= this.length, "runs lie in the log");
    assert(this.#count > 0 || this.length === 0, "all bytes are of a run");
    for (const [owner, count] of runs) {
      assert(owner.runs === count, "an owner counts its runs");
    }
  }

  #refuseLast(): void {
    const written = this.length - this.#reservedFrom;
    const size = this.#reservedTo - this.#reservedFrom;
    this.length = this.#reservedTo = this.#reservedFrom;
    // Without an owner nothing was reserved, and no byte leaves.
    const owner = this.#owners[this.#count - 1];
    owner?.fail(
      new RangeError(
        `Cannot write "${written}" bytes: room was reserved for "${size}"`,
      ),
    );
  }

  /** Sends the bytes of one owner. */
  flushFor(owner: WriteTarget): void {
    if (owner.runs === 0) return;
    if (this.#count === 1) return this.flush();
    this.#checkLast();
    const run = this.#owners.indexOf(owner);
    if (run >= 0) this.#send(run);
  }

  /**
   * Takes the bytes of one owner out of the log, in one piece, for a write that
   * has more bytes. They are valid until the buffer is used again.
   */
  take(owner: WriteTarget): Uint8Array<ArrayBuffer> {
    this.#checkLast();
    if (owner.runs === 0) return this.bytes.subarray(0, 0);
    const run = this.#owners.indexOf(owner);
    if (owner.runs > 1) return this.#join(owner, run);
    const start = this.#starts[run]!;
    const end = this.#end(run);
    this.#owners[run] = undefined;
    owner.runs = 0;
    if (this.#count === 1 && !this.#isFlushing) this.#empty();
    return this.bytes.subarray(start, end);
  }

  /** Forgets the bytes of an owner that is gone. */
  drop(owner: WriteTarget): void {
    for (let run = 0; owner.runs > 0 && run < this.#count; run++) {
      if (this.#owners[run] !== owner) continue;
      this.#owners[run] = undefined;
      owner.runs--;
    }
  }

  /**
   * Sends runs from `first` on, as many as one call takes, and returns the
   * index of the next run.
   */
  #sendSeveral(first: number, writeAll: WriteAll): number {
    const batch = this.#batch;
    const owners = this.#owners;
    batch.length = 0;
    let last = first;
    for (; last < this.#count && batch.length < batch.capacity; last++) {
      const owner = owners[last];
      if (owner === undefined || owner.runs > 1 || !owner.sendsAtOnce) continue;
      const end = this.#end(last);
      const start = this.#starts[last]!;
      if (start === end) continue;
      this.#batchOwners[batch.length] = owner;
      batch.add(owner.handle, start, end);
      // The run has left the log before any target is called.
      owners[last] = undefined;
      owner.runs = 0;
    }
    if (batch.length > 0) this.#sendBatch(batch, writeAll);
    for (let run = first; run < last; run++) this.#send(run);
    return last;
  }

  #sendBatch(batch: WriteBatch, writeAll: WriteAll): void {
    try {
      writeAll(batch, this.bytes);
    } catch (error) {
      // How many bytes were sent is unknown.
      const owners = this.#batchOwners.splice(0, batch.length);
      for (const owner of owners) owner!.fail(error);
      return;
    }
    this.#accountFor(batch);
  }

  #accountFor(batch: WriteBatch): void {
    const owners = this.#batchOwners;
    const { length } = batch;
    // No closure: it would cost a context for each owner.
    let failed: Failure[] | undefined;
    for (let index = 0; index < length; index++) {
      const owner = owners[index]!;
      owners[index] = undefined;
      const start = batch.start(index);
      const end = batch.end(index);
      const count = batch.count(index);
      try {
        if (owner.sent(this.bytes, start, end, count)) continue;
        (failed ??= []).push({ owner, code: count, error: undefined });
      } catch (error) {
        (failed ??= []).push({ owner, code: 0, error });
      }
    }
    if (failed === undefined) return;
    for (const { owner, code, error } of failed) {
      if (code < 0) owner.failSending(code);
      else owner.fail(error);
    }
  }

  /** Sends a run and all later ones of its owner. */
  #send(run: number): void {
    const owner = this.#owners[run];
    if (owner === undefined) return;
    if (owner.runs > 1) return this.#sendTogether(owner, run);
    this.#owners[run] = undefined;
    owner.runs = 0;
    const start = this.#starts[run]!;
    const end = this.#end(run);
    if (end > start) this.#sendTo(owner, this.bytes, start, end);
  }

  #sendTo(
    owner: WriteTarget,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void {
    try {
      owner.send(bytes, start, end);
    } catch (error) {
      owner.fail(error);
    }
  }

  #sendTogether(owner: WriteTarget, first: number): void {
    const joined = this.#join(owner, first);
    // A target may write again meanwhile, and then needs another scratch.
    const scratch = this.#scratch;
    this.#scratch = undefined;
    const { byteLength } = joined;
    if (byteLength > 0) this.#sendTo(owner, joined, 0, byteLength);
    this.#scratch = scratch;
  }

  /** Takes out the runs of an owner from `first` on, and joins them. */
  #join(owner: WriteTarget, first: number): Uint8Array<ArrayBuffer> {
    const scratch = this.#scratch ??= new Uint8Array(WRITE_BUFFER_BYTES);
    let length = 0;
    for (let run = first; run < this.#count; run++) {
      if (this.#owners[run] !== owner) continue;
      this.#owners[run] = undefined;
      owner.runs--;
      const start = this.#starts[run]!;
      const end = this.#end(run);
      scratch.set(this.bytes.subarray(start, end), length);
      length += end - start;
    }
    return scratch.subarray(0, length);
  }

  #end(run: number): number {
    return run + 1 < this.#count ? this.#starts[run + 1]! : this.length;
  }
}

function badSize(size: number): RangeError {
  return new RangeError(
    `Cannot reserve "${size}" bytes: it must be a whole number from 0`,
  );
}
