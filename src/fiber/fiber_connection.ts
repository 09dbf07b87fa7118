/**
 * A fiber's connection, as programs see it: `read` and `write` that look as if
 * they blocked.
 *
 * How it works is in `connection/`, which no program can reach.
 *
 * @module
 */

import type { Abortable } from "../base/abortable.ts";
import type { StreamAddress, TcpAddress } from "../net/address.ts";
import type { Owned } from "./owned.ts";

/** A fiber's connection, TCP or Unix. */
export type AnyFiberConnection = FiberConnection<StreamAddress>;

/**
 * A connection for fibers, and for code that is written for `Deno.Conn`.
 *
 * One read may wait at a time. Writes are done in the order of their calls.
 *
 * @typeParam Address The form of its addresses.
 */
export interface FiberConnection<Address extends StreamAddress = TcpAddress>
  extends Owned, Deno.Conn<Address> {
  /** The peer's address. */
  readonly remoteAddr: Address;
  /** The address of this end. */
  readonly localAddr: Address;
  /** Whether either side has closed it. */
  readonly isClosed: boolean;
  /** Bytes that were written and that the system has not taken yet. */
  readonly bufferedBytes: number;
  /** The bytes that come, as a stream; its end leaves the writing half open. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** A stream to write to; closing it ends the writing half. */
  readonly writable: WritableStream<Uint8Array<ArrayBufferLike>>;

  /**
   * Whether the connection failed with `error`, because of its peer or the
   * system; false for an error of the program's own, such as a cancel.
   */
  failedWith(error: unknown): boolean;

  /**
   * Reads the bytes that there are into `target`, and waits for the first one.
   * Do not transfer or resize the buffer of `target` meanwhile: this would
   * reject, and the next read would have the bytes.
   *
   * @returns How many bytes; `null` at the end of the stream.
   * @throws {TypeError} when the buffer of `target` was transferred.
   * @throws {Deno.errors.Busy} while another read waits.
   * @throws {Deno.errors.TimedOut} when one of its `Timeouts` has passed.
   * @throws {Deno.errors.ConnectionReset} and others, when it failed.
   */
  read(target: Uint8Array, options?: Abortable): Promise<number | null>;

  /**
   * Returns the bytes that there are, as an array to keep, and waits for the
   * first one; `null` at the end of the stream.
   *
   * @throws {Deno.errors.Busy} and others of {@linkcode FiberConnection.read}.
   */
  readChunk(options?: Abortable): Promise<Uint8Array<ArrayBuffer> | null>;

  /**
   * Fills `target`. When this rejects, the next read has the bytes that were
   * read so far. There is no next read when the connection was closed or the
   * stream has ended: then the bytes are in `target`.
   *
   * @returns `target`; `null` when the stream ended before its first byte.
   * @throws {Deno.errors.UnexpectedEof} when the stream ends in between.
   * @throws {TypeError} and others of {@linkcode FiberConnection.read}.
   */
  readExactly<Bytes extends Uint8Array>(
    target: Bytes,
    options?: Abortable,
  ): Promise<Bytes | null>;

  /**
   * Reads up to `delimiter`, such as the end of a line, and includes it. When
   * this rejects, the next read has the bytes that came, unless the connection
   * was closed.
   *
   * @param bytesMax How many bytes there may be, with the delimiter; from 0.
   * @returns The bytes, to keep; `null` when the stream ended before the first.
   * @throws {TypeError} when `delimiter` is empty.
   * @throws {RangeError} when `bytesMax` is out of range.
   * @throws {Deno.errors.UnexpectedEof} when the stream ends without it.
   * @throws {Deno.errors.InvalidData} when there are more than `bytesMax`.
   */
  readUntil(
    delimiter: string | Uint8Array,
    bytesMax: number,
    options?: Abortable,
  ): Promise<Uint8Array<ArrayBuffer> | null>;

  /** Yields chunks to keep; a program that leaves the loop closes nothing. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array<ArrayBuffer>>;

  /**
   * Writes all of `bytes`. Resolves at once while the peer keeps up, otherwise
   * when the peer has taken enough. The program may change `bytes` as soon as
   * this has returned.
   *
   * @returns How many bytes: all. An abort ends the wait; the bytes are sent.
   * @throws {Deno.errors.BrokenPipe} after `closeWrite`, and others.
   * @throws {Deno.errors.TimedOut} when one of its `Timeouts` has passed.
   * @throws {TypeError} when `bytes` is no `Uint8Array`, or its buffer was
   * transferred.
   */
  write(bytes: Uint8Array, options?: Abortable): Promise<number>;

  /**
   * Writes all of `chunks`, in order, as one `write` would. When one of them
   * cannot be written, none is.
   *
   * @returns How many bytes: all.
   * @throws {TypeError} and others of {@linkcode FiberConnection.write}.
   */
  writev(chunks: Iterable<Uint8Array>, options?: Abortable): Promise<number>;

  /** Sends what was written, then the end of the stream. Reads go on. */
  closeWrite(): Promise<void>;

  /**
   * Ends the stream for reads, whatever the peer sends. A server that shuts
   * down calls this, so that fibers that wait for the next request end.
   */
  endReading(): void;

  /**
   * Sends what was written and closes.
   *
   * @throws {Deno.errors.BadResource} when the program has closed it before.
   */
  close(): void;

  /** Closes at once with a reset; bytes that were not sent are lost. */
  abort(): void;

  /** Closes, unless the program has closed it before. */
  [Symbol.dispose](): void;

  /** Keeps the process alive while this is open, which is the default. */
  ref(): void;

  /** Lets the process end although this is open. */
  unref(): void;

  /**
   * Sends small writes at once, which is the default, or collects them (Nagle's
   * algorithm, `TCP_NODELAY`). Changes nothing for a Unix socket.
   */
  setNoDelay(nodelay?: boolean): void;
}
