/**
 * Submitting to a proactor, from any thread.
 *
 * @module
 */

import { errnoNumber, errorFrom, WOULD_BLOCK } from "../native/errors.ts";
import { native, nativeProactor } from "../native/library.ts";
import { CALL_BYTES_MAX, checkRange } from "../net/transfer.ts";
import type { Source } from "../poll/registry.ts";
import { checkToken, type Token } from "../poll/token.ts";
import { operationOf } from "./operation.ts";
import type { Operations } from "./operations.ts";
import { Reaper } from "./reaper.ts";
import { operationError } from "./support.ts";

const NO_BYTES = new Uint8Array(0);
const OPERATIONS_DEFAULT = 256;
/** The most operations of a proactor: `OPERATIONS_MAX` in Rust. */
export const OPERATIONS_MAX = 32_000;

/**
 * Submits operations to a proactor that another thread may own.
 *
 * @example Another Worker's proactor
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Completions } from "./completions.ts";
 * import { Operations } from "./operations.ts";
 * import { Proactor } from "./proactor.ts";
 * import { Producer } from "./producer.ts";
 *
 * using proactor = new Proactor();
 * // A Worker gets the handle by a message.
 * const producer = new Producer(proactor.handle);
 * const operations = new Operations();
 * operations.nop(7);
 * producer.submit(operations);
 *
 * const completions = new Completions();
 * proactor.wait(completions);
 * assertEquals(completions.token(0), 7);
 * ```
 */
export class Producer {
  #handle: number;

  /**
   * Makes an object for a proactor.
   *
   * @param handle The handle of a proactor, of any thread.
   */
  constructor(handle: number) {
    this.#handle = handle;
  }

  /**
   * The number by which native code knows the proactor, which can be posted to a
   * Worker; 0 once it is closed.
   */
  get handle(): number {
    return this.#handle;
  }

  /**
   * Takes operations out of a batch, in their order, as many as the proactor and
   * the reaper have places for. Copies the bytes that they send, so that the
   * program may use `bytes` again at once.
   *
   * On the owner's thread, operations are submitted to the kernel as the
   * proactor's `batching` says; other threads hand them to the owner, and wake
   * it when it waits.
   *
   * @param bytes What the ranges of `send` and `write` refer to.
   * @returns How many were taken: those that are left stay in the batch.
   * {@linkcode WOULD_BLOCK} when none was. After less than all, a completion
   * that is `isDrained` follows when there are places for the first of them.
   * @throws {Deno.errors.NotSupported} when the kernel does not have the first
   * operation.
   * @throws {Deno.errors.BadResource} when the proactor, or the first
   * operation's reaper, is closed.
   * @throws {TypeError} when the first operation is wrong, for example by a
   * range outside of `bytes`.
   */
  submit(
    operations: Operations,
    bytes: Uint8Array<ArrayBuffer> = NO_BYTES,
  ): number {
    const { length } = operations;
    if (length === 0) return 0;
    const end = Math.min(bytes.byteLength, CALL_BYTES_MAX);
    checkRange(bytes, 0, end);
    const { words, names } = operations.memory;
    const count = nativeProactor().denio_proactor_submit(
      this.#handle,
      words,
      length,
      bytes,
      end,
      names,
      operations.namesLength,
    );
    if (count > 0) operations.takeOut(count);
    if (count > 0) return count;
    return count === 0 ? WOULD_BLOCK : this.#fail(-count, operations);
  }

  /**
   * Asks the operations with a token to end.
   *
   * Each still completes: with `-ECANCELED`, or as if nothing had been asked,
   * when it was faster.
   *
   * @returns How many were asked. On another thread than the owner's 0: the
   * owner asks when it waits.
   * @throws {Deno.errors.BadResource} when the proactor is closed.
   */
  cancel(token: Token): number {
    return this.#cancel(checkToken(token), 0);
  }

  /**
   * Asks the operations on a source to end, as `cancel` those of a token.
   *
   * @throws {Deno.errors.BadResource} when the proactor is closed, or the source:
   * a closed object does not know which operations were its own.
   */
  cancelSource(source: Source): number {
    return this.#cancel(source.handle, 1);
  }

  /**
   * Opens a reaper, which gets completions of this proactor on any thread.
   *
   * @param operations How many of its operations may be in flight: a number from
   * 1 to 32000.
   * @throws {RangeError} when it is out of range.
   * @throws {Deno.errors.BadResource} when the proactor is closed.
   */
  openReaper(operations: number = OPERATIONS_DEFAULT): Reaper {
    checkOperations(operations);
    const code = nativeProactor().denio_reaper_new(this.#handle, operations);
    if (code < 0) throw errorFrom(-code, "open a reaper");
    return new Reaper(code);
  }

  /** Ends the proactor: only its owner offers it. */
  protected end(): number {
    const handle = this.#handle;
    this.#handle = 0;
    return native().denio_source_close(handle);
  }

  #cancel(which: number, bySource: number): number {
    const count = nativeProactor()
      .denio_proactor_cancel(this.#handle, which, bySource);
    if (count >= 0) return count;
    throw errorFrom(-count, `cancel operations of proactor ${this.#handle}`);
  }

  #fail(errno: number, operations: Operations): never {
    const operation = operationOf(operations.firstCode);
    if (errno === errnoNumber("ENOTSUP")) throw operationError(operation);
    throw errorFrom(errno, `submit operation "${operation}"`);
  }
}

/**
 * Throws unless `operations` is a number of places.
 *
 * @throws {RangeError} when it is no integer from 1 to 32000.
 */
export function checkOperations(operations: number): void {
  if (
    Number.isInteger(operations) && operations >= 1 &&
    operations <= OPERATIONS_MAX
  ) return;
  throw new RangeError(
    `Cannot have "${operations}" operations in flight: it must be an integer ` +
      `from 1 to ${OPERATIONS_MAX}`,
  );
}
