/**
 * The base of all sockets: an address, an error and two buffer sizes.
 *
 * @module
 */

import { errorFrom, unwrap } from "../native/errors.ts";
import { native, nativeOthers } from "../native/library.ts";
import { ADDRESS_BYTES } from "../native/symbols.ts";
import { Endpoint } from "./endpoint.ts";
import { checkValue, getOption, setOption, SocketOption } from "./options.ts";

/**
 * A socket of any kind, which never blocks.
 *
 * @example Members of all sockets
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { UdpSocket } from "./udp_socket.ts";
 *
 * using socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
 * socket.receiveBuffer = 65_536;
 * assert(socket.receiveBuffer >= 65_536);
 * assertEquals(socket.localAddress.hostname, "127.0.0.1");
 * assertEquals(socket.takeError(), undefined);
 * ```
 *
 * @typeParam Address The form of its addresses.
 */
export abstract class Socket<Address> extends Endpoint {
  /** For messages of `takeError`: the work that failed between two calls. */
  protected abstract get work(): string;

  /** Returns an address of the socket's kind. */
  protected abstract decode(bytes: Uint8Array): Address;

  /** This end's address, with the port that the system chose for port 0. */
  get localAddress(): Address {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = native().denio_source_local_address(this.handle, bytes);
    unwrap(code, "get the local address");
    return this.decode(bytes);
  }

  /**
   * The size of the system's buffer of received, unread data, in bytes
   * (`SO_RCVBUF`). Linux doubles the size that is set, for its own bookkeeping,
   * up to `net.core.rmem_max`: `socket(7)`.
   *
   * @throws {RangeError} when set to no integer from 1 to 2147483647.
   */
  get receiveBuffer(): number {
    return getOption(this.handle, SocketOption.RECEIVE_BUFFER);
  }

  /** Sets the size in bytes. */
  set receiveBuffer(bytes: number) {
    const option = SocketOption.RECEIVE_BUFFER;
    setOption(this.handle, option, checkValue(option, bytes));
  }

  /**
   * The size of the system's buffer of written, unsent data, in bytes
   * (`SO_SNDBUF`). Linux doubles the size that is set, up to
   * `net.core.wmem_max`: `socket(7)`.
   *
   * @throws {RangeError} when set to no integer from 1 to 2147483647.
   */
  get sendBuffer(): number {
    return getOption(this.handle, SocketOption.SEND_BUFFER);
  }

  /** Sets the size in bytes. */
  set sendBuffer(bytes: number) {
    const option = SocketOption.SEND_BUFFER;
    setOption(this.handle, option, checkValue(option, bytes));
  }

  /**
   * Returns and clears the socket's error (`SO_ERROR`), if it has one: for
   * example why a connect failed.
   */
  takeError(): Error | undefined {
    const number = unwrap(
      native().denio_source_take_error(this.handle),
      `take the error of ${this.noun} ${this.handle}`,
    );
    return number === 0 ? undefined : errorFrom(number, this.work);
  }

  /** Returns another handle to the same open socket: `dup(2)`. */
  protected cloneHandle(): number {
    const code = nativeOthers().denio_source_try_clone(this.handle);
    return unwrap(code, `clone ${this.noun} ${this.handle}`);
  }
}
