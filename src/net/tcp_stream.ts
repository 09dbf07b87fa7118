/**
 * A non-blocking TCP connection.
 *
 * @module
 */

import { errorFrom, unwrap, WOULD_BLOCK } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { ADDRESS_BYTES } from "../native/symbols.ts";
import {
  addressText,
  decodeAddress,
  type HostPort,
  resolve,
  type TcpAddress,
} from "./address.ts";
import { requireNet } from "./permissions.ts";

/** Which half of a connection to shut down. */
export type Shutdown = "read" | "write" | "both";

const SHUTDOWNS = ["read", "write", "both"] as const;

/**
 * A connected, or connecting, TCP socket, which never blocks.
 *
 * `read` and `write` return a count, or {@linkcode WOULD_BLOCK}; register the
 * stream with a {@linkcode Registry} to hear when to try again.
 */
export class TcpStream implements Disposable {
  /** The number by which native code knows the stream. */
  readonly handle: number;

  /**
   * Takes a native stream over, as one that another Worker has posted.
   *
   * @param handle A native stream, whose owner the new object becomes.
   */
  constructor(handle: number) {
    this.handle = handle;
  }

  /**
   * Begins to connect. A writable event tells that it is done, and
   * {@linkcode TcpStream.takeError} whether it worked.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.NotFound} when nobody knows the name.
   */
  static connect(address: HostPort): TcpStream {
    // Read once: what is permitted must be what is connected to.
    const { hostname, port } = address;
    requireNet(hostname, port);
    return new TcpStream(unwrap(
      native().denio_stream_connect(resolve({ hostname, port })),
      `connect to "${addressText({ hostname, port })}"`,
    ));
  }

  /** This end's address. */
  get localAddress(): TcpAddress {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = native().denio_source_local_address(this.handle, bytes);
    unwrap(code, "get the local address");
    return decodeAddress(bytes);
  }

  /**
   * The other end's address; for an accepted stream also after a reset.
   *
   * @throws {Deno.errors.NotConnected} before a connect is done.
   */
  get peerAddress(): TcpAddress {
    const bytes = new Uint8Array(ADDRESS_BYTES);
    const code = native().denio_stream_peer_address(this.handle, bytes);
    unwrap(code, "get the peer's address");
    return decodeAddress(bytes);
  }

  /** Whether small writes are sent at once (`TCP_NODELAY`). */
  get nodelay(): boolean {
    return unwrap(native().denio_stream_nodelay(this.handle), "get nodelay") >
      0;
  }

  /** Sends small writes at once, or waits for more of them. */
  set nodelay(nodelay: boolean) {
    const code = native().denio_stream_set_nodelay(
      this.handle,
      nodelay ? 1 : 0,
    );
    unwrap(code, "set nodelay");
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
    const count = this.tryRead(buffer, offset, length);
    if (count >= 0 || count === WOULD_BLOCK) return count;
    throw errorFrom(-count, `read from stream ${this.handle}`);
  }

  /** Reads like {@linkcode TcpStream.read}, but answers `-errno` for an error. */
  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    checkRange(buffer, offset, length);
    return native().denio_stream_read(this.handle, buffer, offset, length);
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
    const count = this.tryWrite(bytes, offset, length);
    if (count >= 0 || count === WOULD_BLOCK) return count;
    throw errorFrom(-count, `write to stream ${this.handle}`);
  }

  /** Writes like {@linkcode TcpStream.write}, but answers `-errno` for an error. */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    checkRange(bytes, offset, length);
    return native().denio_stream_write(this.handle, bytes, offset, length);
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

  /** Makes closing answer with a reset instead of a FIN (`SO_LINGER` of 0). */
  set resetOnClose(reset: boolean) {
    const code = native().denio_stream_set_reset_on_close(
      this.handle,
      reset ? 1 : 0,
    );
    unwrap(code, "set linger");
  }

  /** Returns and clears the socket's error, if it has one. */
  takeError(): Error | undefined {
    const number = unwrap(
      native().denio_source_take_error(this.handle),
      `take the error of stream ${this.handle}`,
    );
    return number === 0 ? undefined : errorFrom(number, "connect or transfer");
  }

  /**
   * Closes the stream at once; bytes that the system has taken are still sent.
   *
   * @throws {Deno.errors.BadResource} when it is closed already.
   */
  close(): void {
    const code = native().denio_source_close(this.handle);
    unwrap(code, `close stream ${this.handle}`);
  }

  /** Closes the stream, unless it is closed already. */
  [Symbol.dispose](): void {
    native().denio_source_close(this.handle);
  }
}

/** Native code cannot see how long a buffer is: it is checked here. */
function checkRange(
  buffer: Uint8Array,
  offset: number,
  length: number,
): void {
  if (offset >= 0 && length >= 0 && offset + length <= buffer.byteLength) {
    return;
  }
  throw new RangeError(
    `Cannot use ${length} bytes from offset ${offset}: ` +
      `the buffer has ${buffer.byteLength}`,
  );
}
