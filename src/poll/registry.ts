/**
 * The registering side of readiness.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { checkInterest, type InterestSet } from "./interest.ts";
import { checkToken, type Token } from "./token.ts";

/** Something that can be registered: it has a native handle. */
export interface Source {
  /** The number by which native code knows the source. */
  readonly handle: number;
}

/**
 * Registers sources with one {@linkcode Poll}, under the caller's tokens.
 *
 * Registration is edge-triggered: an event says that something has changed,
 * and the next comes only after another change. Read, write or accept until
 * the answer is `WOULD_BLOCK`.
 */
export class Registry implements Disposable {
  /** The number by which native code knows the registry. */
  readonly handle: number;

  /**
   * Stands for a native registry, as one that another Worker has posted.
   *
   * @param handle A poll's or a registry's.
   */
  constructor(handle: number) {
    this.handle = handle;
  }

  /**
   * Asks to be told when `source` becomes ready.
   *
   * @throws {Deno.errors.AlreadyExists} when it is registered, here or with
   * another poll.
   * @throws {Deno.errors.BadResource} when either side is closed.
   */
  register(source: Source, token: Token, interest: InterestSet): void {
    unwrap(
      native().denio_registry_register(
        this.handle,
        source.handle,
        checkToken(token),
        checkInterest(interest),
      ),
      `register source ${source.handle}`,
    );
  }

  /**
   * Replaces token and interest; a source that is ready now fires again.
   *
   * @throws {Deno.errors.NotFound} when it is not registered here.
   * @throws {Deno.errors.BadResource} when either side is closed.
   */
  reregister(source: Source, token: Token, interest: InterestSet): void {
    unwrap(
      native().denio_registry_reregister(
        this.handle,
        source.handle,
        checkToken(token),
        checkInterest(interest),
      ),
      `reregister source ${source.handle}`,
    );
  }

  /**
   * Stops telling about `source`, which goes on working.
   *
   * @throws {Deno.errors.NotFound} when it is not registered here.
   * @throws {Deno.errors.BadResource} when either side is closed.
   */
  deregister(source: Source): void {
    unwrap(
      native().denio_registry_deregister(this.handle, source.handle),
      `deregister source ${source.handle}`,
    );
  }

  /**
   * Returns another registry for the same poll, with a handle of its own that
   * may be posted to a Worker and used while the poll waits.
   */
  tryClone(): Registry {
    const handle = native().denio_registry_try_clone(this.handle);
    return new Registry(unwrap(handle, `clone registry ${this.handle}`));
  }

  /** Closes this handle; a poll's own registry is closed with the poll. */
  close(): void {
    unwrap(
      native().denio_source_close(this.handle),
      `close registry ${this.handle}`,
    );
  }

  /** Closes the registry, unless it is closed already. */
  [Symbol.dispose](): void {
    native().denio_source_close(this.handle);
  }
}
