/**
 * The reusable batch that a proactor fills.
 *
 * @module
 */

import { COMPLETION_BYTES } from "../native/symbols.ts";
import type { Token } from "../poll/token.ts";
import { type Operation, operationOf } from "./operation.ts";

/** The layout of a completion, which native code shares. */
const VALUES = COMPLETION_BYTES / Float64Array.BYTES_PER_ELEMENT;
const WORDS = COMPLETION_BYTES / Int32Array.BYTES_PER_ELEMENT;
const TOKEN = 2;
const RESULT = 3;
const FLAGS = 4;
const CODE = 5;
const START = 6;
const END = 7;

/** Bits of the flags, as of `Completion` in Rust. */
const MORE = 1;
const DRAINED = 2;
const MESSAGE = 4;

const CAPACITY_DEFAULT = 256;
/** So many that batches stay far below what one native call can count. */
const CAPACITY_MAX = 65_536;
const BYTES_DEFAULT = 65_536;
const BYTES_MAX = 2 ** 30;

/**
 * A batch of completions, with the bytes that they brought. A wait fills it,
 * and the next wait may fill it again. Reading it by index allocates nothing.
 */
export class Completions {
  /** How many completions one wait may return. */
  readonly capacity: number;
  /** The bytes of all completions of the last wait. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many completions the last wait returned. */
  length = 0;
  /** The memory that native code writes. */
  readonly words: Int32Array<ArrayBuffer>;
  /** The same memory. */
  readonly #values: Float64Array<ArrayBuffer>;

  /**
   * Makes an empty batch.
   *
   * @param capacity The most completions that one wait returns, from 1 to
   * 65536; the next wait returns the rest.
   * @param bytesMax Room for their bytes, up to a GiB. It must hold the bytes of
   * each single completion: see `Proactor.wait`.
   * @throws {RangeError} when one is out of range.
   */
  constructor(
    capacity: number = CAPACITY_DEFAULT,
    bytesMax: number = BYTES_DEFAULT,
  ) {
    check("completions", capacity, 1, CAPACITY_MAX);
    check("bytes", bytesMax, 0, BYTES_MAX);
    this.capacity = capacity;
    this.bytes = new Uint8Array(bytesMax);
    const memory = new ArrayBuffer(COMPLETION_BYTES * capacity);
    this.words = new Int32Array(memory);
    this.#values = new Float64Array(memory);
  }

  /** Returns the token of completion `index`, which must be below `length`. */
  token(index: number): Token {
    return this.words[WORDS * index + TOKEN]! >>> 0;
  }

  /**
   * Returns how the operation ended: a number of zero or more, which depends on
   * the operation, or `-errno`.
   */
  result(index: number): number {
    return this.words[WORDS * index + RESULT]!;
  }

  /** Returns the kind of the operation. */
  operation(index: number): Operation {
    return operationOf(this.words[WORDS * index + CODE]!);
  }

  /** Whether the operation goes on, so that other completions follow. */
  hasMore(index: number): boolean {
    return (this.words[WORDS * index + FLAGS]! & MORE) !== 0;
  }

  /**
   * Whether this is the notice that there is room again, after an operation
   * with this token was refused. No operation has completed.
   */
  isDrained(index: number): boolean {
    return (this.words[WORDS * index + FLAGS]! & DRAINED) !== 0;
  }

  /** Whether another proactor sent it; `result` is the value that it sent. */
  isMessage(index: number): boolean {
    return (this.words[WORDS * index + FLAGS]! & MESSAGE) !== 0;
  }

  /**
   * Returns the handle of what was accepted, connected or opened, for
   * `new TcpStream(handle)`, `new UnixStream(handle)` or `new File(handle)`; 0
   * for nothing. The program must close it.
   */
  handle(index: number): number {
    return this.#values[VALUES * index]!;
  }

  /** Returns where the bytes begin in `bytes`. */
  start(index: number): number {
    return this.words[WORDS * index + START]!;
  }

  /** Returns where the bytes end. */
  end(index: number): number {
    return this.words[WORDS * index + END]!;
  }
}

function check(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot hold "${value}" ${what}: it must be an integer from ${min} to ` +
      `${max}`,
  );
}
