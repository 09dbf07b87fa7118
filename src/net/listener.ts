/**
 * The base of listening sockets, TCP and Unix: they accept in batches.
 *
 * @module
 */

import { errorFrom, WOULD_BLOCK } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { ACCEPT_WORDS } from "../native/symbols.ts";
import { Socket } from "./socket.ts";
import { TcpStream } from "./tcp_stream.ts";

/** The backlog of nginx, Deno and Node; the system may lower it. */
const BACKLOG_DEFAULT = 511;
const BACKLOG_MAX = 0x7fff_ffff;

/** The most connections that one accept call takes. */
export const ACCEPT_MAX = 64;

/** A class of streams, made from a handle. */
export type StreamClass<Accepted> = new (handle: number) => Accepted;

/**
 * The handles from one accept call, and why the call stopped. Use the batch
 * again for the next call: accepting then allocates only the streams.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { errnoName } from "../native/errors.ts";
 * import { AcceptBatch } from "./listener.ts";
 * import { TcpListener } from "./tcp_listener.ts";
 *
 * using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
 * const batch = new AcceptBatch();
 * assertEquals(listener.acceptBatch(batch), 0);
 * assertEquals(errnoName(batch.stopped), "EAGAIN");
 * ```
 *
 * @typeParam Accepted The class of the streams; `TcpStream` when left out.
 */
export class AcceptBatch<Accepted = TcpStream> {
  /**
   * The numbers that native code writes: `stopped`, `passedOver`, then the
   * handles.
   */
  readonly words: Float64Array<ArrayBuffer> = new Float64Array(
    ACCEPT_WORDS + ACCEPT_MAX,
  );
  readonly #class: StreamClass<Accepted>;

  /**
   * Makes an empty batch.
   *
   * @param type The class of the streams; `TcpStream` when left out.
   */
  constructor(
    type: StreamClass<Accepted> = TcpStream as unknown as StreamClass<Accepted>,
  ) {
    this.#class = type;
  }

  /**
   * Why the last accept stopped, as a positive errno: `EAGAIN` when no more
   * connections wait, 0 when the batch is full.
   */
  get stopped(): number {
    return this.words[0]!;
  }

  /**
   * How many connections failed while they waited and were skipped by the last
   * accept: `accept(2)` under "Error handling".
   */
  get passedOver(): number {
    return this.words[1]!;
  }

  /** Returns a stream for connection `index`, less than the accepted count. */
  stream(index: number): Accepted {
    return new this.#class(this.words[ACCEPT_WORDS + index]!);
  }
}

/**
 * A listening socket, which never blocks.
 *
 * @example Accept all waiting connections in one call
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { AcceptBatch } from "./listener.ts";
 * import { UnixListener } from "./unix_listener.ts";
 * import { UnixStream } from "./unix_stream.ts";
 *
 * const folder = Deno.makeTempDirSync();
 * {
 *   using listener = UnixListener.bind({ path: `${folder}/a.sock` });
 *   using _first = UnixStream.connect(listener.localAddress);
 *   using _second = UnixStream.connect(listener.localAddress);
 *   const batch = new AcceptBatch(UnixStream);
 *   assertEquals(listener.acceptBatch(batch), 2);
 *   for (const index of [0, 1]) batch.stream(index).close();
 * }
 * Deno.removeSync(folder, { recursive: true });
 * ```
 *
 * @typeParam Address The form of its address.
 * @typeParam Accepted The class of the streams that it accepts.
 */
export abstract class ListeningSocket<Address, Accepted>
  extends Socket<Address> {
  /** Its name in messages. */
  protected get noun(): string {
    return "listener";
  }

  /** For messages of `takeError`: the work that failed between two calls. */
  protected get work(): string {
    return "listen";
  }

  /** Returns an empty batch of the streams that it accepts. */
  abstract batch(): AcceptBatch<Accepted>;

  /**
   * Accepts one waiting connection; returns `undefined` when none waits.
   *
   * @throws {Error} with code `EMFILE` when the process is out of descriptors,
   * and others of `accept(2)`.
   */
  accept(): Accepted | undefined {
    const batch = this.batch();
    if (this.acceptBatch(batch, 1) === 1) return batch.stream(0);
    if (batch.stopped === -WOULD_BLOCK) return undefined;
    throw errorFrom(batch.stopped, `accept from listener ${this.handle}`);
  }

  /**
   * Accepts up to `capacity` waiting connections in one native call.
   *
   * @param capacity From 1 to 64; 64 when left out.
   * @returns How many connections `batch` holds; `batch.stopped` says why the
   * call stopped.
   * @throws {RangeError} when `capacity` is out of range.
   */
  acceptBatch(
    batch: AcceptBatch<Accepted>,
    capacity: number = ACCEPT_MAX,
  ): number {
    const { words } = batch;
    const room = Math.min(ACCEPT_MAX, words.length - ACCEPT_WORDS);
    if (!(capacity >= 1 && capacity <= room)) {
      throw new RangeError(
        `Cannot accept "${capacity}" at once: it must be from 1 to ` +
          `${room}`,
      );
    }
    return native().denio_listener_accept(this.handle, words, capacity);
  }
}

/**
 * Returns how many connections may wait to be accepted; 511 when left out.
 *
 * @throws {RangeError} when it is no integer from 0 to 2147483647.
 */
export function checkBacklog(backlog: number = BACKLOG_DEFAULT): number {
  if (Number.isInteger(backlog) && backlog >= 0 && backlog <= BACKLOG_MAX) {
    return backlog;
  }
  throw new RangeError(
    `Cannot use backlog "${backlog}": it must be an integer from 0 to ` +
      `${BACKLOG_MAX}`,
  );
}
