/**
 * A channel between the reactors of two threads: a pair of Unix streams. One
 * end is posted to the other thread as a number.
 *
 * The end of a Worker, of any kind, closes its handles: so the end of the
 * stream shows the end of the Worker.
 *
 * @module
 */

import { UnixStream } from "../../net/unix_stream.ts";
import type {
  Connection,
  ConnectionHandlers,
} from "../../reactor/connection.ts";
import type { Reactor } from "../../reactor/reactor.ts";

/** One end of a channel, and the number of the other end. */
export interface Channel {
  /** This thread's end. */
  readonly connection: Connection;
  /** The number of the other end, for {@linkcode joinChannel}. */
  readonly handle: number;
  /** Closes the other end, unless the other thread has joined. */
  abandon(): void;
}

/** Opens a channel. */
export function openChannel(
  reactor: Reactor,
  handlers: ConnectionHandlers,
): Channel {
  const [mine, theirs] = UnixStream.pair();
  const abandon = () => theirs[Symbol.dispose]();
  try {
    const connection = reactor.adopt(mine, handlers);
    return { connection, handle: theirs.handle, abandon };
  } catch (error) {
    mine[Symbol.dispose]();
    abandon();
    throw error;
  }
}

/** Takes over one end of a channel that another thread has opened. */
export function joinChannel(
  reactor: Reactor,
  handle: number,
  handlers: ConnectionHandlers,
): Connection {
  using posted = new UnixStream(handle);
  // A handle closes with the thread that opened it: this thread clones it.
  const mine = posted.tryClone();
  try {
    return reactor.adopt(mine, handlers);
  } catch (error) {
    mine[Symbol.dispose]();
    throw error;
  }
}
