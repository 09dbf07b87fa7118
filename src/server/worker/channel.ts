/**
 * A way for bytes between the reactors of two threads: a pair of Unix streams,
 * of which one end is posted as a number.
 *
 * What a Worker holds is closed when it ends, however it ends: so the end of
 * the stream tells the end of the Worker.
 *
 * @module
 */

import { UnixStream } from "../../net/unix_stream.ts";
import type {
  Connection,
  ConnectionHandlers,
} from "../../reactor/connection.ts";
import type { Reactor } from "../../reactor/reactor.ts";

/** One end, and the number of the other. */
export interface Channel {
  /** This thread's end. */
  readonly connection: Connection;
  /** To post to the other thread, for {@linkcode joinChannel}. */
  readonly handle: number;
  /** Closes the other end, if nobody has joined. */
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

/** Takes over the end of a channel that another thread has opened. */
export function joinChannel(
  reactor: Reactor,
  handle: number,
  handlers: ConnectionHandlers,
): Connection {
  using posted = new UnixStream(handle);
  // A handle ends with the thread that opened it: this one's must be its own.
  const mine = posted.tryClone();
  try {
    return reactor.adopt(mine, handlers);
  } catch (error) {
    mine[Symbol.dispose]();
    throw error;
  }
}
