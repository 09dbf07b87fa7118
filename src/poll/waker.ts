/**
 * Ends a wait from another thread.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import type { Registry } from "./registry.ts";
import { checkToken, type Token } from "./token.ts";

/**
 * Makes a {@linkcode Poll} return with a readable event, from any Worker.
 * Several wakes before a poll make one event.
 */
export class Waker implements Disposable {
  #handle: number;

  /**
   * Opens the waker of a poll; a wake is an event under `token`.
   *
   * @throws {Deno.errors.AlreadyExists} while the poll has another waker.
   */
  constructor(registry: Registry, token: Token) {
    this.#handle = unwrap(
      native().denio_waker_new(registry.handle, checkToken(token)),
      `open a waker for registry ${registry.handle}`,
    );
  }

  /**
   * The number by which native code knows the waker, which may be posted; 0
   * once it is closed.
   */
  get handle(): number {
    return this.#handle;
  }

  /**
   * Ends the current wait, or the next one when no wait is running.
   *
   * @throws {Deno.errors.BadResource} when the waker is closed.
   */
  wake(): void {
    unwrap(native().denio_waker_wake(this.handle), `wake ${this.handle}`);
  }

  /** Closes the waker, so that another may be opened. */
  close(): void {
    const handle = this.#handle;
    this.#handle = 0;
    unwrap(native().denio_source_close(handle), `close waker ${handle}`);
  }

  /** Closes the waker, unless it is closed already. */
  [Symbol.dispose](): void {
    const handle = this.#handle;
    this.#handle = 0;
    native().denio_source_close(handle);
  }
}
