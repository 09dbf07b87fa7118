/**
 * A stream to a name, for a connection that has no address yet. The reactor
 * looks the name up without holding the thread, and races its addresses.
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

/** A handle that native code never returns. */
const NO_HANDLE = 0xffff_ffff;

/** What a stream to a name needs from the reactor. */
export interface Dialer {
  /** Finds the addresses of a name. */
  readonly lookup: Lookup;
  /** The clock of the delay between attempts. */
  readonly timers: Scheduler;
  /** Begins to connect to an address. */
  dial(address: HostPort): StreamSocket;
  /** Calls an attempt when its stream is ready. */
  watch(attempt: Ready, stream: StreamSocket): void;
  /** Calls the attempt no more. */
  unwatch(attempt: Ready): void;
  /** Counts work that Deno's loop must finish. */
  beginWork(): void;
  /** Ends the work that `beginWork` counted. */
  endWork(): void;
}

/** A stream that gets its socket when an address has answered. */
export class NamedStream implements StreamSocket {
  #stream: StreamSocket | undefined = undefined;
  #race: Race<Dialling> | undefined = undefined;
  #isClosed = false;

  /**
   * Looks the name up and connects. Resolves when the stream is connected, or
   * was closed before.
   *
   * @throws {Deno.errors.NotFound} when the resolver does not know the name.
   * @throws {Error} of the class of the first attempt's error; `cause` has the
   * errors of all attempts.
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

  // The engine sets these options again when the stream is connected.
  set userTimeout(ms: number) {
    if (this.#stream !== undefined) this.#stream.userTimeout = ms;
  }

  set resetOnClose(resets: boolean) {
    if (this.#stream !== undefined) this.#stream.resetOnClose = resets;
  }

  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    return this.#stream?.tryRead(buffer, start, end) ?? WOULD_BLOCK;
  }

  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    return this.#stream?.tryWrite(bytes, start, end) ?? WOULD_BLOCK;
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
      "Cannot return an address: the connection is not open yet",
    );
  }
}

/** An attempt to connect to one of the addresses. */
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
    // A peer that connected, sent bytes and then reset: these bytes are read.
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
