/**
 * A fiber's listener: `accept` that looks as if it blocked.
 *
 * @module
 */

import type { StreamAddress, TcpAddress } from "../net/address.ts";
import { type Abortable, obeying, refusalBy } from "../base/abortable.ts";
import type { FiberConnection } from "./fiber_connection.ts";
import type { Listener } from "../reactor/listener.ts";
import { Owned, type Owner } from "./owned.ts";

/**
 * Connections that are accepted and wait for the program's `accept`: one batch
 * of the reactor's. Further connections stay in the system's backlog.
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
  /** Whether the program, or its fiber, has closed it. */
  #isReleased = false;
  /** Whether it accepts no more, for whatever reason. */
  #isClosed = false;

  /** Made by `listen`. */
  constructor(listener: Listener<Address>) {
    super();
    this.#listener = listener;
    // The reactor closes the listener when the reactor drains or closes.
    listener.onClose = () => this.#end(closedError());
  }

  /** The bound address, with the port that the system chose for port 0. */
  get addr(): Address {
    return this.#listener.addr;
  }

  /**
   * Waits for the next connection, which the fiber that owns the listener will
   * own.
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

  /** Gives a connection to an `accept` that waits, or keeps it for the next. */
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
   * Stops accepting, and resets connections that no `accept` has returned.
   *
   * @throws {Deno.errors.BadResource} when the program has closed it before.
   */
  close(): void {
    if (this.#isReleased) throw closedError();
    this.#isReleased = true;
    this.#end(closedError());
  }

  /** Closes, unless the program has closed it before. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Closes, because its fiber has ended. */
  release(): void {
    if (!this.#isReleased) this.close();
  }

  /** Closes; an `accept` that waits rejects with `reason`. */
  cancel(reason: unknown): void {
    this.#isReleased = true;
    this.#end(reason);
  }

  /** Gives it to another owner; to none when `owner` is `undefined`. */
  override moveTo(owner: Owner | undefined): void {
    if (this.#isClosed) return;
    for (const _ of this.#acceptors) this.owner?.endWait();
    super.moveTo(owner);
    for (const _ of this.#acceptors) this.owner?.beginWait();
  }

  /** Keeps the process alive while this is open, which is the default. */
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
