/**
 * What every socket has: an address, an error, two buffers, an end.
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
 * @example What sockets of all kinds have
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
  /** What it does that can fail while nobody calls, for messages. */
  protected abstract get work(): string;

  /** Returns an address of its kind. */
  protected abstract decode(bytes: Uint8Array): Address;

  /** This end's address, with the port that the system chose for port 0. */
  get localAddress(): Address {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = native().denio_source_local_address(this.handle, bytes);
    unwrap(code, "get the local address");
    return this.decode(bytes);
  }

  /**
   * Bytes that the system holds for what has come and is not read yet
   * (`SO_RCVBUF`). Linux grants twice what is asked for, for its own
   * bookkeeping, within `net.core.rmem_max`: `socket(7)`.
   *
   * @throws {RangeError} when set to what is no integer from 1 to 2147483647.
   */
  get receiveBuffer(): number {
    return getOption(this.handle, SocketOption.RECEIVE_BUFFER);
  }

  /** Asks for another size, in bytes. */
  set receiveBuffer(bytes: number) {
    const option = SocketOption.RECEIVE_BUFFER;
    setOption(this.handle, option, checkValue(option, bytes));
  }

  /**
   * Bytes that the system holds for what is written and not sent yet
   * (`SO_SNDBUF`). Linux grants twice what is asked for, within
   * `net.core.wmem_max`: `socket(7)`.
   *
   * @throws {RangeError} when set to what is no integer from 1 to 2147483647.
   */
  get sendBuffer(): number {
    return getOption(this.handle, SocketOption.SEND_BUFFER);
  }

  /** Asks for another size, in bytes. */
  set sendBuffer(bytes: number) {
    const option = SocketOption.SEND_BUFFER;
    setOption(this.handle, option, checkValue(option, bytes));
  }

  /**
   * Returns and clears the socket's error (`SO_ERROR`), if it has one: how a
   * connect has failed, for one.
   */
  takeError(): Error | undefined {
    const number = unwrap(
      native().denio_source_take_error(this.handle),
      `take the error of ${this.noun} ${this.handle}`,
    );
    return number === 0 ? undefined : errorFrom(number, this.work);
  }

  /** Returns a handle of its own to the same open socket: `dup(2)`. */
  protected cloneHandle(): number {
    const code = nativeOthers().denio_source_try_clone(this.handle);
    return unwrap(code, `clone ${this.noun} ${this.handle}`);
  }
}
