/**
 * UDP sockets: datagrams.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { nativeUdp } from "../native/library.ts";
import { ADDRESS_BYTES, DATAGRAM_CUT } from "../native/symbols.ts";
import {
  addressText,
  decodeAddress,
  encodeAddress,
  type HostPort,
  hostPort,
  type UdpAddress,
} from "./address.ts";
import { adopt, DescriptorKind } from "./descriptor.ts";
import { chooseInterface, encodeGroup } from "./multicast.ts";
import { checkValue, getOption, setOption, SocketOption } from "./options.ts";
import { requireNet } from "./permissions.ts";
import { Socket } from "./socket.ts";
import { CALL_BYTES_MAX, checkRange, partOf } from "./transfer.ts";

/** Where a UDP socket binds, and with which options. */
export interface UdpBindOptions extends HostPort {
  /**
   * Whether several sockets may share an address's datagrams (`SO_REUSEPORT`).
   */
  reusePort?: boolean;
  /**
   * Whether several sockets may bind to one address (`SO_REUSEADDR`). Each of
   * them gets a copy of a multicast datagram; only one gets any other datagram.
   */
  reuseAddress?: boolean;
  /** Whether an IPv6 address receives no IPv4 datagrams. */
  onlyV6?: boolean;
}

const REUSE_PORT = 1;
const ONLY_V6 = 2;
const REUSE_ADDRESS = 8;

/**
 * A UDP socket, which never blocks: `udp(7)`, RFC 768.
 *
 * A call sends or receives one datagram, whole or not at all. A datagram may be
 * empty, so a count of 0 is not an end. When a datagram is longer than the
 * buffer, the system drops the rest of it: see {@linkcode UdpSocket.isCut}.
 *
 * The next call throws the error of an earlier datagram that was sent, such as
 * `ConnectionRefused`. Other datagrams may still wait. So after an event,
 * receive until `WOULD_BLOCK`, also after an error.
 *
 * @example A datagram and its answer
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Events, Interest, Poll } from "../../src/poll.ts";
 * import { UdpSocket } from "./udp_socket.ts";
 *
 * using poll = new Poll();
 * using server = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
 * using client = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
 * poll.registry.register(server, 1, Interest.READABLE);
 *
 * client.sendTo(new Uint8Array([1, 2, 3]), server.localAddress);
 * poll.poll(new Events());
 * assertEquals(server.receiveFrom(new Uint8Array(1500)), 3);
 * assertEquals(server.sender, client.localAddress);
 * ```
 */
export class UdpSocket extends Socket<UdpAddress> {
  /** Native code writes the last datagram's sender here. */
  readonly #sender = new Uint8Array(ADDRESS_BYTES);
  #destination: Destination | undefined = undefined;
  #isCut = false;

  /** Its name in messages. */
  protected get noun(): string {
    return "UDP socket";
  }

  /** For messages of `takeError`: the work that failed between two calls. */
  protected get work(): string {
    return "send or receive";
  }

  /**
   * Binds to an IP address, so that the socket receives datagrams sent to it.
   * Port 0 lets the system choose, which suits a socket that sends first.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {TypeError} when the host is no IP address.
   * @throws {Deno.errors.AddrInUse} when another socket has the address.
   * @throws {RangeError} when the port is no integer from 0 to 65535.
   */
  static override bind(options: UdpBindOptions): UdpSocket {
    const { hostname, port } = hostPort(options);
    requireNet(hostname, port);
    const flags = (options.reusePort ? REUSE_PORT : 0) |
      (options.onlyV6 ? ONLY_V6 : 0) |
      (options.reuseAddress ? REUSE_ADDRESS : 0);
    return new UdpSocket(unwrap(
      nativeUdp().denio_udp_bind(encodeAddress({ hostname, port }), flags),
      `bind "${addressText({ hostname, port })}"`,
    ));
  }

  /**
   * Takes over an inherited descriptor of a UDP socket, for example from socket
   * activation: see `TcpListener.fromFd`. Closing the socket closes the
   * descriptor.
   *
   * Requires `net` at the socket's bound address.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of another kind.
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when another object owns it already.
   */
  static fromFd(fd: number): UdpSocket {
    return new UdpSocket(adopt(fd, DescriptorKind.UDP_SOCKET));
  }

  /**
   * Returns another object for the same socket. The socket stays open until
   * both are closed. The new object is not registered. A datagram that one
   * object receives does not reach the other.
   */
  tryClone(): UdpSocket {
    return new UdpSocket(this.cloneHandle());
  }

  /**
   * Chooses one peer by its IP address: `send` sends to this peer, and the
   * socket receives only datagrams from it. Call it again for another peer. It
   * sends nothing.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {TypeError} when the host is no IP address:
   * {@linkcode systemLookup} returns those of a name.
   * @throws {RangeError} when the port is no integer from 0 to 65535.
   */
  connect(address: HostPort): void {
    const { hostname, port } = hostPort(address);
    requireNet(hostname, port);
    const bytes = encodeAddress({ hostname, port });
    const code = nativeUdp().denio_udp_connect(this.handle, bytes);
    unwrap(code, `connect to "${addressText({ hostname, port })}"`);
  }

  /**
   * The address of the connected peer.
   *
   * @throws {Deno.errors.NotConnected} when the socket is not connected.
   */
  get peerAddress(): UdpAddress {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = nativeUdp().denio_udp_peer_address(this.handle, bytes);
    unwrap(code, "get the peer's address");
    return this.decode(bytes);
  }

  /**
   * Sends `bytes` from `start` to `end`, exclusive, as one datagram to the
   * connected peer.
   *
   * @returns `end - start`, or {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {RangeError} when the range lies outside `bytes`.
   * @throws {Deno.errors.ConnectionRefused} when an earlier datagram was
   * refused.
   * @throws {Error} with code `EDESTADDRREQ` when the socket is not connected,
   * with `EMSGSIZE` for more bytes than a datagram takes (65507 over IPv4).
   */
  send(
    bytes: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = bytes.byteLength,
  ): number {
    checkRange(bytes, start, end);
    if (end > CALL_BYTES_MAX) {
      return this.send(partOf(bytes, start, end));
    }
    const { handle } = this;
    const count = nativeUdp().denio_udp_send(handle, bytes, start, end - start);
    return this.countOf(count, "send from");
  }

  /**
   * Sends `bytes` from `start` to `end`, exclusive, as one datagram to an IP
   * address: {@linkcode systemLookup} returns those of a name.
   *
   * @returns `end - start`, or {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address;
   * each call checks it.
   * @throws {Deno.errors.PermissionDenied} for a broadcast address, unless
   * `broadcast` is on.
   * @throws {TypeError} when the host is no IP address.
   * @throws {RangeError} when the range lies outside `bytes`, or the port is no
   * integer from 0 to 65535.
   * @throws {Error} with code `EMSGSIZE` for more bytes than a datagram takes
   * (65507 over IPv4).
   */
  sendTo(
    bytes: Uint8Array<ArrayBuffer>,
    address: HostPort,
    start: number = 0,
    end: number = bytes.byteLength,
  ): number {
    checkRange(bytes, start, end);
    if (end > CALL_BYTES_MAX) {
      return this.sendTo(partOf(bytes, start, end), address);
    }
    const { hostname, port } = hostPort(address);
    requireNet(hostname, port);
    const count = nativeUdp().denio_udp_send_to(
      this.handle,
      bytes,
      start,
      end - start,
      this.#encode(hostname, port),
    );
    return this.countOf(count, "send from");
  }

  /**
   * Receives a datagram into `buffer` from `start` to `end`, exclusive. Does
   * not set {@linkcode UdpSocket.sender}: for a connected socket, the
   * sender is its peer.
   *
   * @returns A count, which may be 0, or {@linkcode WOULD_BLOCK} when no
   * datagram waits.
   * @throws {RangeError} when the range lies outside `buffer`.
   * @throws {Deno.errors.ConnectionRefused} when the connected peer's system
   * refused an earlier datagram.
   */
  receive(
    buffer: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = buffer.byteLength,
  ): number {
    checkRange(buffer, start, end);
    if (end > CALL_BYTES_MAX) {
      return this.receive(partOf(buffer, start, end));
    }
    const { handle } = this;
    const count = nativeUdp().denio_udp_receive(
      handle,
      buffer,
      start,
      end - start,
    );
    return this.#received(count, "receive from");
  }

  /**
   * Receives like {@linkcode UdpSocket.receive}, but the next call receives the
   * same datagram again (`MSG_PEEK`).
   */
  peek(
    buffer: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = buffer.byteLength,
  ): number {
    checkRange(buffer, start, end);
    if (end > CALL_BYTES_MAX) {
      return this.peek(partOf(buffer, start, end));
    }
    const { handle } = this;
    const count = nativeUdp().denio_udp_peek(
      handle,
      buffer,
      start,
      end - start,
    );
    return this.#received(count, "peek at");
  }

  /**
   * Receives like {@linkcode UdpSocket.receive}, and sets
   * {@linkcode UdpSocket.sender}.
   */
  receiveFrom(
    buffer: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = buffer.byteLength,
  ): number {
    checkRange(buffer, start, end);
    if (end > CALL_BYTES_MAX) {
      return this.receiveFrom(partOf(buffer, start, end));
    }
    const count = nativeUdp().denio_udp_receive_from(
      this.handle,
      buffer,
      start,
      end - start,
      this.#sender,
    );
    return this.#received(count, "receive from");
  }

  /**
   * Receives like {@linkcode UdpSocket.receiveFrom}, but the next call receives
   * the same datagram again (`MSG_PEEK`).
   */
  peekFrom(
    buffer: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = buffer.byteLength,
  ): number {
    checkRange(buffer, start, end);
    if (end > CALL_BYTES_MAX) {
      return this.peekFrom(partOf(buffer, start, end));
    }
    const count = nativeUdp().denio_udp_peek_from(
      this.handle,
      buffer,
      start,
      end - start,
      this.#sender,
    );
    return this.#received(count, "peek at");
  }

  /**
   * The sender of the last datagram from `receiveFrom` or `peekFrom`;
   * `undefined` before the first. The object is made on each read of this
   * property, so that receiving allocates nothing.
   */
  get sender(): UdpAddress | undefined {
    return this.#sender[0] === 0 ? undefined : this.decode(this.#sender);
  }

  /**
   * Whether the last datagram was longer than the room for it. The buffer then
   * holds only its beginning.
   */
  get isCut(): boolean {
    return this.#isCut;
  }

  /**
   * Joins a multicast group: the socket then also receives the group's
   * datagrams (`ip(7)`, `ipv6(7)`). Bind to the group's port, with
   * `reuseAddress` when other sockets listen there. Joining requires no
   * permission, as in Deno: the socket receives only datagrams to the port that
   * the program was permitted.
   *
   * @param group The group's IP address, of the socket's family.
   * @param networkInterface The interface to listen on, as in Deno's
   * `joinMulticastV4` and `joinMulticastV6`: for an IPv4 group one of its
   * addresses, for an IPv6 group its index. Left out, the system chooses.
   * @throws {TypeError} when the group is no multicast address, or the
   * interface is not given in the form for the group's family.
   * @throws {Deno.errors.AddrInUse} when the socket is in the group already.
   * @throws {Error} with code `ENODEV` when there is no such interface.
   */
  joinMulticast(group: string, networkInterface?: string | number): void {
    this.#setMembership(group, networkInterface, true);
  }

  /**
   * Leaves a multicast group; takes the same arguments as `joinMulticast`.
   * Closing the socket leaves all groups.
   *
   * @throws {TypeError} as `joinMulticast`.
   * @throws {Deno.errors.AddrNotAvailable} when the socket is not in the group.
   */
  leaveMulticast(group: string, networkInterface?: string | number): void {
    this.#setMembership(group, networkInterface, false);
  }

  /** Whether the socket may send to broadcast addresses (`SO_BROADCAST`). */
  get broadcast(): boolean {
    return getOption(this.handle, SocketOption.BROADCAST) > 0;
  }

  /** Permits or forbids sending to broadcast addresses. */
  set broadcast(broadcast: boolean) {
    setOption(this.handle, SocketOption.BROADCAST, broadcast ? 1 : 0);
  }

  /**
   * Hops that a datagram to one host may make (`IP_TTL`, `ip(7)`;
   * `IPV6_UNICAST_HOPS`, `ipv6(7)`), from 1 to 255.
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
   * Whether this machine also receives the datagrams that the socket sends to a
   * group (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`); on at first.
   */
  get multicastLoop(): boolean {
    return getOption(this.handle, SocketOption.MULTICAST_LOOP) > 0;
  }

  /** Turns receiving the own datagrams to a group on or off. */
  set multicastLoop(loop: boolean) {
    setOption(this.handle, SocketOption.MULTICAST_LOOP, loop ? 1 : 0);
  }

  /**
   * Hops that a datagram to a group may make (`IP_MULTICAST_TTL`,
   * `IPV6_MULTICAST_HOPS`), from 0 (this machine only) to 255; at first 1 (this
   * network).
   *
   * @throws {RangeError} when set to no integer from 0 to 255.
   */
  get multicastTtl(): number {
    return getOption(this.handle, SocketOption.MULTICAST_TTL);
  }

  /** Sets the number of hops. */
  set multicastTtl(hops: number) {
    const option = SocketOption.MULTICAST_TTL;
    setOption(this.handle, option, checkValue(option, hops));
  }

  /** Whether several sockets may share the address (`SO_REUSEPORT`). */
  get reusePort(): boolean {
    return getOption(this.handle, SocketOption.REUSE_PORT) > 0;
  }

  /**
   * Whether an IPv6 socket receives no IPv4 datagrams (`IPV6_V6ONLY`,
   * `ipv6(7)`).
   *
   * @throws {TypeError} when its address is an IPv4 address.
   */
  get onlyV6(): boolean {
    return getOption(this.handle, SocketOption.ONLY_V6) > 0;
  }

  /** Returns an address of the socket's kind. */
  protected decode(bytes: Uint8Array): UdpAddress {
    return decodeAddress(bytes, "udp") as UdpAddress;
  }

  #received(answer: number, doing: string): number {
    this.#isCut = answer >= DATAGRAM_CUT;
    return this.countOf(this.#isCut ? answer - DATAGRAM_CUT : answer, doing);
  }

  /** Keeps the last address, since programs often send to one address again. */
  #encode(hostname: string, port: number): Uint8Array<ArrayBuffer> {
    const last = this.#destination;
    if (last?.hostname === hostname && last.port === port) return last.bytes;
    const bytes = encodeAddress({ hostname, port });
    this.#destination = { hostname, port, bytes };
    return bytes;
  }

  #setMembership(
    group: string,
    networkInterface: string | number | undefined,
    join: boolean,
  ): void {
    const bytes = encodeGroup(group);
    const code = nativeUdp().denio_udp_set_membership(
      this.handle,
      bytes,
      chooseInterface(bytes, networkInterface),
      join ? 1 : 0,
    );
    unwrap(code, `${join ? "join" : "leave"} multicast group "${group}"`);
  }
}

/** An address, and its native form. */
interface Destination extends HostPort {
  readonly bytes: Uint8Array<ArrayBuffer>;
}
