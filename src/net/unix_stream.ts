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
 * @example A pair, whose ends are connected with each other
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
   * Connects, which the system does at once or not at all.
   *
   * @throws {Deno.errors.NotCapable} without the permissions that Deno asks
   * for: `--allow-read` and `--allow-write` for the path, `--allow-net` for
   * `unix:` and the whole path; for an abstract name, all of `--allow-net`.
   * @throws {Deno.errors.NotFound} when there is no such path.
   * @throws {Deno.errors.ConnectionRefused} when nobody listens there.
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
   * `socketpair(2)`. They lead nowhere else, so no permission is asked for.
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
   * Asks for what `UnixListener.bind` asks for when this end has a path or an
   * abstract name. An unnamed end asks for nothing, as with Deno's own
   * `node:net`: only who started the process can have handed it over.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of something else.
   * @throws {Deno.errors.NotCapable} without the permissions for its path.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when it has been taken over already.
   */
  static fromFd(fd: number): UnixStream {
    return new UnixStream(adopt(fd, DescriptorKind.UNIX_STREAM));
  }

  /**
   * Returns another stream on the same connection, which stays open until both
   * are closed. It is registered nowhere; options are shared.
   */
  tryClone(): UnixStream {
    return new UnixStream(this.cloneHandle());
  }

  /** Returns an address of its kind. */
  protected decode(bytes: Uint8Array): UnixAddress {
    return decodeAddress(bytes) as UnixAddress;
  }
}
