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

/** Where a Unix listener binds, and with which options. */
export interface UnixListenOptions extends UnixPath {
  /** Connections that may wait to be accepted; 511 when left out. */
  backlog?: number;
}

/**
 * A listening Unix socket, which never blocks: `unix(7)`.
 *
 * @example Listen on a path, and remove it by hand
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
   * Binds and listens. Binding creates the path; closing the listener does not
   * remove it. An abstract name ends with its listener.
   *
   * @throws {Deno.errors.NotCapable} without the permissions that Deno
   * requires: `--allow-read` and `--allow-write` for the path, `--allow-net`
   * for `unix:` and the absolute path; for an abstract name, the whole
   * `--allow-net`.
   * @throws {Deno.errors.AddrInUse} when the path or the name exists already.
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
   * Takes over an inherited descriptor of a Unix listener, for example from
   * socket activation: see `TcpListener.fromFd`. Closing the listener closes
   * the descriptor, and leaves the path.
   *
   * Requires the same permissions as `UnixListener.bind`.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of another kind.
   * @throws {Deno.errors.NotCapable} without the permissions for its path.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when another object owns it already.
   */
  static fromFd(fd: number): UnixListener {
    return new UnixListener(adopt(fd, DescriptorKind.UNIX_LISTENER));
  }

  /**
   * Returns another listener on the same socket. The socket stays open until
   * both are closed. The new listener is not registered, and each of the two
   * can be registered with a different poll.
   */
  tryClone(): UnixListener {
    return new UnixListener(this.cloneHandle());
  }

  /** Returns an empty batch of the streams that it accepts. */
  batch(): AcceptBatch<UnixStream> {
    return new AcceptBatch(UnixStream);
  }

  /** Returns an address of the socket's kind. */
  protected decode(bytes: Uint8Array): UnixAddress {
    return decodeAddress(bytes) as UnixAddress;
  }
}
