/**
 * A listening TCP socket.
 *
 * @module
 */

import { errorFrom, unwrap, WOULD_BLOCK } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { ADDRESS_BYTES } from "../native/symbols.ts";
import {
  addressText,
  decodeAddress,
  type HostPort,
  resolve,
  type TcpAddress,
} from "./address.ts";
import { requireNet } from "./permissions.ts";
import { TcpStream } from "./tcp_stream.ts";

/** How and where a listener is opened. */
export interface ListenOptions extends HostPort {
  /** Connections that may wait to be accepted; 511 when left out. */
  backlog?: number;
  /** Several listeners on one address share its connections. */
  reusePort?: boolean;
  /** No IPv4 through an IPv6 address. */
  onlyV6?: boolean;
  /** `TCP_NODELAY` on what is accepted; on when left out. */
  nodelay?: boolean;
}

/** nginx's backlog, and what Deno and Node ask for; the system clamps it. */
const BACKLOG_DEFAULT = 511;
const BACKLOG_MAX = 0x7fff_ffff;
const REUSE_PORT = 1;
const ONLY_V6 = 2;
const NODELAY = 4;

/** Connections that one accept call takes at the most. */
export const ACCEPT_MAX = 64;

/** Handles that an accept brought, and why it stopped: `AcceptBatch`. */
export class AcceptBatch {
  /** The words that native code writes: why it stopped, then the handles. */
  readonly words: Uint32Array<ArrayBuffer> = new Uint32Array(1 + ACCEPT_MAX);

  /**
   * Why the last accept stopped, as a positive errno: `EAGAIN` when none wait
   * any more, 0 when the batch is full.
   */
  get stopped(): number {
    return this.words[0]!;
  }

  /** Returns a stream for connection `index`, below the count accepted. */
  stream(index: number): TcpStream {
    return new TcpStream(this.words[1 + index]!);
  }
}

/** A listening TCP socket, which never blocks. */
export class TcpListener implements Disposable {
  /** The number by which native code knows the listener. */
  readonly handle: number;

  /**
   * Takes a native listener over, as one that another Worker has posted.
   *
   * @param handle A native listener, whose owner the new object becomes.
   */
  constructor(handle: number) {
    this.handle = handle;
  }

  /**
   * Binds with `SO_REUSEADDR` and listens.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.AddrInUse} when somebody listens there already.
   * @throws {RangeError} when port or backlog is out of range.
   */
  static bind(options: ListenOptions): TcpListener {
    // Read once: what is permitted must be what is bound.
    const { hostname, port, backlog = BACKLOG_DEFAULT } = options;
    if (!Number.isInteger(backlog) || backlog < 0 || backlog > BACKLOG_MAX) {
      throw new RangeError(
        `Cannot use backlog "${backlog}": it must be an integer from 0 to ` +
          `${BACKLOG_MAX}`,
      );
    }
    requireNet(hostname, port);
    const flags = (options.reusePort ? REUSE_PORT : 0) |
      (options.onlyV6 ? ONLY_V6 : 0) |
      (options.nodelay ?? true ? NODELAY : 0);
    return new TcpListener(unwrap(
      native().denio_listener_bind(
        resolve({ hostname, port }),
        backlog,
        flags,
      ),
      `listen on "${addressText({ hostname, port })}"`,
    ));
  }

  /** The bound address, with the port that the system chose for port 0. */
  get localAddress(): TcpAddress {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = native().denio_source_local_address(this.handle, bytes);
    unwrap(code, "get the local address");
    return decodeAddress(bytes);
  }

  /**
   * Takes one waiting connection, or returns `undefined` when none waits.
   *
   * @throws {Error} with code `EMFILE` when out of descriptors, and others of
   * `accept(2)`.
   */
  accept(): TcpStream | undefined {
    const batch = new AcceptBatch();
    if (this.acceptBatch(batch, 1) === 1) return batch.stream(0);
    if (batch.stopped === -WOULD_BLOCK) return undefined;
    throw errorFrom(batch.stopped, `accept from listener ${this.handle}`);
  }

  /**
   * Takes up to `capacity` waiting connections in one native call.
   *
   * @returns How many there are in `batch`, whose `stopped` says why no more.
   */
  acceptBatch(batch: AcceptBatch, capacity: number = ACCEPT_MAX): number {
    if (!(capacity >= 1 && capacity <= ACCEPT_MAX)) {
      throw new RangeError(
        `Cannot accept "${capacity}" at once: it must be from 1 to ` +
          `${ACCEPT_MAX}`,
      );
    }
    const { words } = batch;
    return native().denio_listener_accept(this.handle, words, capacity);
  }

  /** Returns and clears the socket's error, if it has one. */
  takeError(): Error | undefined {
    const number = unwrap(
      native().denio_source_take_error(this.handle),
      `take the error of listener ${this.handle}`,
    );
    return number === 0 ? undefined : errorFrom(number, "listen");
  }

  /**
   * Closes the listener; connections still waiting are refused.
   *
   * @throws {Deno.errors.BadResource} when it is closed already.
   */
  close(): void {
    const code = native().denio_source_close(this.handle);
    unwrap(code, `close listener ${this.handle}`);
  }

  /** Closes the listener, unless it is closed already. */
  [Symbol.dispose](): void {
    native().denio_source_close(this.handle);
  }
}
