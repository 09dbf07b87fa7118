/**
 * A listening TCP socket.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import {
  addressText,
  decodeAddress,
  encodeAddress,
  type HostPort,
  hostPort,
  resolveOwn,
  type TcpAddress,
} from "./address.ts";
import { adopt, DescriptorKind } from "./descriptor.ts";
import { type Keepalive, keepaliveOf } from "./keepalive.ts";
import { AcceptBatch, checkBacklog, ListeningSocket } from "./listener.ts";
import { checkValue, getOption, setOption, SocketOption } from "./options.ts";
import { requireNet } from "./permissions.ts";
import type { TcpStream } from "./tcp_stream.ts";

export { ACCEPT_MAX, AcceptBatch } from "./listener.ts";

/** Where a listener binds, and with which options. */
export interface ListenOptions extends HostPort {
  /** Connections that may wait to be accepted; 511 when left out. */
  backlog?: number;
  /** Whether several listeners on one address may share its connections. */
  reusePort?: boolean;
  /** Whether an IPv6 address accepts no IPv4 connections. */
  onlyV6?: boolean;
  /** `TCP_NODELAY` of accepted connections; on when left out. */
  nodelay?: boolean;
  /**
   * How the system probes silent peers of accepted connections, to notice peers
   * that vanished (`SO_KEEPALIVE`, `tcp(7)`). `true`, the default, means after
   * 15 seconds of silence, every 15 seconds, 9 times, as in Go; numbers that
   * are left out have the same defaults. `false` sends no probes.
   */
  keepalive?: boolean | Partial<Keepalive>;
  /**
   * Milliseconds for which bytes written to an accepted connection may stay
   * unacknowledged, from 0 to 2147483647: see
   * {@linkcode TcpStream.userTimeout}. 0, the default, leaves the limit to the
   * system. Systems without this option, such as FreeBSD, ignore it.
   */
  userTimeout?: number;
}

const REUSE_PORT = 1;
const ONLY_V6 = 2;
const NODELAY = 4;

/**
 * A listening TCP socket, which never blocks.
 *
 * @example Accept a connection
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Events, Interest, Poll } from "../../src/poll.ts";
 * import { TcpListener } from "./tcp_listener.ts";
 * import { TcpStream } from "./tcp_stream.ts";
 *
 * using poll = new Poll();
 * using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
 * poll.registry.register(listener, 1, Interest.READABLE);
 * assertEquals(listener.accept(), undefined);
 *
 * using client = TcpStream.connect(listener.localAddress);
 * poll.poll(new Events());
 * using server = listener.accept();
 * assertEquals(server?.peerAddress, client.localAddress);
 * ```
 */
export class TcpListener extends ListeningSocket<TcpAddress, TcpStream> {
  /**
   * Binds to an IP address with `SO_REUSEADDR` and listens. The `listen` method
   * of a reactor, fibers and servers also take a name.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.AddrInUse} when another socket listens there.
   * @throws {RangeError} when a number is out of range.
   * @throws {TypeError} when the host is no IP address, or `keepalive` is
   * neither a boolean nor an object.
   */
  static override bind(options: ListenOptions): TcpListener {
    return bindBy(encodeAddress, options);
  }

  /**
   * Takes over an inherited descriptor of a TCP listener. Closing the listener
   * closes the descriptor.
   *
   * In socket activation, a service manager such as systemd, or launchd in its
   * `inetd` mode, binds the socket and starts the program at the first
   * connection. So a program can serve a port below 1024 without the right to
   * bind it: `sd_listen_fds(3)`. The descriptors begin at 3, `LISTEN_FDS` is
   * their number, and `LISTEN_PID` is the process that they are for. Accepted
   * streams do not have `nodelay`: set it on each stream.
   *
   * Requires `net` at the socket's bound address. (Deno's own `node:net`
   * requires no permission here.)
   *
   * @example Listen on the service manager's socket if there is one
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { TcpListener } from "./tcp_listener.ts";
   *
   * const LISTEN_FDS_START = 3;
   *
   * function listen(): TcpListener {
   *   const isForUs = Deno.env.get("LISTEN_PID") === `${Deno.pid}`;
   *   const count = isForUs ? Number(Deno.env.get("LISTEN_FDS") ?? 0) : 0;
   *   return count > 0
   *     ? TcpListener.fromFd(LISTEN_FDS_START)
   *     : TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
   * }
   *
   * using listener = listen();
   * assertEquals(listener.localAddress.transport, "tcp");
   * ```
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of another kind.
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when another object owns it already.
   */
  static fromFd(fd: number): TcpListener {
    return new TcpListener(adopt(fd, DescriptorKind.TCP_LISTENER));
  }

  /**
   * Returns another listener on the same socket. The socket stays open until
   * both are closed. The new listener is not registered, and each of the two
   * can be registered with a different poll.
   */
  tryClone(): TcpListener {
    return new TcpListener(this.cloneHandle());
  }

  /** Whether several listeners share its address (`SO_REUSEPORT`). */
  get reusePort(): boolean {
    return getOption(this.handle, SocketOption.REUSE_PORT) > 0;
  }

  /**
   * Whether an IPv6 listener accepts no IPv4 connections (`IPV6_V6ONLY`,
   * `ipv6(7)`).
   *
   * @throws {TypeError} when its address is an IPv4 address.
   */
  get onlyV6(): boolean {
    return getOption(this.handle, SocketOption.ONLY_V6) > 0;
  }

  /**
   * Seconds for which a connection waits for its first bytes before `accept`
   * returns it without any (`TCP_DEFER_ACCEPT`, `tcp(7)`); 0, the default, does
   * not wait. Linux only; Linux rounds the time up to its next retransmission.
   *
   * @throws {RangeError} when set to no integer from 0 to 2147483647.
   * @throws {Deno.errors.NotSupported} on systems other than Linux.
   */
  get deferAccept(): number {
    return getOption(this.handle, SocketOption.DEFER_ACCEPT);
  }

  /** Sets the seconds. */
  set deferAccept(seconds: number) {
    const option = SocketOption.DEFER_ACCEPT;
    setOption(this.handle, option, checkValue(option, seconds));
  }

  /**
   * Hops that a packet may make (`IP_TTL`, `ip(7)`; `IPV6_UNICAST_HOPS`,
   * `ipv6(7)`), from 1 to 255; streams accepted later inherit it.
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

  /** Returns an empty batch of the streams that it accepts. */
  batch(): AcceptBatch<TcpStream> {
    return new AcceptBatch();
  }

  /** Returns an address of the socket's kind. */
  protected decode(bytes: Uint8Array): TcpAddress {
    return decodeAddress(bytes, "tcp") as TcpAddress;
  }
}

/**
 * Binds as {@linkcode TcpListener.bind} does, and also to a name. The lookup
 * blocks this thread, because `listen` is synchronous. Internal: `mod.ts` does
 * not export it.
 *
 * @throws {Deno.errors.NotFound} when the name has no address, and others of
 * `TcpListener.bind`.
 */
export function bindToName(options: ListenOptions): TcpListener {
  return bindBy(resolveOwn, options);
}

function bindBy(
  encode: (address: HostPort) => Uint8Array<ArrayBuffer>,
  options: ListenOptions,
): TcpListener {
  // Read once, so that the permission and the bind see the same values.
  const { hostname, port } = hostPort(options);
  const backlog = checkBacklog(options.backlog);
  // Accepted connections inherit them, without a system call for each.
  const keepalive = keepaliveOf(options.keepalive);
  const timeout = SocketOption.USER_TIMEOUT;
  const userTimeout = checkValue(timeout, options.userTimeout ?? 0);
  requireNet(hostname, port);
  const flags = (options.reusePort ? REUSE_PORT : 0) |
    (options.onlyV6 ? ONLY_V6 : 0) |
    (options.nodelay ?? true ? NODELAY : 0);
  return new TcpListener(unwrap(
    native().denio_listener_bind(
      encode({ hostname, port }),
      backlog,
      flags,
      keepalive?.idle ?? 0,
      keepalive?.interval ?? 0,
      keepalive?.count ?? 0,
      userTimeout,
    ),
    `listen on "${addressText({ hostname, port })}"`,
  ));
}
