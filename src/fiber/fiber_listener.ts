/**
 * A listener as a fiber sees it: `accept` that looks as if it blocked.
 *
 * @module
 */

import type { StreamAddress, TcpAddress } from "../net/address.ts";
import { type Abortable, obeying, refusalBy } from "../base/abortable.ts";
import type { FiberConnection } from "./fiber_connection.ts";
import type { Listener } from "../reactor/listener.ts";
import { Owned, type Owner } from "./owned.ts";

/**
 * Connections that are accepted and wait for `accept`; more stay in the
 * system's backlog. One batch of the system's.
 */
const WAITING_MAX = 64;

interface Acceptor<Address extends StreamAddress> {
  resolve(connection: FiberConnection<Address>): void;
  reject(reason: unknown): void;
}

/**
 * A listening socket for fibers, and for code that is written for
 * `Deno.Listener`.
 *
 * @typeParam Address The form of its addresses.
 */
export class FiberListener<Address extends StreamAddress = TcpAddress>
  extends Owned
  implements Deno.Listener<FiberConnection<Address>, Address> {
  readonly #listener: Listener<Address>;
  readonly #waiting: FiberConnection<Address>[] = [];
  readonly #acceptors = new Set<Acceptor<Address>>();
  /** Whether it was told to close, and not only its listener. */
  #isReleased = false;
  #isClosed = false;

  /** Made by `listen`. */
  constructor(listener: Listener<Address>) {
    super();
    this.#listener = listener;
    // The reactor closes it when it drains or ends.
    listener.onClose = () => this.#end(closedError());
  }

  /** The bound address, with the port that the system chose for port 0. */
  get addr(): Address {
    return this.#listener.addr;
  }

  /**
   * Returns the next connection, waiting for it. It belongs to the fiber that
   * the listener belongs to.
   *
   * @throws {Deno.errors.BadResource} when the listener is closed, or its
   * reactor closes or drains.
   */
  accept(options: Abortable = {}): Promise<FiberConnection<Address>> {
    const { signal } = options;
    const refusal = refusalBy(signal);
    if (refusal !== undefined) return refusal;
    if (this.#isClosed) return Promise.reject(closedError());
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      if (this.#waiting.length === 0) this.#listener.resume();
      return Promise.resolve(waiting);
    }
    this.owner?.beginWait();
    const { promise, resolve, reject } = Promise.withResolvers<
      FiberConnection<Address>
    >();
    const acceptor: Acceptor<Address> = { resolve, reject };
    this.#acceptors.add(acceptor);
    return obeying(signal, promise, (reason) => {
      if (!this.#acceptors.delete(acceptor)) return;
      this.owner?.endWait();
      reject(reason);
    });
  }

  /** Yields connections until the listener is closed. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<
    FiberConnection<Address>
  > {
    while (!this.#isClosed) {
      try {
        yield await this.accept();
      } catch (error) {
        if (this.#isClosed && error instanceof Deno.errors.BadResource) return;
        throw error;
      }
    }
  }

  /** Hands over a connection that was accepted. */
  onAccept(connection: FiberConnection<Address>): void {
    for (const acceptor of this.#acceptors) {
      this.#acceptors.delete(acceptor);
      this.owner?.endWait();
      return acceptor.resolve(connection);
    }
    this.#waiting.push(connection);
    if (this.#waiting.length >= WAITING_MAX) this.#listener.pause();
  }

  /**
   * Stops accepting; connections that nobody has taken are closed.
   *
   * @throws {Deno.errors.BadResource} when it was closed before.
   */
  close(): void {
    if (this.#isReleased) throw closedError();
    this.#isReleased = true;
    this.#end(closedError());
  }

  /** Closes, unless it is closed already. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Closes, since its fiber has ended. */
  release(): void {
    if (!this.#isReleased) this.close();
  }

  /** Closes; an `accept` that waits rejects with `reason`. */
  cancel(reason: unknown): void {
    this.#isReleased = true;
    this.#end(reason);
  }

  /** Gives it to another owner, a fiber as a rule. */
  override moveTo(owner: Owner | undefined): void {
    if (this.#isClosed) return;
    for (const _ of this.#acceptors) this.owner?.endWait();
    super.moveTo(owner);
    for (const _ of this.#acceptors) this.owner?.beginWait();
  }

  /** Keeps the process alive while this is open, which is how it begins. */
  ref(): void {
    this.#listener.ref();
  }

  /** Lets the process end although this is open. */
  unref(): void {
    this.#listener.unref();
  }

  #end(reason: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { reject } of this.#acceptors) {
      this.owner?.endWait();
      reject(reason);
    }
    this.#acceptors.clear();
    super.moveTo(undefined);
    this.#listener.close();
    for (const connection of this.#waiting.splice(0)) connection.abort();
  }
}

function closedError(): Error {
  return new Deno.errors.BadResource("Listener has been closed");
}
