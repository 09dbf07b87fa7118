/**
 * What a reactor stands on: a poll, sockets and a clock.
 *
 * There is one in use, the native one. The seam is here so that a simulation
 * can take its place: the reactor, and all that is built on it, reaches the
 * system through this and through nothing else.
 *
 * @module
 */

import { defer, nowMs } from "../base/own.ts";
import { Events } from "../poll/events.ts";
import { Interest, type InterestSet } from "../poll/interest.ts";
import { type Backend, Poll, type PollOptions } from "../poll/poll.ts";
import type { Source } from "../poll/registry.ts";
import type { Token } from "../poll/token.ts";
import { Waker } from "../poll/waker.ts";
import type { HostPort, StreamAddress, UnixPath } from "../net/address.ts";
import type { ReadBatch, WriteBatch } from "../net/batches.ts";
import { KEEPALIVE_DEFAULT } from "../net/keepalive.ts";
import type { Shutdown } from "../net/stream.ts";
import { type ListenOptions, TcpListener } from "../net/tcp_listener.ts";
import { connectPermitted, TcpStream } from "../net/tcp_stream.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import { UnixStream } from "../net/unix_stream.ts";
import { TIMEOUT_MS_MAX } from "./limits.ts";
import { Wait } from "./park.ts";
import { PathListener } from "./path_listener.ts";
import { Skew } from "./skew.ts";
import { WAKER_TOKEN } from "./slots.ts";

/** A non-blocking stream, as `TcpStream` and `UnixStream` are. */
export interface StreamSocket extends Source, Disposable {
  /** This end's address. */
  readonly localAddress: StreamAddress;
  /** The other end's address. */
  readonly peerAddress: StreamAddress;
  /** A number for the network that the peer is in; 0 when it is this machine. */
  readonly peerKey: number;
  /** Written bytes that the peer's side has not acknowledged, if it can tell. */
  readonly unackedBytes?: number | undefined;
  /** Bytes that have come and that nobody has read, if it can tell. */
  readonly unreadBytes?: number | undefined;
  /**
   * Milliseconds for which written bytes may stay unacknowledged; 0 for the
   * system's own. Set it by {@linkcode limitUnacked}: it may throw.
   */
  userTimeout?: number;
  /** Makes closing answer with a reset instead of a FIN, where there is one. */
  resetOnClose?: boolean;
  /** Reads; 0 at the end, `-errno` for an error. */
  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number;
  /** Writes; `-errno` for an error. */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number;
  /** Writes one buffer after the other, up to eight; `-errno` for an error. */
  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number;
  /** Shuts down one half or both. */
  shutdown(how: Shutdown): void;
  /** Returns and clears the socket's error, if it has one. */
  takeError(): Error | undefined;
  /** Closes it. */
  close(): void;
}

/** A non-blocking listener, as `TcpListener` and `UnixListener` are. */
export interface ListenerSocket extends Source, Disposable {
  /** The bound address. */
  readonly localAddress: StreamAddress;
  /** Returns an empty batch of the streams that it accepts. */
  batch(): Batch;
  /** Accepts several, or up to `capacity`; the batch says why no more. */
  acceptBatch(batch: Batch, capacity?: number): number;
  /**
   * The same, whoever else shares the socket and is to accept first: for one
   * that is about to close it.
   */
  acceptRest?(batch: Batch): number;
  /**
   * How long to wait before trying again, since others who share the socket are
   * to accept first; nothing when events tell.
   */
  readonly restMs?: number | undefined;
  /** Has another who shares the socket accept, when it cannot itself. */
  passOn?(): void;
  /** Closes it. */
  close(): void;
}

/** Streams that a listener accepted, as `AcceptBatch` has them. */
export interface Batch {
  /** Why it stopped, as a positive errno, how many failed, then handles. */
  readonly words: Float64Array<ArrayBuffer>;
  /** Why it stopped: 0 when the batch is full. */
  readonly stopped: number;
  /** How many had failed while they waited, and were passed over. */
  readonly passedOver: number;
  /** Returns stream `index`; a listener that has its own puts its own here. */
  stream(index: number): StreamSocket;
}

/** A poll with its waker, its clock and its ways to wait. */
export interface ReactorPoll {
  /** The backend in use. */
  readonly backend: Backend;
  /**
   * Whether it cannot tell of urgent data, and takes no notice of an interest
   * in it: a read may then stop short at any time although more waits.
   */
  readonly lacksPriority?: boolean | undefined;
  /** The time on the clock of the events, exactly. */
  nowMs(): number;
  /** Waits, at most a millisecond or so, and fills `events`. */
  poll(events: Events, timeoutMs: number): number;
  /** Asks to be told of a source. */
  register(source: Source, token: Token, interest: InterestSet): void;
  /** Replaces what was asked for. */
  reregister(source: Source, token: Token, interest: InterestSet): void;
  /**
   * Waits without holding Deno's loop, until something is ready, `wake` is
   * called or `timeoutMs` is over; `undefined` waits without limit.
   *
   * @param refed Whether that keeps the process alive.
   */
  park(timeoutMs: number | undefined, refed: boolean): Promise<unknown>;
  /** Returns once Deno's loop has had a round. */
  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown>;
  /** Has a wait that is pending keep the process alive. */
  ref(): void;
  /** Lets the process end: nothing waits until the next `park`. */
  rest(): void;
  /** Ends `park`. */
  wake(): void;
  /** Closes it. */
  close(): void;
}

/** Opens what a reactor needs. */
export interface System {
  /** Opens a poll. */
  openPoll(options: PollOptions): ReactorPoll;
  /** Listens. */
  listen(options: ListenOptions | UnixListenOptions): ListenerSocket;
  /**
   * Begins to connect.
   *
   * @param isPermitted Whether the permission was asked for, by a name that
   * this is an address of.
   */
  connect(address: HostPort | UnixPath, isPermitted?: boolean): StreamSocket;
  /**
   * Reads each stream of a batch once, in order, one's bytes behind the other's
   * from `offset` on, and stops before one with less than `roomMin` bytes of
   * room. Without this each is read by itself, by its own `tryRead`.
   *
   * @returns How many streams were read.
   */
  readAll?(
    batch: ReadBatch,
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    roomMin: number,
  ): number;
  /**
   * Writes to each stream of a batch once, in order, its part of `bytes`.
   * Without this each is written to by its own `tryWrite`.
   */
  writeAll?(batch: WriteBatch, bytes: Uint8Array<ArrayBuffer>): void;
  /** Runs `callback` when what runs now, and its microtasks, are done. */
  defer(callback: () => void): void;
}

/** The system that Deno runs on. */
export const NATIVE: System = {
  openPoll: (options) => new NativePoll(options),
  listen: (options) =>
    "path" in options ? PathListener.bind(options) : TcpListener.bind(options),
  connect: (address, isPermitted) => {
    if ("path" in address) return UnixStream.connect(address);
    const stream = isPermitted
      ? connectPermitted(address)
      : TcpStream.connect(address);
    ifPossible(() => stream.keepalive = KEEPALIVE_DEFAULT);
    return stream;
  },
  readAll: (batch, bytes, offset, roomMin) =>
    batch.read(bytes, offset, roomMin),
  writeAll: (batch, bytes) => batch.write(bytes),
  defer,
};

/**
 * Returns the `userTimeout` that has the system watch over a `writeMs`: 0, the
 * system's own, when there is no such limit.
 */
export function userTimeoutOf(writeMs: number | undefined): number {
  if (writeMs === undefined || !(writeMs <= TIMEOUT_MS_MAX)) return 0;
  return Math.ceil(writeMs);
}

/**
 * Has the system give up a stream whose peer's side acknowledges nothing for
 * `writeMs`, or, with infinity, no longer. It sees what nobody here can: bytes
 * that were written, and wait in the system for a peer that has vanished. Does
 * nothing where the system cannot.
 */
export function limitUnacked(stream: StreamSocket, writeMs: number): void {
  if (!("userTimeout" in stream)) return;
  ifPossible(() => stream.userTimeout = userTimeoutOf(writeMs));
}

/**
 * Sets an option that a stream can do without. Some systems have not got it, and
 * macOS refuses all options of a stream that was reset, which reading tells.
 */
function ifPossible(set: () => void): void {
  try {
    set();
  } catch {
    // It goes on without.
  }
}

/** kqueue alone lacks it. The backend's name would take a call to ask for. */
const LACKS_PRIORITY = !["linux", "android"].includes(Deno.build.os);
/** What may be asked of a poll. */
const INTERESTS = Interest.READABLE | Interest.WRITABLE |
  (LACKS_PRIORITY ? 0 : Interest.PRIORITY);

class NativePoll implements ReactorPoll {
  readonly lacksPriority = LACKS_PRIORITY;
  readonly #poll: Poll;
  readonly #waker: Waker;
  readonly #wait: Wait;
  readonly #skew: Skew;

  constructor(options: PollOptions) {
    const poll = new Poll(options);
    let waker: Waker | undefined;
    try {
      this.#waker = waker = new Waker(poll.registry, WAKER_TOKEN);
      this.#wait = new Wait(poll);
      // Nothing is registered yet but the waker: no event is taken by this.
      const events = new Events(1);
      const ownMs = nowMs();
      poll.poll(events, 0);
      this.#skew = new Skew(events.nowMs, ownMs);
    } catch (error) {
      waker?.close();
      poll.close();
      throw error;
    }
    this.#poll = poll;
  }

  get backend(): Backend {
    return this.#poll.backend;
  }

  nowMs(): number {
    return nowMs() + this.#skew.ms;
  }

  poll(events: Events, timeoutMs: number): number {
    const count = this.#poll.poll(events, timeoutMs);
    this.#skew.note(events.nowMs, nowMs);
    return count;
  }

  register(source: Source, token: Token, interest: InterestSet): void {
    this.#poll.registry.register(source, token, interest & INTERESTS);
  }

  reregister(source: Source, token: Token, interest: InterestSet): void {
    this.#poll.registry.reregister(source, token, interest & INTERESTS);
  }

  park(timeoutMs: number | undefined, refed: boolean): Promise<unknown> {
    return this.#wait.park(timeoutMs, refed);
  }

  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown> {
    return this.#wait.yieldToDeno(nowMs, refed);
  }

  ref(): void {
    this.#wait.ref();
  }

  rest(): void {
    this.#wait.rest();
  }

  wake(): void {
    this.#wait.wake();
    this.#waker.wake();
  }

  close(): void {
    this.#wait.close();
    this.#waker.close();
    this.#poll.close();
  }
}
