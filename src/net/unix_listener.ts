/**
 * A listening Unix socket.
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
import { AcceptBatch, checkBacklog, ListeningSocket } from "./listener.ts";
import { requireUnix } from "./permissions.ts";
import { UnixStream } from "./unix_stream.ts";

/** How and where a Unix listener is opened. */
export interface UnixListenOptions extends UnixPath {
  /** Connections that may wait to be accepted; 511 when left out. */
  backlog?: number;
}

/**
 * A listening Unix socket, which never blocks: `unix(7)`.
 *
 * @example A path, which is removed by hand
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { UnixListener } from "./unix_listener.ts";
 * import { UnixStream } from "./unix_stream.ts";
 *
 * const folder = Deno.makeTempDirSync();
 * const path = `${folder}/listener.sock`;
 * {
 *   using listener = UnixListener.bind({ path });
 *   assertEquals(listener.localAddress, { transport: "unix", path });
 *   using client = UnixStream.connect({ path });
 *   using server = listener.accept();
 *   assertEquals(server?.localAddress, client.peerAddress);
 * }
 * Deno.removeSync(folder, { recursive: true });
 * ```
 */
export class UnixListener extends ListeningSocket<UnixAddress, UnixStream> {
  /**
   * Binds and listens. The path is made by that, and is there until somebody
   * removes it, also when the listener is closed; an abstract name is not.
   *
   * @throws {Deno.errors.NotCapable} without the permissions that Deno asks
   * for: `--allow-read` and `--allow-write` for the path, `--allow-net` for
   * `unix:` and the whole path; for an abstract name, all of `--allow-net`.
   * @throws {Deno.errors.AddrInUse} when the path or the name is there already.
   * @throws {TypeError} when the path is empty, too long or has a NUL inside.
   * @throws {RangeError} when the backlog is out of range.
   */
  static override bind(options: UnixListenOptions): UnixListener {
    const { path } = options;
    const bytes = encodePath(path);
    const backlog = checkBacklog(options.backlog);
    requireUnix(path);
    return new UnixListener(unwrap(
      nativeOthers().denio_unix_listener_bind(bytes, bytes.length, backlog),
      `listen on "${pathText(path)}"`,
    ));
  }

  /**
   * Takes over an inherited descriptor of a Unix listener, as socket activation
   * gives one: see `TcpListener.fromFd`. Closing the listener closes the
   * descriptor, and leaves the path.
   *
   * Asks for what `UnixListener.bind` asks for.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of something else.
   * @throws {Deno.errors.NotCapable} without the permissions for its path.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when it has been taken over already.
   */
  static fromFd(fd: number): UnixListener {
    return new UnixListener(adopt(fd, DescriptorKind.UNIX_LISTENER));
  }

  /**
   * Returns another listener on the same socket, which stays open until both
   * are closed. It is registered nowhere: each can be with a poll of its own.
   */
  tryClone(): UnixListener {
    return new UnixListener(this.cloneHandle());
  }

  /** Returns an empty batch of the streams that it accepts. */
  batch(): AcceptBatch<UnixStream> {
    return new AcceptBatch(UnixStream);
  }

  /** Returns an address of its kind. */
  protected decode(bytes: Uint8Array): UnixAddress {
    return decodeAddress(bytes) as UnixAddress;
  }
}
