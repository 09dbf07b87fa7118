/**
 * What stands between bytes and their meaning. Down from a protocol there is a
 * {@linkcode Transport}: the way to one peer. Up from a transport there is a
 * {@linkcode Protocol}, which is called when something has happened.
 *
 * A reactor's connection is a transport. A layer such as TLS is a protocol to
 * the connection below, and a transport to the protocol above.
 *
 * One protocol object serves all peers: what it remembers of one peer is
 * `transport.data`. So an idle peer costs no object here.
 *
 * @module
 */

import type { StreamAddress } from "../net/address.ts";
import type { CloseReason, TimeoutReason } from "./close_reason.ts";

/**
 * The way to one peer.
 *
 * @typeParam Data What the protocol keeps for each peer.
 */
export interface Transport<Data = unknown> {
  /** The protocol's own data; `undefined` until the protocol sets it. */
  data: Data;
  /** Whether it is closed: nothing is sent or read any more. */
  readonly isClosed: boolean;
  /**
   * Whether the peer is known to send no more than what has come: its end was
   * read, or the system has announced it.
   */
  readonly peerHasEnded: boolean;
  /** Bytes that were written and that the system has not taken yet. */
  readonly bufferedBytes: number;
  /**
   * Memory, in bytes, that the protocol keeps for what this peer has sent. It
   * counts towards the reactor's `memoryBytesMax`. Set it whenever it changes,
   * and also when bytes were added without a change: setting it shows that the
   * peer still makes progress.
   *
   * @throws {RangeError} when set to less than 0, or to infinity.
   * @throws {TypeError} when set to something else than a number.
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
   * Sends bytes behind all that was written before. A large write goes to the
   * system at once; small writes of one turn leave together, in one system call.
   * What the system does not take is copied, so `bytes` may be used again.
   *
   * @returns Whether fewer bytes than the high-water mark wait. After false,
   * wait for `drain`.
   * @throws {RangeError} when `start` or `end` lies outside `bytes`, or is no
   * whole number; nothing is sent then.
   */
  write(bytes: Uint8Array<ArrayBuffer>, start?: number, end?: number): boolean;
  /**
   * Sends one array after the other, behind all that was written before, in one
   * system call. What the system does not take is copied.
   *
   * @param parts Up to seven.
   * @returns As {@linkcode Transport.write}.
   * @throws {RangeError} when there are more; nothing is sent then.
   * @throws {TypeError} when one is no array of bytes; nothing is sent then.
   */
  writeVectored(parts: readonly Uint8Array<ArrayBuffer>[]): boolean;
  /**
   * Sends bytes that the program never changes again: what the system does not
   * take is kept without a copy.
   *
   * @returns As {@linkcode Transport.write}.
   * @throws {TypeError} when `bytes` is no array of bytes; nothing is sent then.
   */
  writeOwned(bytes: Uint8Array<ArrayBuffer>): boolean;

  /**
   * Sends bytes that `fill` writes into an array of the reactor's, so that the
   * program needs none of its own. Then this is as {@linkcode Transport.write}.
   *
   * The array is lent to one call after the other: `fill` must not keep it, and
   * what is in it at first has no meaning. It never holds bytes that wait to be
   * sent, so a wrong write there harms no other peer.
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
   * @param size How many bytes `fill` may write, at the most.
   * @param fill Writes from the start of the array; returns how many bytes.
   * @throws {RangeError} when `size` is no whole number from 0, or when `fill`
   * returns more than that; nothing is sent then.
   */
  writeInto(
    size: number,
    fill: (bytes: Uint8Array<ArrayBuffer>) => number,
  ): boolean;

  /** Stops reading. Bytes that come meanwhile wait in the system. */
  pause(): void;
  /** Goes on reading. */
  resume(): void;
  /**
   * Reads what has come by now: `data` is called for it, and `end` behind the
   * last byte. Never call it from `data`: it reads over the bytes of that call.
   *
   * @returns How many bytes came.
   */
  readNow(): number;
  /** Asks for one `drain`, when connections hold less memory than they may. */
  awaitRoom(): void;
  /**
   * Asks for one `timeout`, with the reason `"deadline"`, in `delayMs`; the
   * transport closes when the protocol has no `timeout`. Nothing that moves
   * meanwhile puts it off. The next call replaces it, and `Infinity` clears it.
   *
   * It is never early. It is late by fifty milliseconds at the most, and by a
   * turn for every 4096 connections. It costs a few nanoseconds and no memory.
   *
   * @param delayMs From 0 to 2147483647, or `Infinity`.
   * @throws {RangeError} when it is out of range.
   * @throws {TypeError} when it is no number.
   */
  setDeadline(delayMs: number): void;

  /**
   * Has another protocol take over: it is told of all that happens from now on,
   * and the old one of nothing more. `open` is called at once, then `broken` if
   * nothing can be sent any more.
   *
   * The new protocol gets `leftover` first, then all that is read later, and
   * then the peer's end, also when the old one was told of that. Nothing comes
   * before this returns. What the old protocol has written is sent first. A
   * transport that is paused stays paused, and our half stays closed. Deadline
   * and `heldBytes` are cleared.
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
   * @param data What the transport's `data` is from now on.
   * @param leftover Bytes that the old protocol got and did not use; copied.
   * @returns The same transport.
   * @throws {Deno.errors.BadResource} when it is closed, or about to be.
   * @throws {TypeError} when `protocol` is none.
   */
  upgrade<Next>(
    protocol: Protocol<Next>,
    data: Next,
    leftover?: Uint8Array<ArrayBuffer>,
  ): Transport<Next>;

  /**
   * Sends what was written, and then our end of the stream. Reading goes on
   * until the peer's end, which closes the transport.
   */
  closeWrite(): void;
  /**
   * Sends what was written, and closes. When the peer is slower than that, has
   * sent bytes that nobody read, or has not acknowledged all, this works as
   * {@linkcode Transport.closeLingering}: closing at once would have the system
   * reset the connection and drop what was not delivered.
   */
  close(): void;
  /**
   * Sends what was written, then our end, and closes when the peer has read it.
   * Closing over unread bytes would reset the connection and destroy the answer
   * (RFC 9112 section 9.6). What the peer still sends is thrown away, for five
   * seconds after each read and for thirty seconds in all.
   */
  closeLingering(): void;
  /**
   * Closes a transport whose protocol owes the peer nothing. Our end is sent,
   * and the transport closes as soon as the peer's side has all, at once as a
   * rule. What the peer sends later is answered with a reset, which the peer
   * sees behind our end. Never call it from `data`.
   */
  closeIdle(): void;
  /**
   * Closes at once and resets the peer; nothing more is sent. A Unix peer reads
   * what was sent before, and then the end or a reset.
   *
   * @param reason What `close` is told: the limit of time that has passed, or
   * `"aborted"` when left out.
   * @throws {TypeError} when it is none of these.
   */
  abort(reason?: TimeoutReason | "aborted"): void;
}

/**
 * A protocol: HTTP, an echo, a layer between a connection and another protocol.
 *
 * What one of these throws ends the connection that it was called for, and no
 * other. None may wait.
 *
 * @typeParam Data What it keeps for each peer.
 * @typeParam Way The kind of transport that it needs.
 */
export interface Protocol<
  Data = unknown,
  Way extends Transport<Data> = Transport<Data>,
> {
  /**
   * Whether reading goes on above the high-water mark. For protocols that stop
   * writing by themselves there, and that must read to go on.
   */
  readonly keepsReading?: boolean;
  /**
   * The transport is there: accepted, connected, or taken over from another
   * protocol by {@linkcode Transport.upgrade}.
   */
  open?(transport: Way): void;
  /**
   * Bytes have come: those of `bytes` from `start` to `end`. They are valid
   * until this returns, and `bytes` around them belongs to other peers: copy
   * what must stay, by `slice`, and write nothing there.
   */
  data(
    transport: Way,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void;
  /**
   * The peer sends no more, and all that it sent was read. A protocol without
   * this has its transport closed.
   */
  end?(transport: Way): void;
  /**
   * The peer sends no more, and may have gone, while reading is stopped before
   * its end. It is called once; `end` follows when all was read. An end behind
   * bytes for which the system has no room is not seen yet.
   */
  ending?(transport: Way): void;
  /**
   * Unsent bytes have fallen to the low-water mark, or connections hold less
   * memory, which {@linkcode Transport.awaitRoom} asked for.
   */
  drain?(transport: Way): void;
  /**
   * Sending has failed, or the peer has reset the connection. Bytes that came
   * before that are still read, and then `error` is called. What is written from
   * now on is dropped. A paused transport gets `ending` as well, and reads on
   * when it is resumed.
   */
  broken?(transport: Way, error: Error): void;
  /** Something failed; `close` follows. */
  error?(transport: Way, error: Error): void;
  /**
   * One of the connection's `Timeouts`, or the deadline, has passed. A protocol
   * without this has its transport closed for that reason. A protocol with this
   * decides: a transport that stays open gets the same time again, but no new
   * deadline.
   */
  timeout?(transport: Way, reason: TimeoutReason): void;
  /**
   * The transport is closed, for `reason`; nothing follows. The addresses can be
   * asked for until this returns.
   */
  close?(transport: Way, reason: CloseReason): void;

  /**
   * The server ends: finish what is under way, begin nothing new, and close. It
   * is never called while `data` runs. Without this, the transport reads what
   * has come by now and closes when all that is written has been sent.
   */
  shutdown?(transport: Way): void;
  /**
   * The server ends at once: break off what is under way, and close. Without
   * this, the transport closes when nothing waits to be sent, and is reset
   * otherwise.
   */
  terminate?(transport: Way): void;
  /**
   * Whether the protocol waits for the peer to begin something and owes it
   * nothing, so that the transport can be closed when room is short. Without
   * this, it is never idle.
   */
  isIdle?(transport: Way): boolean;
}
