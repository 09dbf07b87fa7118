/**
 * The waiting side of readiness: mio's `Poll`, for Deno.
 *
 * A source (a listener, a stream, a pipe) is registered under a {@linkcode
 * Token} with an {@linkcode Interest}; {@linkcode Poll.poll} waits, and fills
 * an {@linkcode Events} with what has become ready. Then the program itself
 * accepts, reads and writes: a poll moves no bytes.
 *
 * # Portability
 *
 * The same program runs on epoll, kqueue, poll and select if it relies on what
 * is guaranteed below and on nothing else.
 *
 * ## What is guaranteed
 *
 * - An event bears the token of the latest registration of its source.
 * - A source that has been drained, which is when a call answered `WOULD_BLOCK`,
 *   is told of when that would no longer be the answer.
 * - A source that is ready when it is registered or reregistered is told of,
 *   also if it was before.
 * - After `deregister` returns, no later poll tells of the source. A batch that
 *   was filled before may still hold an event of it.
 * - What does not fit an `Events` comes with the next poll; nothing is lost.
 * - A registration made on another thread counts for a poll that is already
 *   waiting.
 *
 * ## Readiness is a hint
 *
 * An event may be spurious: the data was read meanwhile, the connection to be
 * accepted is gone, a backend tells twice. So every call that could wait may
 * answer `WOULD_BLOCK`, and means: wait again. It is no error.
 *
 * Not guaranteed, therefore, is
 *
 * - how many events one arrival makes: a source that is readable and writable
 *   may be told of in one event or in two, and poll and select tell again after
 *   a read that has left something;
 * - that a source which is *not* drained is told of again: see below;
 * - the order of events, and that sources of one batch take turns;
 * - the bits other than `READABLE` and `WRITABLE`. They spare a system call
 *   where they come, and no program may wait for them:
 *
 * | bit            | what tells the same everywhere          | epoll, poll, select | kqueue      |
 * | -------------- | --------------------------------------- | ------------------- | ----------- |
 * | `READ_CLOSED`  | `read` answers 0                        | yes                 | yes         |
 * | `WRITE_CLOSED` | `write` throws `BrokenPipe`             | when both ways end  | yes         |
 * | `ERROR`        | `takeError`, or the next call, says it  | yes                 | with an end |
 * | `PRIORITY`     | nothing: ask {@linkcode Poll.supports}  | yes, if asked for   | no          |
 *
 * ## Draining
 *
 * Registrations are edge-triggered unless they ask for another mode: an event
 * says that something has *changed*. Whoever reads a part and waits for the
 * rest may wait for ever. So after an event
 *
 * - `accept` until it returns `undefined`;
 * - `receive` of a UDP socket until `WOULD_BLOCK`, and not until an error: that
 *   is what became of one datagram, and others may wait behind it;
 * - `read` of a stream until `WOULD_BLOCK`, 0 or an error. A read that fills less than its
 *   buffer has *mostly* drained the stream, but a TCP stream's read also ends at
 *   an urgent byte (`MSG_OOB`, `tcp(7)`), and drops that with the next one. Who
 *   wants to save the last call registers for `PRIORITY` as well, which tells of
 *   such a byte, and then reads until `WOULD_BLOCK`: denio's own reactor does.
 *   Where there is no `PRIORITY`, a short read means nothing;
 * - `write` until all is written, or until `WOULD_BLOCK`. Only then wait for
 *   `WRITABLE`: an idle stream is writable all the time, and told of once.
 *
 * @example A server that echoes, in one loop
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { WOULD_BLOCK } from "../native/errors.ts";
 * import { TcpListener } from "../net/tcp_listener.ts";
 * import { TcpStream } from "../net/tcp_stream.ts";
 * import { Events } from "./events.ts";
 * import { Interest } from "./interest.ts";
 * import { Poll } from "./poll.ts";
 *
 * const LISTENER = 0;
 * using poll = new Poll();
 * using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
 * poll.registry.register(listener, LISTENER, Interest.READABLE);
 * const streams = new Map<number, TcpStream>();
 *
 * // The other end of the wire, which is a program of its own elsewhere.
 * using client = TcpStream.connect(listener.localAddress);
 * client.write(new TextEncoder().encode("hello"));
 *
 * const events = new Events();
 * const bytes = new Uint8Array(1024);
 * let echoed = 0;
 * let nextToken = LISTENER + 1;
 * while (echoed < 5) {
 *   poll.poll(events);
 *   for (let index = 0; index < events.length; index++) {
 *     const token = events.token(index);
 *     if (token === LISTENER) acceptAll();
 *     else echo(token);
 *   }
 * }
 *
 * function acceptAll(): void {
 *   for (let stream = listener.accept(); stream; stream = listener.accept()) {
 *     streams.set(nextToken, stream);
 *     poll.registry.register(stream, nextToken++, Interest.READABLE);
 *   }
 * }
 *
 * function echo(token: number): void {
 *   const stream = streams.get(token);
 *   // Closed for an earlier event of the same batch.
 *   if (stream === undefined) return;
 *   for (;;) {
 *     const count = stream.read(bytes);
 *     if (count === WOULD_BLOCK) return;
 *     if (count === 0) break;
 *     // More than fits would have to be kept until WRITABLE.
 *     echoed += stream.write(bytes, 0, count);
 *   }
 *   streams.delete(token);
 *   stream.close();
 * }
 *
 * for (const stream of streams.values()) stream.close();
 * assertEquals(echoed, 5);
 * ```
 *
 * ## Modes
 *
 * With `{ mode: "level" }` a source is told of by each poll for as long as it is
 * ready: nothing is missed by reading a part, at the price of an event each
 * time. With `"one-shot"` it is told of once, and then not before it is
 * reregistered: for several threads that share a poll, of which one at a time
 * is to have the source.
 *
 * @example An event for as long as there is something, or only one
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
 * using _client = TcpStream.connect(listener.localAddress);
 * const events = new Events();
 *
 * poll.registry.register(listener, 1, Interest.READABLE, { mode: "level" });
 * assertEquals(poll.poll(events), 1);
 * assertEquals(poll.poll(events), 1); // still nobody accepts
 *
 * poll.registry.reregister(listener, 1, Interest.READABLE, {
 *   mode: "one-shot",
 * });
 * assertEquals(poll.poll(events), 1);
 * assertEquals(poll.poll(events, 0), 0);
 * ```
 *
 * ## Closing
 *
 * Closing a source ends its registration: no later poll tells of it. The batch
 * at hand may, so take a token out of your table when you close its source, and
 * do not give it to another before the batch is done. A closed poll leaves its
 * sources open. They can be registered with another poll once the registries
 * and the waker of the closed one are closed, too.
 *
 * ## Threads
 *
 * Handles are numbers of the whole process. `poll.registry.tryClone().handle`
 * can be posted to a Worker, where `new Registry(handle)` registers while this
 * thread waits, and {@linkcode Waker} ends the wait from anywhere. Deno's own
 * loop stands still during a `poll`: that is what {@linkcode Poll.park} is for.
 *
 * ## Backends
 *
 * | backend  | where                | a wait costs                | limits                      |
 * | -------- | -------------------- | --------------------------- | --------------------------- |
 * | `epoll`  | Linux                | as many as are ready        |                             |
 * | `kqueue` | macOS, the BSDs      | as many as are ready        | no `PRIORITY`, no exclusive |
 * | `poll`   | Linux, for comparing | as many as are registered   | no exclusive                |
 * | `select` | Linux, for comparing | as many as are registered   | descriptors below 1,024     |
 *
 * `deno task bench:poll` measures that. poll and select know no edges; denio
 * makes them by not asking again for what was told, until the source is read,
 * accepted from, written to without room, or reregistered. A source that nobody
 * touches after an event is therefore not told of again, whatever arrives.
 *
 * @module
 */

import { environment } from "../native/environment.ts";
import { errorFrom, unwrap } from "../native/errors.ts";
import { native, nativeOthers } from "../native/library.ts";
import type { Events } from "./events.ts";
import { Interest } from "./interest.ts";
import { EXCLUSIVE, type Mode, modeBits } from "./mode.ts";
import { CLOCK_WORDS, EVENT_WORDS } from "../native/symbols.ts";
import { Registry } from "./registry.ts";

/** A family of system calls that tell readiness. */
export type Backend = "epoll" | "kqueue" | "poll" | "select";

/** Something that one backend has and another has not. */
export type Feature = Mode | "exclusive" | "priority";

/** The numbers of `native/poll/src/backend.rs`, in its order; 0 is the best. */
const BACKENDS = ["auto", "epoll", "kqueue", "poll", "select"] as const;

/** Names the backend for who asks for none. */
export const BACKEND_VARIABLE = "DENIO_BACKEND";

/** The longest wait that the system takes, about 24 days. */
const TIMEOUT_MAX_MS = 0x7fff_ffff;
const NO_LIMIT = -1;

/** How a poll is opened. */
export interface PollOptions {
  /**
   * The backend to use. Left out, it is what the environment variable
   * `DENIO_BACKEND` names, where that is set and may be read; else, or when it
   * is `auto`, the system's best.
   */
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
  #handle: number;
  /** Where sources are registered. */
  readonly registry: Registry;

  /**
   * Opens a poll.
   *
   * @throws {TypeError} when the backend is none.
   * @throws {Deno.errors.NotSupported} when the system has not got the backend.
   */
  constructor(options: PollOptions = {}) {
    const backend = options.backend ?? environment(BACKEND_VARIABLE) ?? "auto";
    const number = (BACKENDS as readonly string[]).indexOf(backend);
    if (number < 0) {
      const by = options.backend === undefined ? ` of ${BACKEND_VARIABLE}` : "";
      throw new TypeError(
        `Cannot open backend "${backend}"${by}: it must be one of auto, ${
          Poll.backends().join(", ")
        }`,
      );
    }
    this.#handle = unwrap(
      native().denio_poll_new(number),
      `open a poll on backend "${backend}"`,
    );
    this.registry = new Registry(this.#handle);
  }

  /** The number by which native code knows the poll; 0 once it is closed. */
  get handle(): number {
    return this.#handle;
  }

  /** Returns the backends that this system has, the best one first. */
  static backends(): Backend[] {
    const bits = nativeOthers().denio_poll_backends();
    return BACKENDS.filter((name, index): name is Backend =>
      name !== "auto" && (bits & 1 << index) !== 0
    );
  }

  /** The backend in use. */
  get backend(): Backend {
    const number = nativeOthers().denio_poll_backend(this.handle);
    return BACKENDS[unwrap(number, "name the backend")] as Backend;
  }

  /**
   * Whether the backend has a mode of registration, `exclusive` registration,
   * or `priority` data.
   *
   * @throws {TypeError} when there is no such feature anywhere.
   */
  supports(feature: Feature): boolean {
    const interest = feature === "priority"
      ? Interest.PRIORITY
      : Interest.READABLE;
    const code = nativeOthers().denio_poll_supports(
      this.handle,
      interest,
      featureBits(feature),
    );
    return unwrap(code, `ask poll ${this.handle} for "${feature}"`) > 0;
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
    const { words } = events;
    const count = native().denio_poll_wait(
      this.handle,
      words,
      (words.length - CLOCK_WORDS) / EVENT_WORDS,
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

  /** How many waits of {@linkcode Poll.parkRaw} have begun. */
  get parksBegun(): number {
    return native().denio_poll_await_park(this.handle, -1, 0);
  }

  /**
   * Blocks until a wait of {@linkcode Poll.parkRaw} has begun, for which a
   * thread must be free.
   *
   * @param begun How many had begun before.
   * @returns Whether it has, in `timeoutMs`.
   */
  awaitPark(begun: number, timeoutMs: number): boolean {
    return native().denio_poll_await_park(this.handle, begun, timeoutMs) !==
      begun;
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
    const handle = this.#handle;
    this.#handle = 0;
    unwrap(native().denio_source_close(handle), `close ${handle}`);
  }

  /** Closes the poll, unless it is closed already. */
  [Symbol.dispose](): void {
    const handle = this.#handle;
    this.#handle = 0;
    native().denio_source_close(handle);
  }
}

function featureBits(feature: Feature): number {
  if (feature === "priority") return 0;
  return feature === "exclusive" ? EXCLUSIVE : modeBits({ mode: feature });
}

/**
 * Returns a time for the system: whole milliseconds, -1 for no limit.
 *
 * @throws {RangeError} when `timeoutMs` is negative or no number.
 */
export function wholeTimeout(timeoutMs: number | undefined): number {
  if (timeoutMs === undefined) return NO_LIMIT;
  if (timeoutMs >= 0) return Math.min(Math.ceil(timeoutMs), TIMEOUT_MAX_MS);
  throw new RangeError(
    `Cannot wait "${timeoutMs}" ms: it must be zero or more, or undefined`,
  );
}
