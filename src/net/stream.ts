/**
 * What a connection does, TCP or Unix: it reads, writes and shuts down.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native, nativeOthers } from "../native/library.ts";
import { ADDRESS_BYTES } from "../native/symbols.ts";
import { Socket } from "./socket.ts";
import {
  CALL_BYTES_MAX,
  checkMemory,
  checkRange,
  partOf,
  vector,
} from "./transfer.ts";

/** Which half of a connection to shut down. */
export type Shutdown = "read" | "write" | "both";

const SHUTDOWNS = ["read", "write", "both"] as const;

/**
 * A connected, or connecting, socket, which never blocks.
 *
 * `read` and `write` return a count, or {@linkcode WOULD_BLOCK}; register the
 * stream with a {@linkcode Registry} to hear when to try again.
 *
 * @example A head and a body in one call, looked at before they are read
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { UnixStream } from "./unix_stream.ts";
 *
 * const [left, right] = UnixStream.pair();
 * using _left = left;
 * using _right = right;
 * const encoder = new TextEncoder();
 * left.writeVectored([encoder.encode("5\n"), encoder.encode("hello")]);
 *
 * const head = new Uint8Array(2);
 * assertEquals(right.peek(head), 2);
 * const body = new Uint8Array(8);
 * assertEquals(right.readVectored([head, body]), 7);
 * assertEquals(new TextDecoder().decode(body.subarray(0, 5)), "hello");
 * ```
 *
 * @typeParam Address The form of its addresses.
 */
export abstract class Stream<Address> extends Socket<Address> {
  /** What it is called in messages. */
  protected get noun(): string {
    return "stream";
  }

  /** What it does that can fail while nobody calls, for messages. */
  protected get work(): string {
    return "connect or transfer";
  }

  /**
   * The other end's address; for an accepted stream also after a reset.
   *
   * @throws {Deno.errors.NotConnected} before a connect is done.
   */
  get peerAddress(): Address {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = native().denio_stream_peer_address(this.handle, bytes);
    unwrap(code, "get the peer's address");
    return this.decode(bytes);
  }

  /**
   * A number for the network that the peer is in, without its port: the same
   * for each of its connections, and from 1. For IPv6 that is the /64 network,
   * since a site has all the addresses in one; a Unix peer's is 0. For who
   * counts connections: it costs no address.
   *
   * @throws {Deno.errors.NotConnected} before a connect is done.
   */
  get peerKey(): number {
    const key = native().denio_stream_peer_key(this.handle);
    return unwrap(key, "get the peer's address");
  }

  /**
   * Reads what has come into `length` bytes of `buffer` from `offset`.
   *
   * @returns A count; 0 at the end of the stream; {@linkcode WOULD_BLOCK} when
   * nothing has come.
   * @throws {RangeError} when the range lies outside `buffer`.
   * @throws {Deno.errors.ConnectionReset} and others of `recv(2)`.
   */
  read(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = buffer.byteLength - offset,
  ): number {
    return this.countOf(this.tryRead(buffer, offset, length), "read from");
  }

  /** Reads like {@linkcode Stream.read}, but answers `-errno` for an error. */
  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    checkRange(buffer, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      const part = partOf(buffer, offset, length);
      return this.tryRead(part, 0, part.byteLength);
    }
    return native().denio_stream_read(this.handle, buffer, offset, length);
  }

  /**
   * Reads like {@linkcode Stream.read}, and leaves what it has read to be read
   * again (`MSG_PEEK`). No event comes again for it.
   *
   * @returns A count; 0 at the end of the stream; {@linkcode WOULD_BLOCK} when
   * nothing has come.
   * @throws {RangeError} when the range lies outside `buffer`.
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
    const count = nativeOthers().denio_stream_peek(
      handle,
      buffer,
      offset,
      length,
    );
    return this.countOf(count, "peek at");
  }

  /**
   * Reads what has come into one buffer after the other, in one call:
   * `readv(2)`. The bytes after the last one read are left as they are.
   *
   * @param buffers Up to eight; take a `subarray` of one for a part of it.
   * @returns A count over all buffers; 0 at the end of the stream, or when the
   * buffers have no room; {@linkcode WOULD_BLOCK} when nothing has come.
   * @throws {RangeError} when there are more than eight.
   * @throws {TypeError} when two of them overlap.
   */
  readVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    const count = nativeOthers().denio_stream_read_vectored(
      this.handle,
      ...vector(buffers),
    );
    return this.countOf(count, "read from");
  }

  /**
   * Writes what there is room for of `length` bytes of `bytes` from `offset`.
   *
   * @returns A count, or {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {RangeError} when the range lies outside `bytes`.
   * @throws {Deno.errors.BrokenPipe} and others of `send(2)`.
   */
  write(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = bytes.byteLength - offset,
  ): number {
    return this.countOf(this.tryWrite(bytes, offset, length), "write to");
  }

  /** Writes like {@linkcode Stream.write}, but answers `-errno` for an error. */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    checkRange(bytes, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      const part = partOf(bytes, offset, length);
      return this.tryWrite(part, 0, part.byteLength);
    }
    return native().denio_stream_write(this.handle, bytes, offset, length);
  }

  /**
   * Writes what there is room for of one buffer after the other, in one call:
   * `writev(2)`. A head and its body leave together and are joined nowhere.
   *
   * @param buffers Up to eight; take a `subarray` of one for a part of it.
   * @returns A count over all buffers, which may end within one of them, or
   * {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {RangeError} when there are more than eight.
   */
  writeVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    return this.countOf(this.tryWriteVectored(buffers), "write to");
  }

  /**
   * Writes like {@linkcode Stream.writeVectored}, but answers `-errno` for an
   * error.
   *
   * @throws {RangeError} when there are more than eight.
   */
  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    const [a, b, c] = buffers;
    const aLength = a === undefined ? 0 : a.byteLength;
    const bLength = b === undefined ? 0 : b.byteLength;
    const cLength = c === undefined ? 0 : c.byteLength;
    const isFar = aLength + bLength + cLength > CALL_BYTES_MAX;
    if (buffers.length > 3 || a === undefined || isFar) {
      const all = vector(buffers);
      return native().denio_stream_write_vectored(this.handle, ...all);
    }
    checkMemory(a);
    if (b !== undefined) checkMemory(b);
    if (c !== undefined) checkMemory(c);
    // Spelled out: spreading makes the call take four times as long.
    return native().denio_stream_write_vectored(
      this.handle,
      a,
      aLength,
      b ?? null,
      bLength,
      c ?? null,
      cLength,
      null,
      0,
      null,
      0,
      null,
      0,
      null,
      0,
      null,
      0,
    );
  }

  /**
   * Bytes that were written and that the peer's side has not acknowledged, from
   * 0 to 2147483647: `SIOCOUTQ` of `tcp(7)` and `unix(7)`, `SO_NWRITE` on
   * macOS, `FIONWRITE` on FreeBSD. It falls while the peer's system takes
   * bytes, so one that stays the same over seconds is a peer that has stalled.
   *
   * - A TCP stream's end (`shutdown("write")`) counts as one byte.
   * - A Unix stream's bytes are acknowledged when the peer has read them. Linux
   *   counts the memory that holds them, which is more than their number.
   * - What it is after an error means nothing.
   *
   * @throws {Deno.errors.NotSupported} where the system does not tell.
   */
  get unackedBytes(): number {
    const code = native().denio_stream_unacked(this.handle);
    return unwrap(code, "count what is not acknowledged");
  }

  /**
   * Bytes that have come and that nobody has read, from 0 to 2147483647:
   * `FIONREAD` of `tcp(7)` and `unix(7)`. The peer's end is no byte; on Linux,
   * what waits behind an urgent byte is not counted before that is read past.
   */
  get unreadBytes(): number {
    const code = native().denio_stream_unread(this.handle);
    return unwrap(code, "count what is not read");
  }

  /**
   * Shuts down one half or both.
   *
   * @throws {Deno.errors.NotConnected} when there is no connection any more.
   */
  shutdown(how: Shutdown): void {
    const number = SHUTDOWNS.indexOf(how);
    if (number < 0) {
      throw new TypeError(
        `Cannot shut down "${how}": it must be "read", "write" or "both"`,
      );
    }
    const code = native().denio_stream_shutdown(this.handle, number);
    unwrap(code, `shut down stream ${this.handle}`);
  }
}
