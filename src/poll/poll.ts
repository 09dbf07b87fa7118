/**
 * The waiting side of readiness: mio's `Poll`, for Deno.
 *
 * @module
 */

import { errorFrom, unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import type { Events } from "./events.ts";
import { Registry } from "./registry.ts";

/** A system call family that tells readiness. */
export type Backend = "epoll" | "kqueue";

/** The numbers of `ffi.rs`, in its order; 0 is the system's best. */
const BACKENDS = ["auto", "epoll", "kqueue"] as const;

/** The longest wait that the system takes, about 24 days. */
const TIMEOUT_MAX_MS = 0x7fff_ffff;
const NO_LIMIT = -1;

/** How a poll is opened. */
export interface PollOptions {
  /** The backend to use; the system's best when left out. */
  backend?: Backend | "auto";
}

/**
 * Waits for readiness of the sources in its {@linkcode Registry}.
 *
 * @example A connection shows up under the listener's token
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Events } from "./events.ts";
 * import { Interest } from "./interest.ts";
 * import { Poll } from "./poll.ts";
 * import { TcpListener } from "../net/tcp_listener.ts";
 * import { TcpStream } from "../net/tcp_stream.ts";
 *
 * using poll = new Poll();
 * using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
 * poll.registry.register(listener, 7, Interest.READABLE);
 *
 * using _client = TcpStream.connect(listener.localAddress);
 * const events = new Events();
 * assertEquals(poll.poll(events), 1);
 * assertEquals(events.token(0), 7);
 * ```
 */
export class Poll implements Disposable {
  /** The number by which native code knows the poll. */
  readonly handle: number;
  /** Where sources are registered. */
  readonly registry: Registry;

  /**
   * Opens a poll.
   *
   * @throws {Deno.errors.NotSupported} when the system has not got the backend.
   */
  constructor(options: PollOptions = {}) {
    const { backend = "auto" } = options;
    const number = BACKENDS.indexOf(backend);
    if (number < 0) {
      throw new TypeError(
        `Cannot open backend "${backend}": it must be one of ${
          BACKENDS.join(", ")
        }`,
      );
    }
    this.handle = unwrap(
      native().denio_poll_new(number),
      `open a poll on backend "${backend}"`,
    );
    this.registry = new Registry(this.handle);
  }

  /** The backend in use. */
  get backend(): Backend {
    const number = native().denio_poll_backend(this.handle);
    return BACKENDS[unwrap(number, "name the backend")] as Backend;
  }

  /**
   * Waits until something is ready, fills `events` and returns how many.
   *
   * Blocks this thread, Deno's event loop with it. `undefined` waits without
   * limit. A timeout is rounded up to a whole millisecond, so that a short one
   * is no busy loop. A wait that a signal interrupts returns nothing.
   *
   * @throws {RangeError} when `timeoutMs` is negative or no number.
   * @throws {Deno.errors.BadResource} when the poll is closed.
   */
  poll(events: Events, timeoutMs?: number): number {
    events.length = 0;
    const count = native().denio_poll_wait(
      this.handle,
      events.words,
      events.capacity,
      timeoutMs === 0 ? 0 : wholeTimeout(timeoutMs),
    );
    if (count < 0) throw errorFrom(-count, `poll ${this.handle}`);
    return events.length = count;
  }

  /**
   * Waits like {@linkcode Poll.poll}, on another thread and without taking an
   * event: resolves to whether something is ready, for a `poll` to take.
   *
   * @throws {RangeError} when `timeoutMs` is negative or no number.
   */
  async park(timeoutMs?: number): Promise<boolean> {
    return unwrap(await this.parkRaw(timeoutMs), `park ${this.handle}`) > 0;
  }

  /**
   * Returns the very promise that Deno makes for {@linkcode Poll.park}, with
   * 1, 0 or `-errno`: the one that Deno's loop counts as pending work.
   */
  parkRaw(timeoutMs?: number): Promise<number> {
    return native().denio_poll_park(this.handle, wholeTimeout(timeoutMs));
  }

  /**
   * Closes the poll. What is registered stays open. A wait of another thread
   * is not ended by this: use a {@linkcode Waker}.
   */
  close(): void {
    unwrap(native().denio_source_close(this.handle), `close ${this.handle}`);
  }

  /** Closes the poll, unless it is closed already. */
  [Symbol.dispose](): void {
    native().denio_source_close(this.handle);
  }
}

function wholeTimeout(timeoutMs: number | undefined): number {
  if (timeoutMs === undefined) return NO_LIMIT;
  if (timeoutMs >= 0) return Math.min(Math.ceil(timeoutMs), TIMEOUT_MAX_MS);
  throw new RangeError(
    `Cannot wait "${timeoutMs}" ms: it must be zero or more, or undefined`,
  );
}
