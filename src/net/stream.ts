/**
 * The base of connections, TCP and Unix: they read, write and shut down.
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
 * `read` and `write` return a count, or {@linkcode WOULD_BLOCK}. Register the
 * stream with a {@linkcode Registry}: an event then says when to try again.
 *
 * @example Send a head and a body in one call, and peek before reading
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
  /** Its name in messages. */
  protected get noun(): string {
    return "stream";
  }

  /** For messages of `takeError`: the work that failed between two calls. */
  protected get work(): string {
    return "connect or transfer";
  }

  /**
   * The peer's address. An accepted stream keeps it even after a reset.
   *
   * @throws {Deno.errors.NotConnected} before the stream is connected.
   */
  get peerAddress(): Address {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = native().denio_stream_peer_address(this.handle, bytes);
    unwrap(code, "get the peer's address");
    return this.decode(bytes);
  }

  /**
   * A number, from 1 on, that all connections of one peer share: it stands for
   * the peer's IPv4 address or for its IPv6 /64 network, since one site may use
   * every address of a /64. It is 0 for a Unix peer. Use it to count
   * connections a peer: reading it creates no address object.
   *
   * @throws {Deno.errors.NotConnected} before the stream is connected.
   */
  get peerKey(): number {
    const key = native().denio_stream_peer_key(this.handle);
    return unwrap(key, "get the peer's address");
  }

  /**
   * Reads into `buffer` from `start` to `end`, exclusive: the bytes that wait.
   *
   * @returns A count; 0 at the end of the stream; {@linkcode WOULD_BLOCK} when
   * no bytes wait.
   * @throws {RangeError} when the range lies outside `buffer`.
   * @throws {Deno.errors.ConnectionReset} and others of `recv(2)`.
   */
  read(
    buffer: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = buffer.byteLength,
  ): number {
    return this.countOf(this.tryRead(buffer, start, end), "read from");
  }

  /** Reads like {@linkcode Stream.read}, but returns `-errno` for an error. */
  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    checkRange(buffer, start, end);
    if (end > CALL_BYTES_MAX) {
      const part = partOf(buffer, start, end);
      return this.tryRead(part, 0, part.byteLength);
    }
    return native().denio_stream_read(this.handle, buffer, start, end - start);
  }

  /**
   * Copies bytes like {@linkcode Stream.read}, but the next read returns them
   * again (`MSG_PEEK`). No second event announces these bytes.
   *
   * @returns A count; 0 at the end of the stream; {@linkcode WOULD_BLOCK} when
   * no bytes wait.
   * @throws {RangeError} when the range lies outside `buffer`.
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
    const count = nativeOthers().denio_stream_peek(
      handle,
      buffer,
      start,
      end - start,
    );
    return this.countOf(count, "peek at");
  }

  /**
   * Reads into one buffer after the other, in one call: `readv(2)`. The rest of
   * the buffers stays as it is.
   *
   * @param buffers Up to eight; pass a `subarray` to use a part of one.
   * @returns A count over all buffers; 0 at the end of the stream, or when the
   * buffers have no room; {@linkcode WOULD_BLOCK} when no bytes wait.
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
   * Writes `bytes` from `start` to `end`, exclusive, as far as there is room.
   *
   * @returns A count, or {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {RangeError} when the range lies outside `bytes`.
   * @throws {Deno.errors.BrokenPipe} and others of `send(2)`.
   */
  write(
    bytes: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = bytes.byteLength,
  ): number {
    return this.countOf(this.tryWrite(bytes, start, end), "write to");
  }

  /**
   * Writes like {@linkcode Stream.write}, but returns `-errno` for an error.
   */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    checkRange(bytes, start, end);
    if (end > CALL_BYTES_MAX) {
      const part = partOf(bytes, start, end);
      return this.tryWrite(part, 0, part.byteLength);
    }
    return native().denio_stream_write(this.handle, bytes, start, end - start);
  }

  /**
   * Writes one buffer after the other, in one call, as far as there is room:
   * `writev(2)`. A head and its body leave together without being copied into
   * one buffer.
   *
   * @param buffers Up to eight; pass a `subarray` to use a part of one.
   * @returns A count over all buffers, which may end within one of them, or
   * {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {RangeError} when there are more than eight.
   */
  writeVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    return this.countOf(this.tryWriteVectored(buffers), "write to");
  }

  /**
   * Writes like {@linkcode Stream.writeVectored}, but returns `-errno` for an
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
    // Written out, since spreading makes the call take four times as long.
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
   * The number of written bytes that the peer's system has not acknowledged,
   * from 0 to 2147483647: `SIOCOUTQ` of `tcp(7)` and `unix(7)`, `SO_NWRITE` on
   * macOS, `FIONWRITE` on FreeBSD. The number falls while the peer's system
   * accepts bytes; when it stays the same for seconds, the peer has stalled.
   *
   * - The end of a TCP stream (`shutdown("write")`) counts as one byte.
   * - A peer acknowledges the bytes of a Unix stream by reading them. Linux
   *   counts the memory that holds them, which is more than their number.
   * - After an error the number has no meaning.
   *
   * @throws {Deno.errors.NotSupported} when the system cannot count them.
   */
  get unackedBytes(): number {
    const code = native().denio_stream_unacked(this.handle);
    return unwrap(code, "count the unacknowledged bytes");
  }

  /**
   * The number of received bytes that wait to be read, from 0 to 2147483647:
   * `FIONREAD` of `tcp(7)` and `unix(7)`. The peer's end does not count. On
   * Linux, bytes behind an urgent byte count only when a read has passed it.
   */
  get unreadBytes(): number {
    const code = native().denio_stream_unread(this.handle);
    return unwrap(code, "count the unread bytes");
  }

  /**
   * Lets the system send four bytes when the Worker that opened the stream ends
   * without closing it. All streams of the process have the same last words.
   *
   * @param words The bytes as a number, the highest first; 0 takes them back.
   */
  setLastWords(words: number): void {
    const code = native().denio_stream_set_last_words(this.handle, words);
    unwrap(code, `set the last words of stream ${this.handle}`);
  }

  /**
   * Shuts down one half or both.
   *
   * @throws {Deno.errors.NotConnected} when the stream is not connected.
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
