/**
 * The waiting side of readiness: mio's `Poll`, for Deno.
 *
 * A program registers a source (a listener, a stream, a pipe) under a
 * {@linkcode Token} with an {@linkcode Interest}. {@linkcode Poll.poll} waits
 * until sources are ready, and fills an {@linkcode Events} with their events.
 * Then the program itself accepts, reads and writes: a poll moves no bytes,
 * except for streams of {@linkcode Registry.registerAhead}.
 *
 * # Portability
 *
 * The same program runs on each backend if it relies only on the guarantees
 * below.
 *
 * ## What is guaranteed
 *
 * - An event has the token of its source's latest registration.
 * - A source is drained when a call on it returned `WOULD_BLOCK`. A drained
 *   source gets an event when the same call would return something else.
 * - A source that is ready when it is registered or reregistered gets an event,
 *   also if it had one before.
 * - After `deregister` returns, no later poll returns an event of the source. A
 *   batch that was filled before may still hold one.
 * - Events that do not fit an `Events` come with the next poll. None is lost.
 * - A registration made on another thread takes effect for a poll that is
 *   already waiting.
 *
 * ## Readiness is a hint
 *
 * An event may be spurious: another read took the data, the connection that
 * waited to be accepted is gone, or a backend reports one change twice. So
 * every call may return `WOULD_BLOCK`. This is no error and means: wait again.
 *
 * The following is not guaranteed:
 *
 * - the number of events: a source that is readable and writable may get one
 *   event or two, and poll and select report a source again after a read that
 *   has left bytes;
 * - another event for a source that is *not* drained: see below;
 * - the order of events, and that the sources of one batch take turns;
 * - the bits other than `READABLE` and `WRITABLE`. Where a backend sets them,
 *   they save a system call. A program must not wait for them:
 *
 * | bit            | the same fact on every backend           | Linux's backends   | kqueue      |
 * | -------------- | ---------------------------------------- | ------------------ | ----------- |
 * | `READ_CLOSED`  | `read` returns 0                         | yes                | yes         |
 * | `WRITE_CLOSED` | `write` throws `BrokenPipe`              | when both ways end | yes         |
 * | `ERROR`        | `takeError` returns, or a call throws it | yes                | with an end |
 * | `PRIORITY`     | none: ask {@linkcode Poll.supports}      | yes, if asked for  | no          |
 *
 * ## Draining
 *
 * Registrations are edge-triggered unless they ask for another mode: an event
 * says that the source has *changed*. A program that reads only a part, and
 * then waits for an event about the rest, may wait without end. So after an
 * event
 *
 * - `accept` until it returns `undefined`;
 * - `receive` from a UDP socket until `WOULD_BLOCK`, also after an error: an
 *   error belongs to one datagram, and others may wait behind it;
 * - `read` from a stream until `WOULD_BLOCK`, 0 or an error. A read that does
 *   not fill its buffer has *mostly* drained the stream. But a read from a TCP
 *   stream also stops before an urgent byte (`MSG_OOB`, `tcp(7)`), which the
 *   next read drops. To save the last call, register for `PRIORITY` as well,
 *   and read until `WOULD_BLOCK` only after an event with that bit: denio's own
 *   reactor does so. On a backend without `PRIORITY`, a short read proves
 *   nothing;
 * - `write` until all is written, or until `WOULD_BLOCK`. Wait for `WRITABLE`
 *   only after `WOULD_BLOCK`: an idle stream is always writable and gets one
 *   event.
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
 * // The client, which usually is another program.
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
 *   // An earlier event of the same batch closed the stream.
 *   if (stream === undefined) return;
 *   for (;;) {
 *     const count = stream.read(bytes);
 *     if (count === WOULD_BLOCK) return;
 *     if (count === 0) break;
 *     // A real server keeps the bytes that do not fit until WRITABLE.
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
 * With `{ mode: "level" }` a source gets an event from each poll for as long as
 * it is ready. A program may then read a part, at the price of an event each
 * time. With `"one-shot"` a source gets one event, and the next only after it
 * is reregistered: for several threads that share a poll, when only one of them
 * at a time may use the source.
 *
 * @example Level-triggered and one-shot events
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
 * assertEquals(poll.poll(events), 1); // the connection still waits
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
 * Closing a source ends its registration: no later poll returns an event of it.
 * The batch at hand may still hold one. So remove the token from your table
 * when you close its source, and do not use the token again before the batch is
 * done. A closed poll leaves its sources open. Another poll can register them
 * once the registries and the waker of the closed poll are closed, too.
 *
 * ## Threads
 *
 * Handles are numbers of the whole process. A program can post
 * `poll.registry.tryClone().handle` to a Worker, and `new Registry(handle)`
 * there registers sources while this thread waits. A {@linkcode Waker} ends the
 * wait from any thread. `poll` blocks Deno's own loop; {@linkcode Poll.park}
 * does not.
 *
 * ## Backends
 *
 * | backend    | where                | a wait costs              | limits                      |
 * | ---------- | -------------------- | ------------------------- | --------------------------- |
 * | `epoll`    | Linux                | as many as are ready      |                             |
 * | `kqueue`   | macOS, the BSDs      | as many as are ready      | no `PRIORITY`, no exclusive |
 * | `io_uring` | Linux from 6.1 on    | as many as are ready      | one thread waits            |
 * | `poll`     | Linux, for comparing | as many as are registered | no exclusive                |
 * | `select`   | Linux, for comparing | as many as are registered | descriptors below 1,024     |
 *
 * `io_uring` may be forbidden: Docker forbids it by default. It has what epoll
 * has, with one limit: the thread that polls first is the only one that can
 * poll; other threads can park. It is made for reactors, whose streams it reads
 * ahead: {@linkcode Registry.registerAhead}. Soon after such a poll is closed,
 * Linux may interrupt a blocking system call of its thread.
 *
 * `deno task bench:poll` measures these costs. poll and select have no edges,
 * so denio makes them: after an event it stops asking the system about the
 * source until the program reads, accepts, writes without room, or reregisters.
 * So a source that the program leaves alone after an event gets no other event,
 * even when more bytes arrive.
 *
 * @module
 */

import { environment } from "../native/environment.ts";
import { errorFrom, unwrap } from "../native/errors.ts";
import { native, nativeOthers, nativeRing } from "../native/library.ts";
import { refusalText } from "../native/refusals.ts";
import type { Events } from "./events.ts";
import { Interest } from "./interest.ts";
import { EXCLUSIVE, type Mode, modeBits } from "./mode.ts";
import { CLOCK_WORDS, EVENT_WORDS } from "../native/symbols.ts";
import { Registry } from "./registry.ts";

/** A family of system calls that report readiness. */
export type Backend = "epoll" | "kqueue" | "poll" | "select" | "io_uring";

/** A feature that only some backends have. */
export type Feature = Mode | "exclusive" | "priority";

/** In the order of the numbers of `native/poll/src/backend.rs`; 0 is `auto`. */
const BACKENDS = [
  "auto",
  "epoll",
  "kqueue",
  "poll",
  "select",
  "io_uring",
] as const;

/** The oldest kernel that has all that the backend io_uring needs. */
const LEAST_OF_RING = "Linux 6.1";

/** The environment variable that names the default backend. */
export const BACKEND_VARIABLE = "DENIO_BACKEND";

/** The longest wait that the system takes, about 24 days. */
const TIMEOUT_MAX_MS = 0x7fff_ffff;
const NO_LIMIT = -1;

/** How a poll is opened. */
export interface PollOptions {
  /**
   * The backend to use. Left out, it is the one that the environment variable
   * `DENIO_BACKEND` names, if that is set and permitted. Otherwise, and for
   * `auto`, it is epoll on Linux, and kqueue elsewhere.
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
  /** The registry of this poll's sources. */
  readonly registry: Registry;
  /** Whether {@linkcode Registry.registerAhead} makes a difference. */
  readonly readsAhead: boolean;

  /**
   * Opens a poll.
   *
   * @throws {TypeError} when there is no such backend.
   * @throws {Deno.errors.NotSupported} when the system lacks the backend; for
   * `io_uring` the message says why.
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
    const handle = native().denio_poll_new(number);
    if (handle < 0) throw refusalOf(backend, number, handle);
    this.#handle = handle;
    this.readsAhead = backend === "io_uring";
    this.registry = new Registry(this.#handle);
  }

  /** The number by which native code knows the poll; 0 once it is closed. */
  get handle(): number {
    return this.#handle;
  }

  /**
   * Returns the backends that this process can use, the one of `auto` first.
   * Without `io_uring` the system lacks it, or forbids it.
   */
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
   * Bytes of memory that hold what was received for streams that are read
   * ahead, and that the program has left unread.
   */
  get heldBytes(): number {
    if (!this.readsAhead) return 0;
    const count = nativeRing().denio_poll_held_bytes(this.handle);
    return unwrap(count, `ask poll ${this.handle} for its memory`);
  }

  /**
   * Whether the backend has a mode of registration, `exclusive` registration,
   * or `priority` data.
   *
   * @throws {TypeError} when no backend has such a feature.
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
   * Waits until a source is ready, fills `events` and returns their number.
   *
   * Blocks this thread and so Deno's event loop. `undefined` waits without
   * limit. A timeout is rounded up to a whole millisecond, so that a short one
   * does not become a busy loop. A wait that a signal interrupts returns 0.
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
   * Waits like {@linkcode Poll.poll}, but on another thread and without taking
   * an event. Resolves to whether a source is ready: call `poll` to get the
   * events.
   *
   * @throws {RangeError} when `timeoutMs` is negative or no number.
   */
  async park(timeoutMs?: number): Promise<boolean> {
    return unwrap(await this.parkRaw(timeoutMs), `park ${this.handle}`) > 0;
  }

  /** The number of waits that {@linkcode Poll.parkRaw} has begun. */
  get parksBegun(): number {
    return native().denio_poll_await_park(this.handle, -1, 0);
  }

  /**
   * Blocks until a wait of {@linkcode Poll.parkRaw} has begun, which needs a
   * free thread.
   *
   * @param begun The number of waits that had begun before.
   * @returns Whether it has begun within `timeoutMs`.
   */
  awaitPark(begun: number, timeoutMs: number): boolean {
    return native().denio_poll_await_park(this.handle, begun, timeoutMs) !==
      begun;
  }

  /**
   * Waits like {@linkcode Poll.park} and returns Deno's own promise, which
   * resolves to 1, 0 or `-errno`: Deno's loop counts this promise as pending
   * work.
   */
  parkRaw(timeoutMs?: number): Promise<number> {
    return native().denio_poll_park(this.handle, wholeTimeout(timeoutMs));
  }

  /**
   * Closes the poll. Registered sources stay open. A wait on another thread
   * goes on: end it by a {@linkcode Waker}.
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

/** Returns the error for a backend that did not open. */
function refusalOf(backend: string, number: number, code: number): Error {
  const call = `open a poll on backend "${backend}"`;
  const refusal = nativeOthers().denio_backend_refusal(number);
  const reason = refusalText(refusal, LEAST_OF_RING);
  const why = reason === undefined ? "" : `, since ${reason}`;
  return errorFrom(-code, call + why);
}

function featureBits(feature: Feature): number {
  if (feature === "priority") return 0;
  return feature === "exclusive" ? EXCLUSIVE : modeBits({ mode: feature });
}

/**
 * Returns a timeout for the system: whole milliseconds, -1 for no limit.
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
