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
import { AHEAD, describeMode, modeBits, type RegisterOptions } from "./mode.ts";
import { checkToken, type Token } from "./token.ts";

/** An object that can be registered: it has a native handle. */
export interface Source {
  /** The number by which native code knows the source. */
  readonly handle: number;
}

/**
 * An object that registers its parts itself; a TLS stream, for example,
 * registers its socket. Each method of a registry calls the method of the same
 * name once, with the same arguments, and passes on its errors.
 */
export interface CustomSource {
  /** Registers the object's parts. */
  register(
    registry: Registry,
    token: Token,
    interest: InterestSet,
    options?: RegisterOptions,
  ): void;
  /** Reregisters the object's parts. */
  reregister(
    registry: Registry,
    token: Token,
    interest: InterestSet,
    options?: RegisterOptions,
  ): void;
  /** Deregisters the object's parts. */
  deregister(registry: Registry): void;
}

/**
 * Registers sources with one {@linkcode Poll}, under the caller's tokens.
 *
 * A registration is edge-triggered unless it asks for another mode: an event
 * says that the source has changed, and the next event needs another change.
 * Read, write or accept until the call returns `WOULD_BLOCK`.
 */
export class Registry implements Disposable {
  #handle: number;

  /**
   * Makes an object for a native registry, for example one from another Worker.
   *
   * @param handle The handle of a poll or of a registry.
   */
  constructor(handle: number) {
    this.#handle = handle;
  }

  /**
   * The number by which native code knows the registry; 0 once it is closed.
   */
  get handle(): number {
    return this.#handle;
  }

  /**
   * Registers `source`: the poll then returns an event when it becomes ready.
   *
   * @throws {Deno.errors.AlreadyExists} when the source is registered, here or
   * with another poll.
   * @throws {Deno.errors.NotSupported} when the backend lacks the interest or
   * the mode: see `Poll.supports`.
   * @throws {RangeError} when the backend is select and the source's descriptor
   * is not below `FD_SETSIZE`, which is 1024.
   * @throws {Deno.errors.BadResource} when the source or the poll is closed.
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
   * Registers `source` for edges, and lets the backend `io_uring` receive the
   * bytes of a TCP stream before the program reads them: a read then needs no
   * system call. All methods of the stream take these bytes first. There is no
   * event of urgent data. Other backends, and other sources, are registered as
   * ever.
   *
   * The thread that polls is the only one that can deregister such a stream.
   * Deregister it before the poll closes: bytes that were received and not read
   * are lost with the poll.
   *
   * @throws {Deno.errors.AlreadyExists} and others of
   * {@linkcode Registry.register}.
   */
  registerAhead(
    source: Source | CustomSource,
    token: Token,
    interest: InterestSet,
  ): void {
    if ("register" in source) return source.register(this, token, interest);
    const code = native().denio_registry_register(
      this.handle,
      source.handle,
      checkToken(token),
      checkInterest(interest),
      AHEAD,
    );
    if (code < 0) throw refusal(code, "register", source, interest);
  }

  /**
   * Replaces token, interest and mode. A source that is ready now gets an event
   * again.
   *
   * @throws {Deno.errors.NotFound} when the source is not registered here.
   * @throws {TypeError} when the old or the new registration is exclusive.
   * @throws {Deno.errors.BadResource} when the source or the poll is closed,
   * and others of {@linkcode Registry.register}.
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
   * Ends the registration of `source`: it stays open and gets no more events.
   *
   * @throws {Deno.errors.NotFound} when the source is not registered here.
   * @throws {Deno.errors.BadResource} when the source or the poll is closed.
   */
  deregister(source: Source | CustomSource): void {
    if ("deregister" in source) return source.deregister(this);
    unwrap(this.tryDeregister(source), `deregister source ${source.handle}`);
  }

  /**
   * Registers like {@linkcode Registry.register}, but returns system errors:
   * for a source that another thread may have registered or closed.
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
   * Deregisters like {@linkcode Registry.deregister}, but returns errors.
   *
   * @returns 0, or `-errno`.
   */
  tryDeregister(source: Source): number {
    return native().denio_registry_deregister(this.handle, source.handle);
  }

  /**
   * Returns another registry for the same poll. Its handle may be posted to a
   * Worker, and used there while the poll waits.
   */
  tryClone(): Registry {
    const handle = nativeOthers().denio_registry_try_clone(this.handle);
    return new Registry(unwrap(handle, `clone registry ${this.handle}`));
  }

  /** Closes this registry. A poll's own registry closes with the poll. */
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
