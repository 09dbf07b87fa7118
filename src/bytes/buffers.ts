/**
 * The one read buffer and the one write buffer that all connections share.
 *
 * An idle connection owns no buffer. Bytes that must outlive a turn are kept
 * on purpose: read bytes by `retain`, unsent bytes by the outbox.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { WriteBatch } from "../net/batches.ts";

/**
 * Bytes that one read may bring. Large enough that a bulk transfer is not
 * bound by calls, small enough to stay in the second-level cache.
 */
export const READ_BUFFER_BYTES = 65_536;

/** Less room than this is not worth a read: a new buffer is taken. */
export const READ_ROOM_MIN = 16_384;

/** Bytes that one connection's answers may take before they are sent. */
export const WRITE_BUFFER_BYTES = 65_536;

/** Runs that one native call sends: what a turn at 256 events can have. */
const BATCH_MAX = 256;

/** Where reads go. */
export class ReadBuffer {
  /** The bytes; those before `offset` are retained by somebody. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(READ_BUFFER_BYTES);
  /** Where the next read begins. */
  offset = 0;
  /** Where what is retained ends, while a batch is handed over; else -1. */
  #retained = -1;

  /**
   * Promises that bytes before `end` are never overwritten, so that what was
   * read may be referred to without a copy. They are freed with the buffer,
   * when nothing refers to it any more.
   *
   * @param end A place in the buffer. One that is retained already is ignored.
   * @throws {RangeError} when it is none.
   */
  retain(end: number): void {
    if (!(end >= 0 && end <= this.bytes.byteLength && Number.isInteger(end))) {
      throw new RangeError(
        `Cannot retain the bytes before "${end}": it must be a whole number ` +
          `from 0 to ${this.bytes.byteLength}`,
      );
    }
    if (this.#retained >= 0) {
      if (end > this.#retained) this.#retained = end;
      return;
    }
    if (end <= this.offset) return;
    this.offset = end;
    if (this.bytes.byteLength - end >= READ_ROOM_MIN) return;
    this.bytes = new Uint8Array(READ_BUFFER_BYTES);
    this.offset = 0;
  }

  /**
   * Bytes were read for several, who are now told one by one: what one of them
   * retains is not all that is needed.
   */
  beginBatch(): void {
    this.#retained = this.offset;
  }

  /** All were told: the next read begins behind what they have retained. */
  endBatch(): void {
    const end = this.#retained;
    this.#retained = -1;
    this.retain(end);
  }
}

/** Sends in one call what a batch says of `bytes`. */
export type WriteAll = (
  batch: WriteBatch,
  bytes: Uint8Array<ArrayBuffer>,
) => void;

/** A target that could not be sent to: by an errno, or by what it threw. */
interface Failure {
  readonly owner: WriteTarget;
  readonly code: number;
  readonly error: unknown;
}

/** Something that the write buffer can be sent to. */
export interface WriteTarget {
  /** How many runs of bytes wait for it; kept by the buffer. */
  runs: number;
  /** The number by which native code knows its stream. */
  readonly handle: number;
  /** Whether bytes may go to its stream at once, with those of others. */
  readonly sendsAtOnce: boolean;
  /**
   * Takes note of what sending bytes at once has given, and keeps a copy of
   * what the system did not take. Calls nobody.
   *
   * @returns Whether the stream works.
   */
  sent(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    count: number,
  ): boolean;
  /** Ends it, because sending gave the errno `-code`. Never throws. */
  failSending(code: number): void;
  /** Sends, or queues, bytes that the buffer overwrites afterwards. */
  send(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void;
  /** Ends it, because one of these threw `error`. Never throws itself. */
  fail(error: unknown): void;
}

/**
 * Where answers are serialised, in place, whoever they are for: a log of runs
 * of bytes, each with an owner. When the log is sent, the runs of one owner
 * leave in one write, also when handlers that finish in turns have mixed them.
 */
export class WriteBuffer {
  /** The bytes; those before `length` wait to be sent. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(WRITE_BUFFER_BYTES);
  /** How many bytes wait. */
  length = 0;
  // Never shortened: an array that is emptied and filled again is allocated
  // again. The first `#count` entries count.
  readonly #owners: (WriteTarget | undefined)[] = [];
  readonly #starts: number[] = [];
  #count = 0;
  /** Where the bytes of the last `reserve` may begin, and where they end. */
  #reservedFrom = 0;
  #reservedTo = 0;
  #isFlushing = false;
  #scratch: Uint8Array<ArrayBuffer> | undefined;
  readonly #writeAll: WriteAll | undefined;
  readonly #batch = new WriteBatch(BATCH_MAX);
  readonly #batchOwners: (WriteTarget | undefined)[] = [];

  /** @param writeAll Where there is none, each run is sent by itself. */
  constructor(writeAll?: WriteAll) {
    this.#writeAll = writeAll;
  }

  /**
   * Makes room for `size` bytes that belong to `owner`, sending what is in the
   * way. Write them at `length` and advance that, by no more: an owner that
   * goes beyond is ended, since what lies there was another's.
   *
   * @returns Whether there is room: never for more than the whole buffer.
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

  /** Sends everything that waits. */
  flush(): void {
    this.#checkLast();
    if (this.#count === 0 || this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      // A target may answer to failure by writing more: the log may grow.
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

  /** Looks at what the last `reserve` was used for, before anything leaves. */
  #checkLast(): void {
    const { length } = this;
    const isIn = length >= this.#reservedFrom && length <= this.#reservedTo;
    if (!isIn || (length | 0) !== length) this.#refuseLast();
  }

  /**
   * Checks that the runs are the log: in order, inside of it, and each of an
   * owner that counts it. Looks at all: for tests and the simulator.
   *
   * @throws {InvariantError} when they are not.
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
    // Without one, nothing was reserved: nothing leaves, either.
    const owner = this.#owners[this.#count - 1];
    owner?.fail(
      new RangeError(
        `Cannot write "${written}" bytes: room was reserved for "${size}"`,
      ),
    );
  }

  /** Sends what waits for one owner. */
  flushFor(owner: WriteTarget): void {
    if (owner.runs === 0) return;
    if (this.#count === 1) return this.flush();
    this.#checkLast();
    const run = this.#owners.indexOf(owner);
    if (run >= 0) this.#send(run);
  }

  /**
   * Takes out what waits for one owner, in one piece, for a write that has more
   * than that. It is valid until the buffer is used again.
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

  /** Forgets what waits for an owner that is gone. */
  drop(owner: WriteTarget): void {
    for (let run = 0; owner.runs > 0 && run < this.#count; run++) {
      if (this.#owners[run] !== owner) continue;
      this.#owners[run] = undefined;
      owner.runs--;
    }
  }

  /**
   * Sends runs from `first` on in one call, as far as one call goes, and
   * returns where to go on.
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
      // Nobody is called until all is accounted for: it waits no more.
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
      // Nobody knows what was sent of it.
      const owners = this.#batchOwners.splice(0, batch.length);
      for (const owner of owners) owner!.fail(error);
      return;
    }
    this.#accountFor(batch);
  }

  #accountFor(batch: WriteBatch): void {
    const owners = this.#batchOwners;
    const { length } = batch;
    // No closures: each would cost every owner a context.
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
    // Taken out while it is in use, for a target that writes again.
    const scratch = this.#scratch;
    this.#scratch = undefined;
    const { byteLength } = joined;
    if (byteLength > 0) this.#sendTo(owner, joined, 0, byteLength);
    this.#scratch = scratch;
  }

  /** Takes out the runs of an owner from `first` on, one behind the other. */
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
