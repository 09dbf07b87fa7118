/**
 * Waiting for a poll without holding a thread: the end of a wait makes a
 * descriptor readable.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { type Poll, wholeTimeout } from "./poll.ts";

/** Where one poll is parked: none of Deno's threads waits for it. */
export class Parker implements Disposable {
  /**
   * The descriptor that becomes readable when a wait is over: a Unix socket's,
   * or an eventfd's. The caller reads from it and closes it.
   */
  readonly fd: number;
  readonly #handle: number;
  #isClosed = false;

  /**
   * Opens a place for a poll.
   *
   * @param by Either a thread of the native library writes to a Unix socket, or
   * Linux itself signals an eventfd, which is sooner.
   * @throws {Error} when descriptors are short, no thread can be started, or the
   * system, a container's rules or the poll's backend do not allow `"kernel"`.
   */
  constructor(poll: Poll, by: "thread" | "kernel" = "thread") {
    const out = new Float64Array(2);
    const isKernel = by === "kernel" ? 1 : 0;
    unwrap(native().denio_parker_new(poll.handle, isKernel, out), "park");
    this.#handle = out[0]!;
    this.fd = out[1]!;
  }

  /**
   * Makes the descriptor readable when something is ready or `timeoutMs` is
   * over; `undefined` waits without limit. Takes no event, and replaces an
   * earlier wait.
   */
  park(timeoutMs: number | undefined): void {
    const ms = wholeTimeout(timeoutMs);
    unwrap(native().denio_parker_park(this.#handle, ms), "park");
  }

  /** Makes the descriptor readable now. */
  wake(): void {
    unwrap(native().denio_parker_wake(this.#handle), "park");
  }

  /** Ends what waits; no byte comes any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    native().denio_source_close(this.#handle);
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }
}
