/**
 * A non-blocking TCP connection.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { nativeOthers } from "../native/library.ts";
import {
  addressText,
  decodeAddress,
  encodeAddress,
  type HostPort,
  hostPort,
  type TcpAddress,
} from "./address.ts";
import { adopt, DescriptorKind } from "./descriptor.ts";
import { checkKeepalive, type Keepalive } from "./keepalive.ts";
import { checkValue, getOption, setOption, SocketOption } from "./options.ts";
import { requireNet } from "./permissions.ts";
import { Stream } from "./stream.ts";

/**
 * Begins to connect without a permission check: the caller has checked the name
 * to which the address belongs. Internal: `mod.ts` does not export it.
 *
 * @throws {TypeError} when the host is no IP address.
 */
export function connectPermitted(address: HostPort): TcpStream {
  return new TcpStream(unwrap(
    nativeOthers().denio_stream_connect(encodeAddress(address)),
    `connect to "${addressText(address)}"`,
  ));
}

/**
 * A connected, or connecting, TCP socket, which never blocks.
 *
 * `read` and `write` return a count, or {@linkcode WOULD_BLOCK}. Register the
 * stream with a {@linkcode Registry}: an event then says when to try again.
 *
 * @example Options round trip
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { TcpListener } from "./tcp_listener.ts";
 * import { TcpStream } from "./tcp_stream.ts";
 *
 * using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
 * using stream = TcpStream.connect(listener.localAddress);
 * stream.nodelay = true;
 * stream.keepalive = { idle: 60, interval: 10, count: 5 };
 * assertEquals(stream.nodelay, true);
 * assertEquals(stream.keepalive, { idle: 60, interval: 10, count: 5 });
 * ```
 */
export class TcpStream extends Stream<TcpAddress> {
  /**
   * Begins to connect to an IP address. A writable event says that the attempt
   * is over; {@linkcode TcpStream.takeError} then says whether it failed.
   *
   * {@linkcode systemLookup} returns the addresses of a name. The `connect`
   * methods of a reactor and of fibers take a name themselves.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {TypeError} when the host is no IP address.
   * @throws {RangeError} when the port is no integer from 0 to 65535.
   */
  static connect(address: HostPort): TcpStream {
    // Read once, so that the permission and the connect see the same values.
    const { hostname, port } = hostPort(address);
    requireNet(hostname, port);
    return connectPermitted({ hostname, port });
  }

  /**
   * Takes over an inherited descriptor of a TCP connection; `inetd` passes one
   * with number 0. Closing the stream closes the descriptor.
   *
   * Requires `net` at the connection's local address, like a listener there.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of another kind.
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when another object owns it already.
   */
  static fromFd(fd: number): TcpStream {
    return new TcpStream(adopt(fd, DescriptorKind.TCP_STREAM));
  }

  /**
   * Returns another stream on the same connection. The connection stays open
   * until both are closed. The new stream is not registered; the two share
   * their options.
   */
  tryClone(): TcpStream {
    return new TcpStream(this.cloneHandle());
  }

  /**
   * Whether the system sends small writes at once (`TCP_NODELAY`, `tcp(7)`).
   */
  get nodelay(): boolean {
    return getOption(this.handle, SocketOption.NODELAY) > 0;
  }

  /** Sends small writes at once, or lets the system wait for more bytes. */
  set nodelay(nodelay: boolean) {
    setOption(this.handle, SocketOption.NODELAY, nodelay ? 1 : 0);
  }

  /**
   * How the system probes a silent peer (`SO_KEEPALIVE`, `TCP_KEEPIDLE`,
   * `TCP_KEEPINTVL` and `TCP_KEEPCNT`, `tcp(7)`); `false` when it does not. A
   * stream of `TcpStream.connect` begins with `false`, an accepted stream with
   * its listener's option, a stream that a reactor connects with the default of
   * listeners.
   */
  get keepalive(): false | Keepalive {
    if (getOption(this.handle, SocketOption.KEEPALIVE) === 0) return false;
    return {
      idle: getOption(this.handle, SocketOption.KEEPALIVE_IDLE),
      interval: getOption(this.handle, SocketOption.KEEPALIVE_INTERVAL),
      count: getOption(this.handle, SocketOption.KEEPALIVE_COUNT),
    };
  }

  /**
   * Turns probes on or off. A number that is left out keeps its value, which at
   * first is the system's own.
   *
   * @throws {RangeError} when a number is out of range; nothing changes then.
   * @throws {TypeError} when it is neither a boolean nor an object.
   */
  set keepalive(keepalive: boolean | Partial<Keepalive>) {
    // Checks all numbers before the first is set.
    const { idle, interval, count } = checkKeepalive(keepalive);
    this.#set(SocketOption.KEEPALIVE_IDLE, idle);
    this.#set(SocketOption.KEEPALIVE_INTERVAL, interval);
    this.#set(SocketOption.KEEPALIVE_COUNT, count);
    const isOn = keepalive !== false;
    setOption(this.handle, SocketOption.KEEPALIVE, isOn ? 1 : 0);
  }

  /**
   * What closing does with unsent bytes (`SO_LINGER`, `socket(7)`):
   *
   * - `undefined`, the default: closing returns, and the system sends the bytes
   *   afterwards;
   * - 0: the system drops the bytes and resets the connection;
   * - 1 to 32767 seconds: on Linux, closing the last handle *blocks the thread*
   *   until the bytes are sent or the time is over.
   *
   * @throws {RangeError} when set to no integer from 0 to 32767.
   */
  get linger(): number | undefined {
    const value = getOption(this.handle, SocketOption.LINGER);
    return value === 0 ? undefined : value - 1;
  }

  /** Decides what closing does with unsent bytes. */
  set linger(seconds: number | undefined) {
    const option = SocketOption.LINGER;
    // In native code, 0 means "off".
    const value = seconds === undefined ? 0 : checkValue(option, seconds) + 1;
    setOption(this.handle, option, value);
  }

  /** Makes closing send a reset instead of a FIN, by a `linger` of 0. */
  set resetOnClose(reset: boolean) {
    this.linger = reset ? 0 : undefined;
  }

  /**
   * Hops that a packet may make (`IP_TTL`, `ip(7)`; `IPV6_UNICAST_HOPS`,
   * `ipv6(7)`), from 1 to 255.
   *
   * @throws {RangeError} when set to no integer from 1 to 255.
   */
  get ttl(): number {
    return getOption(this.handle, SocketOption.TTL);
  }

  /** Sets the number of hops. */
  set ttl(hops: number) {
    const option = SocketOption.TTL;
    setOption(this.handle, option, checkValue(option, hops));
  }

  /**
   * Milliseconds for which written bytes may stay unacknowledged before the
   * system ends the connection (`TCP_USER_TIMEOUT`, `tcp(7)`, RFC 5482). The
   * next read or write then fails with `ETIMEDOUT`. 0, the default, leaves the
   * limit to the system: about a quarter of an hour on Linux.
   *
   * On Linux it also limits how long the peer's receive window may stay closed
   * (`tcp(7)`), and, in place of `count`, how long `keepalive` probes may stay
   * unanswered. macOS counts in seconds (`TCP_RXT_CONNDROPTIME`), so the number
   * is rounded up there.
   *
   * @throws {RangeError} when set to no integer from 0 to 2147483647.
   * @throws {Deno.errors.NotSupported} on systems without this option, such as
   * FreeBSD.
   */
  get userTimeout(): number {
    return getOption(this.handle, SocketOption.USER_TIMEOUT);
  }

  /** Sets the milliseconds. */
  set userTimeout(ms: number) {
    const option = SocketOption.USER_TIMEOUT;
    setOption(this.handle, option, checkValue(option, ms));
  }

  #set(option: SocketOption, value: number | undefined): void {
    if (value !== undefined) setOption(this.handle, option, value);
  }

  /** Returns an address of the socket's kind. */
  protected decode(bytes: Uint8Array): TcpAddress {
    return decodeAddress(bytes, "tcp") as TcpAddress;
  }
}
