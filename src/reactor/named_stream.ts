/**
 * A stream to a name: a connection has it before the address is known. The name
 * is looked up without holding the thread, and its addresses are raced.
 *
 * @module
 */

import { WOULD_BLOCK } from "../native/errors.ts";
import type { HostPort, StreamAddress } from "../net/address.ts";
import type { Lookup } from "../net/lookup.ts";
import type { Shutdown } from "../net/stream.ts";
import { Readiness } from "../poll/events.ts";
import {
  type Attempt,
  AttemptsFailed,
  errorOfAttempts,
  orderedAddresses,
  Race,
} from "./happy_eyeballs.ts";
import type { Ready } from "./slots.ts";
import type { Scheduler } from "./timers.ts";
import type { StreamSocket } from "../system/system.ts";

/** A handle that native code never gives. */
const NO_HANDLE = 0xffff_ffff;

/** What looking for the address needs of the reactor. */
export interface Dialer {
  /** Finds the addresses of a name. */
  readonly lookup: Lookup;
  /** Where the delay between attempts is kept. */
  readonly timers: Scheduler;
  /** Begins to connect to an address. */
  dial(address: HostPort): StreamSocket;
  /** Tells an attempt of its stream's readiness. */
  watch(attempt: Ready, stream: StreamSocket): void;
  /** Tells it no more. */
  unwatch(attempt: Ready): void;
  /** Counts work that Deno's loop must finish. */
  beginWork(): void;
  /** Ends that. */
  endWork(): void;
}

/** A stream that is one when an address has answered. */
export class NamedStream implements StreamSocket {
  #stream: StreamSocket | undefined = undefined;
  #race: Race<Dialling> | undefined = undefined;
  #isClosed = false;

  /**
   * Looks for the address, and resolves when the stream is connected to it, or
   * was closed before.
   *
   * @throws {Deno.errors.NotFound} when nobody knows the name.
   * @throws {Error} of the class of the first attempt's error, whose `cause` has
   * every attempt's.
   */
  async search(host: Dialer, target: HostPort): Promise<void> {
    const addresses = await this.#lookUp(host, target);
    if (this.#isClosed) return;
    const { port } = target;
    const race = this.#race = new Race(
      host.timers,
      addresses,
      (hostname) => new Dialling(host, host.dial({ hostname, port })),
    );
    try {
      const winner = await race.run();
      host.unwatch(winner);
      if (this.#isClosed) return winner.stream.close();
      this.#stream = winner.stream;
    } catch (error) {
      if (this.#isClosed) return;
      if (!(error instanceof AttemptsFailed)) throw error;
      throw errorOfAttempts(target, error);
    }
  }

  async #lookUp(host: Dialer, target: HostPort): Promise<string[]> {
    host.beginWork();
    try {
      return orderedAddresses(target, await host.lookup(target));
    } finally {
      host.endWork();
    }
  }

  /** Whether it is connected to an address. */
  get isFound(): boolean {
    return this.#stream !== undefined;
  }

  get handle(): number {
    return this.#stream?.handle ?? NO_HANDLE;
  }

  get localAddress(): StreamAddress {
    return this.#connected.localAddress;
  }

  get peerAddress(): StreamAddress {
    return this.#connected.peerAddress;
  }

  get peerKey(): number {
    return this.#connected.peerKey;
  }

  get unackedBytes(): number | undefined {
    return this.#stream?.unackedBytes;
  }

  get unreadBytes(): number | undefined {
    return this.#stream?.unreadBytes;
  }

  // What is set before there is a stream is set again when it is open.
  set userTimeout(ms: number) {
    if (this.#stream !== undefined) this.#stream.userTimeout = ms;
  }

  set resetOnClose(resets: boolean) {
    if (this.#stream !== undefined) this.#stream.resetOnClose = resets;
  }

  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    return this.#stream?.tryRead(buffer, offset, length) ?? WOULD_BLOCK;
  }

  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    return this.#stream?.tryWrite(bytes, offset, length) ?? WOULD_BLOCK;
  }

  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    return this.#stream?.tryWriteVectored(buffers) ?? WOULD_BLOCK;
  }

  shutdown(how: Shutdown): void {
    this.#stream?.shutdown(how);
  }

  takeError(): Error | undefined {
    return this.#stream?.takeError();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#race?.stop(undefined);
    this.#stream?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #connected(): StreamSocket {
    if (this.#stream !== undefined) return this.#stream;
    throw new Deno.errors.NotConnected(
      "Cannot tell an address: the connection is not open yet",
    );
  }
}

/** A stream that connects to one of the addresses. */
class Dialling implements Attempt, Ready {
  token = 0;
  readonly stream: StreamSocket;
  readonly opened: Promise<void>;
  readonly #host: Dialer;
  readonly #end: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(host: Dialer, stream: StreamSocket) {
    this.#host = host;
    this.stream = stream;
    this.opened = this.#end.promise;
    host.watch(this, stream);
  }

  onReady(readiness: number): void {
    if (!(readiness & ~Readiness.READABLE)) return;
    const error = this.stream.takeError();
    // One that was reset after it had connected has what came before that.
    const isOpen = error === undefined || this.stream.unreadBytes! > 0;
    if (isOpen) this.#end.resolve();
    else this.fail(error);
  }

  fail(error: unknown): void {
    this.giveUp();
    this.#end.reject(error);
  }

  giveUp(): void {
    this.#host.unwatch(this);
    this.stream.close();
  }
}
