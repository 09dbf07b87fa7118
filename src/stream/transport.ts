/**
 * The seam between bytes and their meaning. Below a protocol is a
 * {@linkcode Transport}: the way to one peer. Above a transport is a
 * {@linkcode Protocol}, whose handlers the transport calls.
 *
 * A reactor's connection is a transport. A layer such as TLS is a protocol for
 * the connection below, and a transport for the protocol above.
 *
 * One protocol object serves all peers; `transport.data` keeps what the
 * protocol knows about one peer. So an idle peer costs no object here.
 *
 * @module
 */

import type { StreamAddress } from "../net/address.ts";
import type { CloseReason, TimeoutReason } from "./close_reason.ts";
import type { Timeouts } from "./timeouts.ts";

/**
 * The way to one peer.
 *
 * @typeParam Data What the protocol keeps for each peer.
 */
export interface Transport<Data = unknown> {
  /** The protocol's own data; `undefined` until the protocol sets it. */
  data: Data;
  /** Whether the transport is closed: nothing is sent or read any more. */
  readonly isClosed: boolean;
  /**
   * Whether the peer sends nothing more: its end was read, or the system has
   * announced it behind bytes that are not read yet.
   */
  readonly peerHasEnded: boolean;
  /** Bytes that were written and that the system has not taken yet. */
  readonly bufferedBytes: number;
  /**
   * Held bytes: memory that the protocol keeps for what this peer has sent. It
   * counts towards the reactor's `memoryBytesMax`. Set it whenever it changes.
   * Set it also, to the same number, when the peer has made progress otherwise:
   * a peer without progress may be reset.
   *
   * @throws {RangeError} when set to less than 0, or to `Infinity`.
   * @throws {TypeError} when set to anything but a number.
   */
  heldBytes: number;
  /** Whether all connections together hold more than `memoryBytesMax`. */
  readonly isOverfull: boolean;
  /** A clock that never goes back, in milliseconds: the time of this turn. */
  readonly nowMs: number;
  /** The peer's address; a Unix client has an empty path. */
  readonly peerAddress: StreamAddress;
  /** Our address. */
  readonly localAddress: StreamAddress;

  /**
   * Sends bytes, in the order of writes. A large write goes to the system at
   * once; small writes of one turn leave together, in one system call. Bytes
   * that the system does not take are copied, so the program may use `bytes`
   * again.
   *
   * @returns Whether fewer unsent bytes wait than the high-water mark. After
   * false, wait for `drain`.
   * @throws {RangeError} when `start` or `end` lies outside `bytes`, or is no
   * whole number; nothing is sent then.
   */
  write(bytes: Uint8Array<ArrayBuffer>, start?: number, end?: number): boolean;
  /**
   * Sends several arrays in one system call, in the order of writes. Bytes that
   * the system does not take are copied.
   *
   * @param parts Up to seven arrays.
   * @returns As {@linkcode Transport.write}.
   * @throws {RangeError} when there are more than seven; nothing is sent then.
   * @throws {TypeError} when a part is no `Uint8Array`, or is a view of a
   * `SharedArrayBuffer`; nothing is sent then.
   */
  writeVectored(parts: readonly Uint8Array<ArrayBuffer>[]): boolean;
  /**
   * Sends bytes that the program never changes again: bytes that the system
   * does not take are kept without a copy.
   *
   * @returns As {@linkcode Transport.write}.
   * @throws {TypeError} when `bytes` is no `Uint8Array`, or is a view of a
   * `SharedArrayBuffer`; nothing is sent then.
   */
  writeOwned(bytes: Uint8Array<ArrayBuffer>): boolean;

  /**
   * Sends bytes that `fill` writes into an array of the reactor, so that the
   * program needs no array. Otherwise the same as {@linkcode Transport.write}.
   *
   * Each call gets the same array: `fill` must not keep it, and its first
   * content has no meaning. Unsent bytes never lie there, so a wrong write
   * harms no peer.
   *
   * @example Usage
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "../reactor/reactor.ts";
   *
   * using reactor = new Reactor();
   * const { addr } = reactor.listen({ hostname: "127.0.0.1", port: 0 }, {
   *   open(connection) {
   *     connection.writeInto(100, (bytes) => {
   *       return new TextEncoder().encodeInto("Hello", bytes).written;
   *     });
   *     connection.close();
   *   },
   *   data() {},
   * });
   *
   * using client = await Deno.connect(addr);
   * assertEquals(await new Response(client.readable).text(), "Hello");
   * ```
   *
   * @param size How many bytes `fill` may write at the most.
   * @param fill Writes from index 0; returns the number of bytes.
   * @throws {RangeError} when `size` is no whole number from 0, or when `fill`
   * returns more than `size`; nothing is sent then.
   */
  writeInto(
    size: number,
    fill: (bytes: Uint8Array<ArrayBuffer>) => number,
  ): boolean;

  /** Stops reading. Bytes of the peer wait in the system meanwhile. */
  pause(): void;
  /** Starts to read again. */
  resume(): void;
  /**
   * Reads at once what the system has: calls `data`, and `end` after the last
   * byte. Never call this from `data`: it overwrites the bytes of that call.
   *
   * @returns How many bytes were read.
   */
  readNow(): number;
  /** Asks for one call of `drain` when connections hold less memory. */
  awaitRoom(): void;
  /**
   * Sets a deadline: after `delayMs`, `timeout` is called once with the reason
   * `"deadline"`. A transport closes when its protocol has no `timeout`. Bytes
   * that move do not change the deadline. The next call replaces it; `Infinity`
   * clears it.
   *
   * The deadline is never early. It is late by fifty milliseconds at the most,
   * and by a turn for every 4096 connections. It costs a few nanoseconds, no
   * memory.
   *
   * @param delayMs Milliseconds from 0 to 2147483647, or `Infinity`.
   * @throws {RangeError} when `delayMs` is out of range.
   * @throws {TypeError} when `delayMs` is no number.
   */
  setDeadline(delayMs: number): void;

  /**
   * Replaces the protocol: from now on the transport calls the handlers of the
   * new protocol alone. This call runs its `open`, and then `broken` if nothing
   * can be sent any more.
   *
   * The new protocol gets `leftover` first, then all later bytes, and then the
   * peer's end, also if the old protocol got that end. `data` is never called
   * before this returns. Bytes that the old protocol wrote are sent first. A
   * paused transport stays paused, and a half that was closed stays closed.
   * Deadline and `heldBytes` are cleared. The new protocol's `timeouts` hold
   * from now on, if it has some.
   *
   * @example A line of text, and then bytes
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Reactor } from "../reactor/reactor.ts";
   * import type { Protocol } from "./transport.ts";
   *
   * const echo: Protocol<string> = {
   *   open: (transport) => {
   *     transport.write(new TextEncoder().encode(`Hello ${transport.data}, `));
   *   },
   *   data: (transport, bytes, start, end) => {
   *     transport.write(bytes, start, end);
   *   },
   * };
   * using reactor = new Reactor();
   * const { addr } = reactor.listen({ hostname: "127.0.0.1", port: 0 }, {
   *   data(connection, bytes, start, end) {
   *     const lineEnd = bytes.indexOf(10, start);
   *     const name = new TextDecoder().decode(bytes.subarray(start, lineEnd));
   *     connection.upgrade(echo, name, bytes.subarray(lineEnd + 1, end));
   *   },
   * });
   *
   * using client = await Deno.connect(addr);
   * await client.write(new TextEncoder().encode("Ada\nwelcome"));
   * await client.closeWrite();
   * const reply = await new Response(client.readable).text();
   * assertEquals(reply, "Hello Ada, welcome");
   * ```
   *
   * @param data The transport's new `data`.
   * @param leftover Bytes that the old protocol got and did not use; copied.
   * @returns The same transport.
   * @throws {Deno.errors.BadResource} when the transport is closed or closing.
   * @throws {TypeError} when `protocol` is no protocol.
   * @throws {RangeError} when one of its `timeouts` is out of range.
   */
  upgrade<Next>(
    protocol: Protocol<Next>,
    data: Next,
    leftover?: Uint8Array<ArrayBuffer>,
  ): Transport<Next>;

  /**
   * Sends all that was written, and then our end of the stream. Reading goes on
   * until the peer's end, which closes the transport.
   */
  closeWrite(): void;
  /**
   * Sends all that was written, and closes. While bytes are unsent, unread or
   * not acknowledged, this works as {@linkcode Transport.closeLingering}: after
   * a close at once the system would reset the connection and drop undelivered
   * bytes.
   */
  close(): void;
  /**
   * Sends all that was written, then our end, and closes when the peer has
   * ended. Closing over unread bytes would reset the connection and destroy the
   * answer (RFC 9112 section 9.6). Meanwhile the transport throws away what it
   * reads, for five seconds after each read and for thirty seconds in all.
   */
  closeLingering(): void;
  /**
   * Closes a transport that owes the peer nothing. It sends our end, and closes
   * as soon as the peer's system has all bytes, which is mostly at once. Bytes
   * that the peer sends later get a reset, which the peer sees after our end.
   * Never call this from `data`.
   */
  closeIdle(): void;
  /**
   * Closes at once and resets the peer; nothing more is sent. A Unix peer reads
   * the bytes that were sent before, and then the end or a reset.
   *
   * @param reason The reason that `close` gets: the time limit that has passed;
   * `"aborted"` when left out.
   * @throws {TypeError} when `reason` is neither.
   */
  abort(reason?: TimeoutReason | "aborted"): void;
}

/**
 * A protocol: HTTP, an echo, a layer between a connection and another protocol.
 *
 * An error that a handler throws ends its connection, and no other. A handler
 * must not wait.
 *
 * @typeParam Data What the protocol keeps for each peer.
 * @typeParam Way The kind of transport that the protocol needs.
 */
export interface Protocol<
  Data = unknown,
  Way extends Transport<Data> = Transport<Data>,
> {
  /**
   * Whether reading goes on above the high-water mark. For protocols that stop
   * writing by themselves there, and that need to read on.
   */
  readonly keepsReading?: boolean;
  /**
   * The time limits of transports that this protocol takes over, from
   * {@linkcode Transport.upgrade} on. Without this the limits stay as they are.
   * Read when a transport of a listener is taken over first, since all of them
   * share the limits: never change it.
   */
  readonly timeouts?: Timeouts;
  /**
   * Four bytes as a number, the highest first, which the system sends to the
   * peer of an upgraded transport when the Worker dies, unless earlier bytes are
   * unsent: the protocol's way to say that the peer should connect again.
   */
  readonly lastWords?: number;
  /**
   * The transport is open: accepted, connected, or taken over from another
   * protocol by {@linkcode Transport.upgrade}.
   */
  open?(transport: Way): void;
  /**
   * Bytes were read: `bytes` from `start` to before `end`. They are valid until
   * this returns; copy what the protocol needs later, by `slice`. The rest of
   * `bytes` belongs to other peers: never write there.
   */
  data(
    transport: Way,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void;
  /**
   * The peer has ended, and all that it sent was read. Without this handler,
   * the transport closes.
   */
  end?(transport: Way): void;
  /**
   * The peer has ended, and may be gone, while reading is stopped. Called once;
   * `end` follows when all was read. An end behind bytes for which the system
   * has no room is not known yet.
   */
  ending?(transport: Way): void;
  /**
   * Unsent bytes have fallen to the low-water mark, or connections hold less
   * memory, which {@linkcode Transport.awaitRoom} asked for.
   */
  drain?(transport: Way): void;
  /**
   * Sending has failed, or the peer has reset the connection. Earlier bytes of
   * the peer are still read, and then `error` is called. Later writes are
   * dropped. A paused transport gets `ending` as well, and reads on when it is
   * resumed.
   */
  broken?(transport: Way, error: Error): void;
  /** The transport has failed; `close` follows. */
  error?(transport: Way, error: Error): void;
  /**
   * One of the connection's `Timeouts`, or the deadline, has passed. Without
   * this handler, the transport closes for that reason. With it, the protocol
   * decides: if the transport stays open, the timeout begins again; a deadline
   * does not.
   */
  timeout?(transport: Way, reason: TimeoutReason): void;
  /**
   * The transport is closed, for `reason`; no handler is called after this. The
   * addresses are known until this returns.
   */
  close?(transport: Way, reason: CloseReason): void;

  /**
   * The server ends: finish what is under way, begin nothing new, and close.
   * `Connection.shutdown` and `Reactor.drain` call this, never while `data` runs.
   * Without this, `Connection.shutdown` reads what the system has, and closes
   * when all is sent; `Reactor.drain` waits for the connection's end.
   */
  shutdown?(transport: Way): void;
  /**
   * The server ends at once: break off what is under way, and close. Without
   * this, the transport closes when nothing is unsent, and is reset otherwise.
   */
  terminate?(transport: Way): void;
  /**
   * Whether the protocol waits for a new request of the peer and owes nothing,
   * so that a server may close the transport when room is short. Without this,
   * a transport is never idle.
   */
  isIdle?(transport: Way): boolean;
}
