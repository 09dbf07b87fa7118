/**
 * The base of all sockets and pipes: a native handle, and closing it.
 *
 * @module
 */

import { errorFrom, unwrap, WOULD_BLOCK } from "../native/errors.ts";
import { native } from "../native/library.ts";

/**
 * A socket or one end of a pipe: it never blocks, and can be registered.
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
   * Takes a native handle over, for example one that another Worker posted.
   *
   * @param handle A handle of the class's kind; the new object owns it.
   */
  constructor(handle: number) {
    this.#handle = handle;
  }

  /**
   * The number by which native code knows it, which can be posted to a Worker;
   * 0 once it is closed, so that a closed object never closes another's handle.
   */
  get handle(): number {
    return this.#handle;
  }

  /** Its name in messages. */
  protected abstract get noun(): string;

  /**
   * Closes it at once. The system still sends the bytes that it has accepted.
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
