/**
 * Waiting for a poll without blocking a thread: a descriptor becomes readable
 * when the wait is over.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { type Poll, wholeTimeout } from "./poll.ts";

/** Parks one poll: none of Deno's threads waits for it. */
export class Parker implements Disposable {
  /**
   * The descriptor that becomes readable when a wait is over: a Unix socket or
   * an eventfd. The caller reads from it and closes it.
   */
  readonly fd: number;
  readonly #handle: number;
  #isClosed = false;

  /**
   * Opens a parker for a poll.
   *
   * @param by `"thread"`: a thread of the native library writes to a Unix
   * socket. `"kernel"`: Linux itself signals an eventfd, which is faster.
   * @throws {Error} when the process is out of descriptors, when no thread can
   * start, or when the system, a container's rules or the poll's backend do not
   * allow `"kernel"`.
   */
  constructor(poll: Poll, by: "thread" | "kernel" = "thread") {
    const out = new Float64Array(2);
    const isKernel = by === "kernel" ? 1 : 0;
    unwrap(native().denio_parker_new(poll.handle, isKernel, out), "park");
    this.#handle = out[0]!;
    this.fd = out[1]!;
  }

  /**
   * Makes the descriptor readable when a source is ready or `timeoutMs` is
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

  /** Ends the wait; the descriptor becomes readable no more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    native().denio_source_close(this.#handle);
  }

  /** Closes the parker. */
  [Symbol.dispose](): void {
    this.close();
  }
}
