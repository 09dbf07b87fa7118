/**
 * A queue of bytes, in blocks that grow: for bytes that came and that nothing
 * has read yet, and for bytes that could not be sent yet.
 *
 * Small pieces are copied into blocks, so that the memory of a queue follows
 * the count of its bytes, also when a peer sends single bytes. A queue counts
 * the memory that it takes, not the bytes that it was given.
 *
 * @module
 */

/** Capacity of the first block that small pieces are copied into. */
const BLOCK_BYTES_MIN = 256;
/**
 * Capacity that blocks grow to: enough that a system call for eight blocks
 * costs little for each byte, small enough that a long queue frees memory while
 * it is sent.
 */
export const BLOCK_BYTES_MAX = 65_536;
/**
 * Owned pieces up to this length are copied: a reference costs an object, and a
 * place in the vector of a system call.
 */
const COPY_BYTES_MAX = 2_048;
/** Memory of a run beside its bytes: its object and its views. */
const RUN_BYTES = 192;
/** Up to this length a loop copies: a view for `set` would cost more. */
const LOOP_BYTES_MAX = 32;
/** Runs that were taken out stay in the array until there are this many. */
const COMPACT_AT = 64;

/** Neighbouring bytes of one buffer. */
interface Run {
  /** The buffer. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Offset of the next byte to take. */
  start: number;
  /** Offset behind the last byte. */
  end: number;
  /** Whether the queue made the buffer, and may write behind `end`. */
  readonly isBlock: boolean;
}

/** Counts arrays that queues refer to: each array once, for all queues. */
export interface ArrayLedger {
  /** Counts one reference more to `bytes`. */
  hold(bytes: Uint8Array<ArrayBuffer>): void;
  /** Counts one reference less to `bytes`. */
  release(bytes: Uint8Array<ArrayBuffer>): void;
}

/** A queue of bytes. */
export class ByteQueue {
  /** How many bytes are in it. */
  byteLength = 0;
  /**
   * How many bytes of memory the queue takes: its objects, the capacity of its
   * blocks, and the length of arrays that it refers to, unless a ledger counts
   * those.
   */
  memoryBytes = 0;
  #runs: Run[] = [];
  #first = 0;
  readonly #ledger: ArrayLedger | undefined;

  /** @param ledger Counts the arrays that the queue refers to. */
  constructor(ledger?: ArrayLedger) {
    this.#ledger = ledger;
  }

  /**
   * Adds a copy of `bytes` from `start` to `end`.
   *
   * @throws {RangeError} when the range lies outside `bytes`.
   */
  push(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    checkRange(bytes, start, end);
    for (let at = start; at < end;) {
      const run = this.#runWithRoom(end - at);
      const stop = Math.min(end, at + run.bytes.byteLength - run.end);
      copy(bytes, at, stop, run);
      run.end += stop - at;
      at = stop;
    }
    this.byteLength += end - start;
  }

  /**
   * Adds `bytes` from `start` to `end`, which must not change any more: the
   * queue refers to long pieces, and copies short ones.
   *
   * @throws {RangeError} when the range lies outside `bytes`.
   */
  pushOwned(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    if (end - start <= COPY_BYTES_MAX) return this.push(bytes, start, end);
    checkRange(bytes, start, end);
    this.#add({ bytes, start, end, isBlock: false });
    this.byteLength += end - start;
  }

  /**
   * Returns views of the first bytes, in order, at most `runsMax` views. They
   * are valid until the queue is changed.
   */
  views(runsMax: number): Uint8Array<ArrayBuffer>[] {
    const views: Uint8Array<ArrayBuffer>[] = [];
    const last = Math.min(this.#runs.length, this.#first + runsMax);
    for (let index = this.#first; index < last; index++) {
      const { bytes, start, end } = this.#runs[index]!;
      views.push(bytes.subarray(start, end));
    }
    return views;
  }

  /**
   * Returns a view of all bytes in one piece. Bytes that lie apart are copied
   * together into a block with as much room again, so the copies of a queue
   * that grows between calls cost linear time. The queue never changes bytes,
   * so the view keeps its bytes also when they have left the queue.
   */
  joined(): Uint8Array<ArrayBuffer> {
    const count = this.#runs.length - this.#first;
    if (count === 0) return EMPTY;
    if (count > 1) this.#join();
    const { bytes, start, end } = this.#runs[this.#first]!;
    return bytes.subarray(start, end);
  }

  /** Moves first bytes to `target`, from `start` on, and returns how many. */
  moveTo(target: Uint8Array, start: number = 0): number {
    let at = start;
    while (this.byteLength > 0 && at < target.byteLength) {
      const run = this.#runs[this.#first]!;
      const count = Math.min(run.end - run.start, target.byteLength - at);
      target.set(run.bytes.subarray(run.start, run.start + count), at);
      this.shift(count);
      at += count;
    }
    return at - start;
  }

  /**
   * Takes the first `count` bytes, or all, as a new array.
   *
   * @throws {RangeError} when the queue has fewer.
   */
  take(count: number = this.byteLength): Uint8Array<ArrayBuffer> {
    this.#checkCount(count);
    const taken = new Uint8Array(count);
    this.moveTo(taken);
    return taken;
  }

  /**
   * Takes first bytes that lie together, as an array to keep; `undefined` when
   * the queue is empty. Copies them unless they fill a block.
   */
  takeFirst(): Uint8Array<ArrayBuffer> | undefined {
    const run = this.#runs[this.#first];
    if (run === undefined) return undefined;
    const { bytes, start, end, isBlock } = run;
    const isFull = isBlock && end - start === bytes.byteLength;
    const taken = isFull ? bytes : bytes.slice(start, end);
    this.shift(end - start);
    return taken;
  }

  /**
   * Forgets the first `count` bytes.
   *
   * @throws {RangeError} when the queue has fewer.
   */
  shift(count: number): void {
    this.#checkCount(count);
    this.byteLength -= count;
    for (let left = count; left > 0;) {
      const run = this.#runs[this.#first]!;
      const shifted = Math.min(left, run.end - run.start);
      run.start += shifted;
      left -= shifted;
      if (run.start === run.end) this.#dropFirst();
    }
  }

  /** Forgets all bytes, and frees their memory. */
  clear(): void {
    const ledger = this.#ledger;
    for (let index = this.#first; index < this.#runs.length; index++) {
      const { bytes, isBlock } = this.#runs[index]!;
      if (!isBlock) ledger?.release(bytes);
    }
    this.#runs = [];
    this.#first = 0;
    this.byteLength = 0;
    this.memoryBytes = 0;
  }

  /**
   * Returns how many bytes there are up to the end of the first `delimiter`
   * that ends behind `from`; -1 when there is none. Joins all bytes.
   *
   * @throws {RangeError} when `delimiter` is empty.
   */
  find(delimiter: Uint8Array, from: number = 0): number {
    const { byteLength: width } = delimiter;
    if (width === 0) throw new RangeError("Cannot find an empty delimiter");
    const first = delimiter[0]!;
    const bytes = this.joined();
    const last = bytes.byteLength - width;
    for (let at = Math.max(0, from - width + 1);; at++) {
      at = bytes.indexOf(first, at);
      if (at < 0 || at > last) return -1;
      let same = 1;
      while (same < width && bytes[at + same] === delimiter[same]) same++;
      if (same === width) return at + width;
    }
  }

  /** Returns the last block when it has room, otherwise a new one. */
  #runWithRoom(wanted: number): Run {
    const last = this.#runs[this.#runs.length - 1];
    const isBlock = last?.isBlock === true;
    if (isBlock && last.end < last.bytes.byteLength) return last;
    const grown = isBlock ? 2 * last.bytes.byteLength : BLOCK_BYTES_MIN;
    const capacity = Math.min(BLOCK_BYTES_MAX, Math.max(grown, wanted));
    return this.#add({
      bytes: new Uint8Array(capacity),
      start: 0,
      end: 0,
      isBlock: true,
    });
  }

  #add(run: Run): Run {
    this.#runs.push(run);
    this.memoryBytes += this.#memoryOf(run);
    if (!run.isBlock) this.#ledger?.hold(run.bytes);
    return run;
  }

  #memoryOf({ bytes, isBlock }: Run): number {
    const isCounted = isBlock || this.#ledger === undefined;
    return RUN_BYTES + (isCounted ? bytes.byteLength : 0);
  }

  #join(): void {
    const { byteLength } = this;
    const bytes = new Uint8Array(Math.max(BLOCK_BYTES_MIN, 2 * byteLength));
    this.moveTo(bytes);
    this.clear();
    this.#add({ bytes, start: 0, end: byteLength, isBlock: true });
    this.byteLength = byteLength;
  }

  #dropFirst(): void {
    const run = this.#runs[this.#first]!;
    this.memoryBytes -= this.#memoryOf(run);
    if (!run.isBlock) this.#ledger?.release(run.bytes);
    this.#runs[this.#first++] = NO_RUN;
    if (this.#first === this.#runs.length) {
      this.#first = this.#runs.length = 0;
      return;
    }
    if (this.#first < COMPACT_AT) return;
    this.#runs.splice(0, this.#first);
    this.#first = 0;
  }

  #checkCount(count: number): void {
    if (count >= 0 && count <= this.byteLength) return;
    throw new RangeError(
      `Cannot take "${count}" bytes: there are ${this.byteLength}`,
    );
  }
}

const EMPTY = new Uint8Array(0);
const NO_RUN: Run = { bytes: EMPTY, start: 0, end: 0, isBlock: true };

/** Copies bytes from `start` to `end` to the end of a run. */
function copy(
  bytes: Uint8Array,
  start: number,
  end: number,
  { bytes: target, end: at }: Run,
): void {
  if (end - start > LOOP_BYTES_MAX) {
    target.set(bytes.subarray(start, end), at);
    return;
  }
  for (let index = start; index < end; index++) {
    target[at + index - start] = bytes[index]!;
  }
}

function checkRange(bytes: Uint8Array, start: number, end: number): void {
  if (start >= 0 && start <= end && end <= bytes.byteLength) return;
  throw new RangeError(
    `Cannot queue bytes from "${start}" to "${end}": ` +
      `there are ${bytes.byteLength}`,
  );
}
