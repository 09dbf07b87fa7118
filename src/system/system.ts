/**
 * The interface of the system below a reactor: a poll, sockets and a clock.
 *
 * The reactor and all rooms above it reach the system only through this
 * interface. `readiness.ts` implements it for Deno, `memory.ts` for tests.
 *
 * @module
 */

import type { Events } from "../poll/events.ts";
import type { InterestSet } from "../poll/interest.ts";
import type { Backend, PollOptions } from "../poll/poll.ts";
import type { Source } from "../poll/registry.ts";
import type { Token } from "../poll/token.ts";
import type { HostPort, StreamAddress, UnixPath } from "../net/address.ts";
import type { ReadBatch, WriteBatch } from "../net/batches.ts";
import type { Shutdown } from "../net/stream.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";

/** The token of a poll's own waker; no source of a reactor has it. */
export const WAKER_TOKEN = 0xffff_ffff;

/** A non-blocking stream, as `TcpStream` and `UnixStream` are. */
export interface StreamSocket extends Source, Disposable {
  /** This end's address. */
  readonly localAddress: StreamAddress;
  /** The peer's address. */
  readonly peerAddress: StreamAddress;
  /** A number for the peer's network; 0 for a Unix socket. */
  readonly peerKey: number;
  /** The number of unacknowledged bytes; `undefined` when unknown. */
  readonly unackedBytes?: number | undefined;
  /** The number of received, unread bytes; `undefined` when unknown. */
  readonly unreadBytes?: number | undefined;
  /**
   * Milliseconds for which written bytes may stay unacknowledged; 0 leaves the
   * limit to the system. Setting it may throw: use {@linkcode limitUnacked}.
   */
  userTimeout?: number;
  /** Makes closing send a reset instead of a FIN. Missing on Unix sockets. */
  resetOnClose?: boolean;
  /**
   * Reads into `buffer` from `start` to `end`, exclusive; returns 0 at the end
   * of the stream, `-errno` for an error.
   */
  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number;
  /**
   * Writes `bytes` from `start` to `end`, exclusive; returns `-errno` for an
   * error.
   */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number;
  /** Writes up to eight buffers in order; returns `-errno` for an error. */
  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number;
  /** Shuts down one half or both. */
  shutdown(how: Shutdown): void;
  /**
   * Lets the system send four bytes, the highest of `words` first, when this
   * Worker ends without closing the object; 0 takes them back.
   */
  setLastWords?(words: number): void;
  /** Returns and clears the socket's error, if it has one. */
  takeError(): Error | undefined;
  /** Closes the object. */
  close(): void;
}

/** A non-blocking listener, as `TcpListener` and `UnixListener` are. */
export interface ListenerSocket extends Source, Disposable {
  /** The bound address. */
  readonly localAddress: StreamAddress;
  /** Returns an empty batch for `acceptBatch`. */
  batch(): AcceptedBatch;
  /** Accepts up to `capacity` streams; `batch.stopped` says why it stopped. */
  acceptBatch(batch: AcceptedBatch, capacity?: number): number;
  /**
   * Accepts even when another Worker that shares the socket should accept
   * first: for a listener that is about to close.
   */
  acceptRest?(batch: AcceptedBatch): number;
  /**
   * Milliseconds after which to try again, because other Workers that share the
   * socket should accept first; `undefined` to wait for an event.
   */
  readonly restMs?: number | undefined;
  /** Lets another Worker that shares the socket accept in its place. */
  passOn?(): void;
  /** Closes the object. */
  close(): void;
}

/** Streams that a listener accepted, in the form of `AcceptBatch`. */
export interface AcceptedBatch {
  /** `stopped`, `passedOver`, then the handles. */
  readonly words: Float64Array<ArrayBuffer>;
  /** Why accepting stopped, as a positive errno; 0 when the batch is full. */
  readonly stopped: number;
  /** How many connections failed while they waited, and were skipped. */
  readonly passedOver: number;
  /** Returns stream `index`. A listener may replace this function. */
  stream(index: number): StreamSocket;
}

/** A reactor's poll, with its waker, its clock and its ways to wait. */
export interface ReactorPoll {
  /** The backend in use. */
  readonly backend: Backend;
  /**
   * Whether the poll ignores `PRIORITY` interest. A short read then does not
   * prove that a stream is drained, since a read also stops at urgent data.
   */
  readonly lacksPriority?: boolean | undefined;
  /**
   * Bytes of memory with what was received for connections and not read;
   * `undefined` where the system keeps that.
   */
  readonly heldBytes?: number | undefined;
  /** Returns the time on the events' clock, in milliseconds. */
  nowMs(): number;
  /** Blocks for up to `timeoutMs`, a few milliseconds, and fills `events`. */
  poll(events: Events, timeoutMs: number): number;
  /** Registers a source. */
  register(source: Source, token: Token, interest: InterestSet): void;
  /** Replaces a source's token and interest. */
  reregister(source: Source, token: Token, interest: InterestSet): void;
  /**
   * Waits without blocking Deno's loop until a source is ready, `wake` is
   * called or `timeoutMs` is over; `undefined` waits without limit.
   *
   * @param refed Whether the wait keeps the process alive.
   * @param woken Called when a source is ready or the time is over, where the
   * system can, before the promise settles.
   */
  park(
    timeoutMs: number | undefined,
    refed: boolean,
    woken?: () => void,
  ): Promise<unknown>;
  /** Returns a promise that settles after a round of Deno's loop. */
  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown>;
  /** Makes a pending wait keep the process alive. */
  ref(): void;
  /** Lets the process end, until the next `park`. */
  rest(): void;
  /** Returns a promise for the end of a late call on Deno's pool, if any. */
  ended?(): Promise<unknown> | undefined;
  /** Ends `park`. */
  wake(): void;
  /** Closes the object. */
  close(): void;
}

/** The system below a reactor. */
export interface System {
  /** Opens a poll. */
  openPoll(options: PollOptions): ReactorPoll;
  /** Opens a listener. */
  listen(options: ListenOptions | UnixListenOptions): ListenerSocket;
  /**
   * Begins to connect.
   *
   * @param isPermitted Whether the caller has checked the permission for the
   * name to which this address belongs.
   */
  connect(address: HostPort | UnixPath, isPermitted?: boolean): StreamSocket;
  /**
   * Reads each stream of a batch once, in order, into `bytes` from `start` on.
   * Stops before a stream for which less than `roomMin` bytes of room are left.
   * Each stream may be given less room than is left: the batch's `room`.
   * Without this method, the reactor calls `tryRead` of each stream.
   *
   * @returns How many streams were read.
   */
  readAll?(
    batch: ReadBatch,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    roomMin: number,
  ): number;
  /**
   * Writes to each stream of a batch once, in order, its part of `bytes`.
   * Without this method, the reactor calls `tryWrite` of each stream.
   */
  writeAll?(batch: WriteBatch, bytes: Uint8Array<ArrayBuffer>): void;
  /** Runs `callback` after the running code and its microtasks. */
  defer(callback: () => void): void;
}
