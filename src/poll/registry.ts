/**
 * The registering side of readiness.
 *
 * @module
 */

import { errorFrom, unwrap } from "../native/errors.ts";
import { native, nativeOthers } from "../native/library.ts";
import {
  checkInterest,
  describeInterest,
  type InterestSet,
} from "./interest.ts";
import { describeMode, modeBits, type RegisterOptions } from "./mode.ts";
import { checkToken, type Token } from "./token.ts";

/** Something that can be registered: it has a native handle. */
export interface Source {
  /** The number by which native code knows the source. */
  readonly handle: number;
}

/**
 * Something that is registered by registering what it is made of, as a TLS
 * stream registers its socket. A registry calls each method once for each call
 * of its own, with what it was given, and passes on what is thrown.
 */
export interface CustomSource {
  /** Registers what this is made of. */
  register(
    registry: Registry,
    token: Token,
    interest: InterestSet,
    options?: RegisterOptions,
  ): void;
  /** Reregisters it. */
  reregister(
    registry: Registry,
    token: Token,
    interest: InterestSet,
    options?: RegisterOptions,
  ): void;
  /** Deregisters it. */
  deregister(registry: Registry): void;
}

/**
 * Registers sources with one {@linkcode Poll}, under the caller's tokens.
 *
 * A registration is edge-triggered unless it asks for another mode: an event
 * says that something has changed, and the next comes only after another
 * change. Read, write or accept until the answer is `WOULD_BLOCK`.
 */
export class Registry implements Disposable {
  #handle: number;

  /**
   * Stands for a native registry, as one that another Worker has posted.
   *
   * @param handle A poll's or a registry's.
   */
  constructor(handle: number) {
    this.#handle = handle;
  }

  /** The number by which native code knows the registry; 0 once it is closed. */
  get handle(): number {
    return this.#handle;
  }

  /**
   * Asks to be told when `source` becomes ready.
   *
   * @throws {Deno.errors.AlreadyExists} when it is registered, here or with
   * another poll.
   * @throws {Deno.errors.NotSupported} when the backend has not got the
   * interest or the mode: `Poll.supports` tells.
   * @throws {RangeError} when the backend is select and the source's descriptor
   * is beyond `FD_SETSIZE`, which is 1024.
   * @throws {Deno.errors.BadResource} when either side is closed.
   */
  register(
    source: Source | CustomSource,
    token: Token,
    interest: InterestSet,
    options?: RegisterOptions,
  ): void {
    if ("register" in source) {
      return source.register(this, token, interest, options);
    }
    const code = this.tryRegister(source, token, interest, options);
    if (code < 0) throw refusal(code, "register", source, interest, options);
  }

  /**
   * Replaces token, interest and mode; a source that is ready now fires again.
   *
   * @throws {Deno.errors.NotFound} when it is not registered here.
   * @throws {TypeError} when it is or was to be exclusive.
   * @throws {Deno.errors.BadResource} when either side is closed, and others of
   * {@linkcode Registry.register}.
   */
  reregister(
    source: Source | CustomSource,
    token: Token,
    interest: InterestSet,
    options?: RegisterOptions,
  ): void {
    if ("reregister" in source) {
      return source.reregister(this, token, interest, options);
    }
    const code = native().denio_registry_reregister(
      this.handle,
      source.handle,
      checkToken(token),
      checkInterest(interest),
      modeBits(options),
    );
    if (code < 0) throw refusal(code, "reregister", source, interest, options);
  }

  /**
   * Stops telling about `source`, which goes on working.
   *
   * @throws {Deno.errors.NotFound} when it is not registered here.
   * @throws {Deno.errors.BadResource} when either side is closed.
   */
  deregister(source: Source | CustomSource): void {
    if ("deregister" in source) return source.deregister(this);
    unwrap(this.tryDeregister(source), `deregister source ${source.handle}`);
  }

  /**
   * Registers like {@linkcode Registry.register}, and throws nothing: for a
   * source that another thread may have registered, or closed.
   *
   * @returns 0, or `-errno`.
   */
  tryRegister(
    source: Source,
    token: Token,
    interest: InterestSet,
    options?: RegisterOptions,
  ): number {
    return native().denio_registry_register(
      this.handle,
      source.handle,
      checkToken(token),
      checkInterest(interest),
      modeBits(options),
    );
  }

  /**
   * Deregisters like {@linkcode Registry.deregister}, and throws nothing.
   *
   * @returns 0, or `-errno`.
   */
  tryDeregister(source: Source): number {
    return native().denio_registry_deregister(this.handle, source.handle);
  }

  /**
   * Returns another registry for the same poll, with a handle of its own that
   * may be posted to a Worker and used while the poll waits.
   */
  tryClone(): Registry {
    const handle = nativeOthers().denio_registry_try_clone(this.handle);
    return new Registry(unwrap(handle, `clone registry ${this.handle}`));
  }

  /** Closes this handle; a poll's own registry is closed with the poll. */
  close(): void {
    const handle = this.#handle;
    this.#handle = 0;
    unwrap(native().denio_source_close(handle), `close registry ${handle}`);
  }

  /** Closes the registry, unless it is closed already. */
  [Symbol.dispose](): void {
    const handle = this.#handle;
    this.#handle = 0;
    native().denio_source_close(handle);
  }
}

function refusal(
  code: number,
  verb: string,
  { handle }: Source,
  interest: InterestSet,
  options?: RegisterOptions,
): Error {
  const how = `${describeInterest(interest)}, ${describeMode(options)}`;
  return errorFrom(-code, `${verb} source ${handle} (${how})`);
}
