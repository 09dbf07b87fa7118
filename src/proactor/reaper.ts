/**
 * Completions for another thread than the proactor's.
 *
 * @module
 */

import { errorFrom, unwrap } from "../native/errors.ts";
import { native, nativeProactor } from "../native/library.ts";
import type { LoopPark } from "../park/loop_park.ts";
import { wholeTimeout } from "../poll/poll.ts";
import type { Completions } from "./completions.ts";
import { parkOf } from "./parking.ts";

/**
 * An inbox for completions of one proactor, which any one thread may read:
 * `Operations.reaper` names it.
 *
 * The proactor's owner moves completions into the inbox when it waits. An
 * operation that goes on pauses when 16 of its completions lie there.
 */
export class Reaper implements Disposable {
  #handle: number;
  #park: LoopPark | undefined = undefined;

  /**
   * Makes an object for a reaper, for example one that another Worker posted.
   *
   * @param handle The handle of a reaper; the new object owns it.
   */
  constructor(handle: number) {
    this.#handle = handle;
  }

  /**
   * The number by which native code knows the reaper, which can be posted to a
   * Worker; 0 once it is closed.
   */
  get handle(): number {
    return this.#handle;
  }

  /**
   * Waits until a completion comes, fills `completions` and returns their
   * number, as `Proactor.wait` does for the owner.
   *
   * @throws {RangeError} when `timeoutMs` is negative or no number, or the bytes
   * of the next completion do not fit.
   * @throws {Deno.errors.BadResource} when the reaper is closed, or the
   * proactor, and nothing is left.
   */
  wait(completions: Completions, timeoutMs?: number): number {
    completions.length = 0;
    const count = nativeProactor().denio_reaper_wait(
      this.#handle,
      completions.words,
      completions.capacity,
      completions.bytes,
      completions.bytes.byteLength,
      wholeTimeout(timeoutMs),
    );
    if (count < 0) throw waitError(-count, `wait for reaper ${this.#handle}`);
    return completions.length = count;
  }

  /**
   * Resolves when a completion is there, the reaper was woken, or `timeoutMs` is
   * over: sometimes early. Then `wait(completions, 0)` brings completions.
   */
  park(timeoutMs?: number): Promise<void> {
    const symbols = nativeProactor();
    this.#park ??= parkOf({
      handle: this.#handle,
      descriptor: () => symbols.denio_reaper_descriptor(this.#handle),
      park: () => symbols.denio_reaper_park(this.#handle),
      unpark: () => symbols.denio_reaper_unpark(this.#handle),
    });
    return this.#park.park(timeoutMs, true);
  }

  /** Closes the reaper. Completions that come later are dropped. */
  close(): void {
    unwrap(this.#end(), "close a reaper");
  }

  /** Closes the reaper, unless it is closed already. */
  [Symbol.dispose](): void {
    this.#end();
  }

  #end(): number {
    const handle = this.#handle;
    this.#handle = 0;
    this.#park?.close();
    this.#park?.wake();
    return native().denio_source_close(handle);
  }
}

const EMSGSIZE = 90;

/** Returns the error of a wait. */
export function waitError(errno: number, call: string): Error {
  if (errno !== EMSGSIZE) return errorFrom(errno, call);
  return new RangeError(
    `Cannot ${call}: the bytes of the next completion do not fit; make the ` +
      "Completions with more bytes",
  );
}
