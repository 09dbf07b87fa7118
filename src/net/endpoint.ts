/**
 * What native code holds open for an object here: it has a handle, and ends.
 *
 * @module
 */

import { errorFrom, unwrap, WOULD_BLOCK } from "../native/errors.ts";
import { native } from "../native/library.ts";

/**
 * Something open that never blocks, and can be registered.
 *
 * @example Closed by hand once, or by `using`
 * ```ts
 * import { assertThrows } from "@std/assert";
 * import { pipe } from "./pipe.ts";
 *
 * const { reader, writer } = pipe();
 * using _reader = reader;
 * writer.close();
 * assertThrows(() => writer.close(), Deno.errors.BadResource);
 * ```
 */
export abstract class Endpoint implements Disposable {
  #handle: number;

  /**
   * Takes a native handle over, as one that another Worker has posted.
   *
   * @param handle Of the same kind as the class; the new object owns it.
   */
  constructor(handle: number) {
    this.#handle = handle;
  }

  /**
   * The number by which native code knows it, which can be posted to a Worker;
   * 0 once it is closed: a closed object never closes another's.
   */
  get handle(): number {
    return this.#handle;
  }

  /** What it is called in messages. */
  protected abstract get noun(): string;

  /**
   * Closes it at once; bytes that the system has taken are still sent.
   *
   * @throws {Deno.errors.BadResource} when it is closed already.
   */
  close(): void {
    const handle = this.#handle;
    this.#handle = 0;
    const code = native().denio_source_close(handle);
    unwrap(code, `close ${this.noun} ${handle}`);
  }

  /** Closes it, unless it is closed already. */
  [Symbol.dispose](): void {
    const handle = this.#handle;
    this.#handle = 0;
    native().denio_source_close(handle);
  }

  /** Returns a count or `WOULD_BLOCK`, and throws any other answer. */
  protected countOf(answer: number, doing: string): number {
    if (answer >= 0 || answer === WOULD_BLOCK) return answer;
    throw errorFrom(-answer, `${doing} ${this.noun} ${this.handle}`);
  }
}
