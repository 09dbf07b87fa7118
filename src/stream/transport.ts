/**
 * The way to one peer, as a protocol sees it: bytes out, reading on and off,
 * closing, memory and time.
 *
 * A reactor's connection is a transport. A layer such as TLS is one as well, for
 * the protocol above it. Nothing here knows sockets or a protocol.
 *
 * @module
 */

import type { StreamAddress } from "../net/address.ts";

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
  readonly remoteAddress: StreamAddress;
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
   */
  abort(): void;
}
