/**
 * Datagrams.
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

/** How and where a UDP socket is opened. */
export interface UdpBindOptions extends HostPort {
  /** Several sockets on one address share its datagrams (`SO_REUSEPORT`). */
  reusePort?: boolean;
  /**
   * Several sockets have one address (`SO_REUSEADDR`): each gets what is sent
   * to a multicast group, one of them gets anything else.
   */
  reuseAddress?: boolean;
  /** No IPv4 through an IPv6 address. */
  onlyV6?: boolean;
}

const REUSE_PORT = 1;
const ONLY_V6 = 2;
const REUSE_ADDRESS = 8;

/**
 * A UDP socket, which never blocks: `udp(7)`, RFC 768.
 *
 * A call sends or receives one datagram, whole or not at all. A datagram of no
 * bytes is one too: a count of 0 is no end. One that is longer than the buffer
 * is cut off there, and the rest is lost: {@linkcode UdpSocket.isCut} says so.
 *
 * What became of a datagram that was sent, such as `ConnectionRefused`, is
 * thrown by the next call. It is no end: others may wait behind it. So after an
 * event receive until `WOULD_BLOCK`, also after an error.
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
  /** Where native code writes who sent the last datagram. */
  readonly #sender = new Uint8Array(ADDRESS_BYTES);
  #destination: Destination | undefined = undefined;
  #isCut = false;

  /** What it is called in messages. */
  protected get noun(): string {
    return "UDP socket";
  }

  /** What it does that can fail while nobody calls, for messages. */
  protected get work(): string {
    return "send or receive";
  }

  /**
   * Binds to an IP address, by which datagrams to it can be received. Port 0
   * lets the system choose: right for a socket that sends first.
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
   * Takes over an inherited descriptor of a UDP socket, as socket activation
   * gives one: see `TcpListener.fromFd`. Closing the socket closes the
   * descriptor.
   *
   * Asks for `net` at the address that the socket is bound to.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of something else.
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when it has been taken over already.
   */
  static fromFd(fd: number): UdpSocket {
    return new UdpSocket(adopt(fd, DescriptorKind.UDP_SOCKET));
  }

  /**
   * Returns another socket object on the same socket, which stays open until
   * both are closed. It is registered nowhere; what one receives, the other
   * does not.
   */
  tryClone(): UdpSocket {
    return new UdpSocket(this.cloneHandle());
  }

  /**
   * Chooses the one peer that `send` sends to, and whose datagrams alone are
   * received, by its IP address; again, for another one. Nothing is sent by
   * that.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {TypeError} when the host is no IP address: {@linkcode systemLookup}
   * returns those of a name.
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
   * The peer that it is connected to.
   *
   * @throws {Deno.errors.NotConnected} when it is not connected.
   */
  get peerAddress(): UdpAddress {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = nativeUdp().denio_udp_peer_address(this.handle, bytes);
    unwrap(code, "get the peer's address");
    return this.decode(bytes);
  }

  /**
   * Sends a datagram to the connected peer: `length` bytes of `bytes` from
   * `offset`.
   *
   * @returns `length`, or {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {RangeError} when the range lies outside `bytes`.
   * @throws {Deno.errors.ConnectionRefused} when an earlier datagram was.
   * @throws {Error} with code `EDESTADDRREQ` when it is not connected, with
   * `EMSGSIZE` when there are more bytes than a datagram takes: 65507 over IPv4.
   */
  send(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = bytes.byteLength - offset,
  ): number {
    checkRange(bytes, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      return this.send(partOf(bytes, offset, length));
    }
    const { handle } = this;
    const count = nativeUdp().denio_udp_send(handle, bytes, offset, length);
    return this.countOf(count, "send from");
  }

  /**
   * Sends a datagram to an IP address: {@linkcode systemLookup} returns those of
   * a name.
   *
   * @returns `length`, or {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address,
   * which is asked for each time.
   * @throws {Deno.errors.PermissionDenied} for a broadcast address, unless
   * `broadcast` is on.
   * @throws {TypeError} when the host is no IP address.
   * @throws {RangeError} when the range lies outside `bytes`, or the port is no
   * integer from 0 to 65535.
   * @throws {Error} with code `EMSGSIZE` when there are more bytes than a
   * datagram takes: 65507 over IPv4.
   */
  sendTo(
    bytes: Uint8Array<ArrayBuffer>,
    address: HostPort,
    offset: number = 0,
    length: number = bytes.byteLength - offset,
  ): number {
    checkRange(bytes, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      return this.sendTo(partOf(bytes, offset, length), address);
    }
    const { hostname, port } = hostPort(address);
    requireNet(hostname, port);
    const count = nativeUdp().denio_udp_send_to(
      this.handle,
      bytes,
      offset,
      length,
      this.#encode(hostname, port),
    );
    return this.countOf(count, "send from");
  }

  /**
   * Receives a datagram into `length` bytes of `buffer` from `offset`. Does not
   * tell who sent it: for a connected socket, its peer.
   *
   * @returns A count, which may be 0, or {@linkcode WOULD_BLOCK} when nothing
   * has come.
   * @throws {RangeError} when the range lies outside `buffer`.
   * @throws {Deno.errors.ConnectionRefused} when a datagram that was sent to
   * the connected peer was.
   */
  receive(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = buffer.byteLength - offset,
  ): number {
    checkRange(buffer, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      return this.receive(partOf(buffer, offset, length));
    }
    const { handle } = this;
    const count = nativeUdp().denio_udp_receive(handle, buffer, offset, length);
    return this.#received(count, "receive from");
  }

  /**
   * Receives like {@linkcode UdpSocket.receive}, and leaves the datagram to be
   * received again (`MSG_PEEK`).
   */
  peek(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = buffer.byteLength - offset,
  ): number {
    checkRange(buffer, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      return this.peek(partOf(buffer, offset, length));
    }
    const { handle } = this;
    const count = nativeUdp().denio_udp_peek(handle, buffer, offset, length);
    return this.#received(count, "peek at");
  }

  /**
   * Receives like {@linkcode UdpSocket.receive}; {@linkcode UdpSocket.sender}
   * then tells who sent it.
   */
  receiveFrom(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = buffer.byteLength - offset,
  ): number {
    checkRange(buffer, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      return this.receiveFrom(partOf(buffer, offset, length));
    }
    const count = nativeUdp().denio_udp_receive_from(
      this.handle,
      buffer,
      offset,
      length,
      this.#sender,
    );
    return this.#received(count, "receive from");
  }

  /**
   * Receives like {@linkcode UdpSocket.receiveFrom}, and leaves the datagram to
   * be received again (`MSG_PEEK`).
   */
  peekFrom(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = buffer.byteLength - offset,
  ): number {
    checkRange(buffer, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      return this.peekFrom(partOf(buffer, offset, length));
    }
    const count = nativeUdp().denio_udp_peek_from(
      this.handle,
      buffer,
      offset,
      length,
      this.#sender,
    );
    return this.#received(count, "peek at");
  }

  /**
   * Who sent what `receiveFrom` or `peekFrom` returned last; `undefined` before
   * there was any. Made when it is read, so that receiving allocates nothing.
   */
  get sender(): UdpAddress | undefined {
    return this.#sender[0] === 0 ? undefined : this.decode(this.#sender);
  }

  /**
   * Whether the datagram that was received or peeked at last was longer than
   * the room for it; what was received of it is its beginning.
   */
  get isCut(): boolean {
    return this.#isCut;
  }

  /**
   * Has what is sent to a multicast group received too: `ip(7)`, `ipv6(7)`.
   * Bind to the group's port, with `reuseAddress` where others listen to it. No
   * permission is asked for, as Deno asks for none: only what comes to the port
   * that was permitted is received.
   *
   * @param group The group's IP address, of the socket's family.
   * @param networkInterface Which one to listen on: for an IPv4 group one of its
   * addresses, for an IPv6 one its index; left out, the system chooses. As
   * Deno's `joinMulticastV4` and `joinMulticastV6` have it.
   * @throws {TypeError} when the group is no multicast address, or the
   * interface is not named as its family does.
   * @throws {Deno.errors.AddrInUse} when it has been joined already.
   * @throws {Error} with code `ENODEV` when there is no such interface.
   */
  joinMulticast(group: string, networkInterface?: string | number): void {
    this.#setMembership(group, networkInterface, true);
  }

  /**
   * Leaves a multicast group, as it was joined. Closing leaves them all.
   *
   * @throws {TypeError} as `joinMulticast`.
   * @throws {Deno.errors.AddrNotAvailable} when it was not joined.
   */
  leaveMulticast(group: string, networkInterface?: string | number): void {
    this.#setMembership(group, networkInterface, false);
  }

  /** Whether it may send to a broadcast address (`SO_BROADCAST`, `ip(7)`). */
  get broadcast(): boolean {
    return getOption(this.handle, SocketOption.BROADCAST) > 0;
  }

  /** Permits broadcast addresses, or no longer. */
  set broadcast(broadcast: boolean) {
    setOption(this.handle, SocketOption.BROADCAST, broadcast ? 1 : 0);
  }

  /**
   * Hops that a datagram to one host may make (`IP_TTL`, `ip(7)`;
   * `IPV6_UNICAST_HOPS`, `ipv6(7)`), from 1 to 255.
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
   * Whether what is sent to a group is also received on this machine
   * (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`); on at first.
   */
  get multicastLoop(): boolean {
    return getOption(this.handle, SocketOption.MULTICAST_LOOP) > 0;
  }

  /** Receives here what is sent from here, or no longer. */
  set multicastLoop(loop: boolean) {
    setOption(this.handle, SocketOption.MULTICAST_LOOP, loop ? 1 : 0);
  }

  /**
   * Hops that a datagram to a group may make (`IP_MULTICAST_TTL`,
   * `IPV6_MULTICAST_HOPS`), from 0, this machine, to 255; 1, this network, at
   * first.
   *
   * @throws {RangeError} when set to what is no integer from 0 to 255.
   */
  get multicastTtl(): number {
    return getOption(this.handle, SocketOption.MULTICAST_TTL);
  }

  /** Sets the hops. */
  set multicastTtl(hops: number) {
    const option = SocketOption.MULTICAST_TTL;
    setOption(this.handle, option, checkValue(option, hops));
  }

  /** Whether several sockets share its address (`SO_REUSEPORT`). */
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

  /** Returns an address of its kind. */
  protected decode(bytes: Uint8Array): UdpAddress {
    return decodeAddress(bytes, "udp") as UdpAddress;
  }

  #received(answer: number, doing: string): number {
    this.#isCut = answer >= DATAGRAM_CUT;
    return this.countOf(this.#isCut ? answer - DATAGRAM_CUT : answer, doing);
  }

  /** The last address is kept: answers and streams go to one many times. */
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

/** An address, and what it is in native form. */
interface Destination extends HostPort {
  readonly bytes: Uint8Array<ArrayBuffer>;
}
