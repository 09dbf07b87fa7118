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
 * Begins to connect without asking for the permission: for an address of a name
 * for which it was asked. Not for users, and not in `mod.ts`.
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
 * `read` and `write` return a count, or {@linkcode WOULD_BLOCK}; register the
 * stream with a {@linkcode Registry} to hear when to try again.
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
   * is over, and {@linkcode TcpStream.takeError} whether it has failed.
   *
   * A name has addresses by {@linkcode systemLookup}, and `connect` of a reactor
   * or of fibers takes a name itself.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {TypeError} when the host is no IP address.
   * @throws {RangeError} when the port is no integer from 0 to 65535.
   */
  static connect(address: HostPort): TcpStream {
    // Read once: what is permitted must be what is connected to.
    const { hostname, port } = hostPort(address);
    requireNet(hostname, port);
    return connectPermitted({ hostname, port });
  }

  /**
   * Takes over an inherited descriptor of a TCP connection, as `inetd` gives
   * one with number 0. Closing the stream closes the descriptor.
   *
   * Asks for `net` at the connection's own address, as a listener there would.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of something else.
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when it has been taken over already.
   */
  static fromFd(fd: number): TcpStream {
    return new TcpStream(adopt(fd, DescriptorKind.TCP_STREAM));
  }

  /**
   * Returns another stream on the same connection, which stays open until both
   * are closed. It is registered nowhere; options are shared.
   */
  tryClone(): TcpStream {
    return new TcpStream(this.cloneHandle());
  }

  /** Whether small writes are sent at once (`TCP_NODELAY`, `tcp(7)`). */
  get nodelay(): boolean {
    return getOption(this.handle, SocketOption.NODELAY) > 0;
  }

  /** Sends small writes at once, or waits for more of them. */
  set nodelay(nodelay: boolean) {
    setOption(this.handle, SocketOption.NODELAY, nodelay ? 1 : 0);
  }

  /**
   * How a silent peer is probed (`SO_KEEPALIVE`, `TCP_KEEPIDLE`,
   * `TCP_KEEPINTVL` and `TCP_KEEPCNT`, `tcp(7)`); `false` when it is not. That
   * is how `TcpStream.connect` begins; an accepted stream has what its listener
   * was opened with, and one that a reactor connects has a listener's default.
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
   * Probes a silent peer, or no longer. A number that is left out stays what it
   * was: the system's own, at first.
   *
   * @throws {RangeError} when a number is out of range; nothing is set then.
   * @throws {TypeError} when it is neither a boolean nor an object.
   */
  set keepalive(keepalive: boolean | Partial<Keepalive>) {
    // All are checked before the first is set.
    const { idle, interval, count } = checkKeepalive(keepalive);
    this.#set(SocketOption.KEEPALIVE_IDLE, idle);
    this.#set(SocketOption.KEEPALIVE_INTERVAL, interval);
    this.#set(SocketOption.KEEPALIVE_COUNT, count);
    const isOn = keepalive !== false;
    setOption(this.handle, SocketOption.KEEPALIVE, isOn ? 1 : 0);
  }

  /**
   * What closing does with bytes that are not sent yet (`SO_LINGER`,
   * `socket(7)`):
   *
   * - `undefined`, the default: closing returns, they are sent behind it;
   * - 0: they are dropped, and the peer is told of a reset;
   * - up to 32767 seconds: on Linux, closing the last handle *blocks the
   *   thread* until they are sent, or for so long.
   *
   * @throws {RangeError} when set to what is no integer from 0 to 32767.
   */
  get linger(): number | undefined {
    const value = getOption(this.handle, SocketOption.LINGER);
    return value === 0 ? undefined : value - 1;
  }

  /** Decides what closing does with unsent bytes. */
  set linger(seconds: number | undefined) {
    const option = SocketOption.LINGER;
    // Native code has 0 for "off".
    const value = seconds === undefined ? 0 : checkValue(option, seconds) + 1;
    setOption(this.handle, option, value);
  }

  /** Makes closing answer with a reset instead of a FIN: a `linger` of 0. */
  set resetOnClose(reset: boolean) {
    this.linger = reset ? 0 : undefined;
  }

  /**
   * Hops that a packet may make (`IP_TTL`, `ip(7)`; `IPV6_UNICAST_HOPS`,
   * `ipv6(7)`), from 1 to 255.
   *
   * @throws {RangeError} when set to what is no integer from 1 to 255.
   */
  get ttl(): number {
    return getOption(this.handle, SocketOption.TTL);
  }

  /** Sets the hops. */
  set ttl(hops: number) {
    const option = SocketOption.TTL;
    setOption(this.handle, option, checkValue(option, hops));
  }

  /**
   * Milliseconds that written bytes may stay unacknowledged before the
   * connection is given up (`TCP_USER_TIMEOUT`, `tcp(7)`, RFC 5482); 0 leaves
   * it to the system, which is the default, and takes Linux a quarter of an
   * hour. The next read or write then fails with `ETIMEDOUT`.
   *
   * On Linux it also bounds how long the peer's system may say that it has no
   * room (`tcp(7)`), and how long probes of `keepalive` may stay without an
   * answer, instead of their `count`. macOS counts in seconds
   * (`TCP_RXT_CONNDROPTIME`): the number is rounded up.
   *
   * @throws {RangeError} when set to what is no integer from 0 to 2147483647.
   * @throws {Deno.errors.NotSupported} where the system has not got it, as
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

  /** Returns an address of its kind. */
  protected decode(bytes: Uint8Array): TcpAddress {
    return decodeAddress(bytes, "tcp") as TcpAddress;
  }
}
