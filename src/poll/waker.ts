/**
 * Ends a wait from elsewhere.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import type { Registry } from "./registry.ts";
import { checkToken, type Token } from "./token.ts";

/**
 * Makes a {@linkcode Poll} return with a readable event, from any Worker.
 * Wakes before a poll coalesce into one event.
 */
export class Waker implements Disposable {
  /** The number by which native code knows the waker; it may be posted. */
  readonly handle: number;

  /**
   * Opens the waker of a poll, which is told by an event under `token`.
   *
   * @throws {Deno.errors.AlreadyExists} while the poll has another waker.
   */
  constructor(registry: Registry, token: Token) {
    this.handle = unwrap(
      native().denio_waker_new(registry.handle, checkToken(token)),
      `open a waker for registry ${registry.handle}`,
    );
  }

  /**
   * Ends the current wait, or else the next one.
   *
   * @throws {Deno.errors.BadResource} when the waker is closed.
   */
  wake(): void {
    unwrap(native().denio_waker_wake(this.handle), `wake ${this.handle}`);
  }

  /** Closes the waker, so that another may be opened. */
  close(): void {
    unwrap(
      native().denio_source_close(this.handle),
      `close waker ${this.handle}`,
    );
  }

  /** Closes the waker, unless it is closed already. */
  [Symbol.dispose](): void {
    native().denio_source_close(this.handle);
  }
}
