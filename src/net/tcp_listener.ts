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
  /**
   * How silent peers of what is accepted are probed, so that one that vanished
   * is noticed (`SO_KEEPALIVE`, `tcp(7)`). When left out, or `true`: after 15
   * seconds of silence, every 15 seconds, 9 times, as Go does; the same for
   * numbers that are left out. `false` does not probe.
   */
  keepalive?: boolean | Partial<Keepalive>;
  /**
   * Milliseconds that bytes written to what is accepted may stay
   * unacknowledged: see {@linkcode TcpStream.userTimeout}. From 0 to
   * 2147483647; 0, the default, leaves it to the system. Ignored where the
   * system has not got it, as on FreeBSD.
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
   * Binds to an IP address with `SO_REUSEADDR` and listens. `listen` of a
   * reactor, fibers and servers take a name, too.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.AddrInUse} when somebody listens there already.
   * @throws {RangeError} when a number is out of range.
   * @throws {TypeError} when the host is no IP address, or `keepalive` neither a
   * boolean nor an object.
   */
  static override bind(options: ListenOptions): TcpListener {
    return bindBy(encodeAddress, options);
  }

  /**
   * Takes over an inherited descriptor of a TCP listener. Closing the listener
   * closes the descriptor.
   *
   * Socket activation, as of systemd or launchd's `inetd` mode, has somebody
   * else bind and start the program when the first connection comes, also with
   * a port below 1024 and no right to it: `sd_listen_fds(3)`. The descriptors
   * are 3 and up, `LISTEN_FDS` says how many, and `LISTEN_PID` for which
   * process they are. What is accepted has no `nodelay`: set it on the stream.
   *
   * Asks for `net` at the address that the socket is bound to. (Deno's own
   * `node:net` asks for nothing there: this is stricter.)
   *
   * @example Listen on what the service manager has bound, or else bind
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
   * @throws {TypeError} when the descriptor is of something else.
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when it has been taken over already.
   */
  static fromFd(fd: number): TcpListener {
    return new TcpListener(adopt(fd, DescriptorKind.TCP_LISTENER));
  }

  /**
   * Returns another listener on the same socket, which stays open until both
   * are closed. It is registered nowhere: each can be with a poll of its own.
   */
  tryClone(): TcpListener {
    return new TcpListener(this.cloneHandle());
  }

  /** Whether several listeners share its address (`SO_REUSEPORT`). */
  get reusePort(): boolean {
    return getOption(this.handle, SocketOption.REUSE_PORT) > 0;
  }

  /**
   * Whether it takes no IPv4 through an IPv6 address (`IPV6_V6ONLY`,
   * `ipv6(7)`).
   *
   * @throws {TypeError} when its address is an IPv4 one.
   */
  get onlyV6(): boolean {
    return getOption(this.handle, SocketOption.ONLY_V6) > 0;
  }

  /**
   * Seconds that a connection may wait for its first bytes before it is
   * accepted without (`TCP_DEFER_ACCEPT`, `tcp(7)`); 0, the default, accepts at
   * once. Linux only, which rounds it up to the next time of a retransmission.
   *
   * @throws {RangeError} when set to what is no integer from 0 to 2147483647.
   * @throws {Deno.errors.NotSupported} where the system has not got it.
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

  /** Returns an empty batch of the streams that it accepts. */
  batch(): AcceptBatch<TcpStream> {
    return new AcceptBatch();
  }

  /** Returns an address of its kind. */
  protected decode(bytes: Uint8Array): TcpAddress {
    return decodeAddress(bytes, "tcp") as TcpAddress;
  }
}

/**
 * Binds as {@linkcode TcpListener.bind} does, also to a name of the machine's
 * own, which is looked up on this thread: what listens returns at once. Not for
 * users, and not in `mod.ts`.
 *
 * @throws {Deno.errors.NotFound} when nobody knows the name, and others of
 * `TcpListener.bind`.
 */
export function bindToName(options: ListenOptions): TcpListener {
  return bindBy(resolveOwn, options);
}

function bindBy(
  encode: (address: HostPort) => Uint8Array<ArrayBuffer>,
  options: ListenOptions,
): TcpListener {
  // Read once: what is permitted must be what is bound to.
  const { hostname, port } = hostPort(options);
  const backlog = checkBacklog(options.backlog);
  // What is accepted inherits them: no system call a connection.
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
