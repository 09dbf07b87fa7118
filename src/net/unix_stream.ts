/**
 * A non-blocking connection within the machine.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { nativeOthers } from "../native/library.ts";
import {
  decodeAddress,
  encodePath,
  pathText,
  type UnixAddress,
  type UnixPath,
} from "./address.ts";
import { adopt, DescriptorKind } from "./descriptor.ts";
import { requireUnix } from "./permissions.ts";
import { Stream } from "./stream.ts";

/**
 * A connected Unix socket, which never blocks: `unix(7)`.
 *
 * @example A pair of streams, connected with each other
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { UnixStream } from "./unix_stream.ts";
 *
 * const [left, right] = UnixStream.pair();
 * using _left = left;
 * using _right = right;
 * left.write(new TextEncoder().encode("hello"));
 * const buffer = new Uint8Array(16);
 * const count = right.read(buffer);
 * assertEquals(new TextDecoder().decode(buffer.subarray(0, count)), "hello");
 * ```
 */
export class UnixStream extends Stream<UnixAddress> {
  /**
   * Connects: the system does so at once, or the call throws.
   *
   * @throws {Deno.errors.NotCapable} without the permissions that Deno
   * requires: `--allow-read` and `--allow-write` for the path, `--allow-net`
   * for `unix:` and the absolute path; for an abstract name, the whole
   * `--allow-net`.
   * @throws {Deno.errors.NotFound} when there is no such path.
   * @throws {Deno.errors.ConnectionRefused} when no socket listens there.
   * @throws {Deno.errors.WouldBlock} when the listener's backlog is full.
   * @throws {TypeError} when the path is empty, too long or has a NUL inside.
   */
  static connect(options: UnixPath): UnixStream {
    const { path } = options;
    const bytes = encodePath(path);
    requireUnix(path);
    return new UnixStream(unwrap(
      nativeOthers().denio_unix_stream_connect(bytes, bytes.length),
      `connect to "${pathText(path)}"`,
    ));
  }

  /**
   * Returns two streams that are connected with each other and have no name:
   * `socketpair(2)`. They lead nowhere else, so they require no permission.
   */
  static pair(): [UnixStream, UnixStream] {
    const out = new Float64Array(2);
    unwrap(
      nativeOthers().denio_unix_stream_pair(out),
      "make a pair of streams",
    );
    return [new UnixStream(out[0]!), new UnixStream(out[1]!)];
  }

  /**
   * Takes over an inherited descriptor of a Unix stream. Closing the stream
   * closes the descriptor.
   *
   * Requires the same permissions as `UnixListener.bind` when this end has a
   * path or an abstract name. An unnamed end requires none, as in Deno's own
   * `node:net`: only the program that started this process can have passed it
   * on.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of another kind.
   * @throws {Deno.errors.NotCapable} without the permissions for its path.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when another object owns it already.
   */
  static fromFd(fd: number): UnixStream {
    return new UnixStream(adopt(fd, DescriptorKind.UNIX_STREAM));
  }

  /**
   * Returns another stream on the same connection. The connection stays open
   * until both are closed. The new stream is not registered; the two share
   * their options.
   */
  tryClone(): UnixStream {
    return new UnixStream(this.cloneHandle());
  }

  /** Returns an address of the socket's kind. */
  protected decode(bytes: Uint8Array): UnixAddress {
    return decodeAddress(bytes) as UnixAddress;
  }
}
