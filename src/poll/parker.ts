/**
 * Waiting for a poll without holding a thread: a byte comes by a socket.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { type Poll, wholeTimeout } from "./poll.ts";

/**
 * Where one poll is parked. One thread of the native library waits for all
 * polls that are, and none of Deno's does.
 */
export class Parker implements Disposable {
  /**
   * The descriptor of a Unix socket, by which a byte comes when a wait is over:
   * the caller's, to read from and to close.
   */
  readonly fd: number;
  readonly #handle: number;
  #isClosed = false;

  /**
   * Opens a place for a poll.
   *
   * @throws {Error} when descriptors are short, or no thread can be started.
   */
  constructor(poll: Poll) {
    const out = new Float64Array(2);
    unwrap(native().denio_parker_new(poll.handle, out), "park");
    this.#handle = out[0]!;
    this.fd = out[1]!;
  }

  /**
   * Has a byte come when something is ready or `timeoutMs` is over; `undefined`
   * waits without limit. Takes no event, and replaces what was asked before.
   */
  park(timeoutMs: number | undefined): void {
    const ms = wholeTimeout(timeoutMs);
    unwrap(native().denio_parker_park(this.#handle, ms), "park");
  }

  /** Has a byte come now. */
  tell(): void {
    unwrap(native().denio_parker_tell(this.#handle), "park");
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
