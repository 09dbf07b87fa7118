/**
 * The interface of the system that a reactor stands on: a poll, sockets and a
 * clock.
 *
 * The reactor, and all that is built on it, reaches the system through this
 * interface alone. `readiness.ts` implements it for Deno; a simulation takes
 * its place in tests.
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

/** The token of a poll's own waker: one that no source of a reactor has. */
export const WAKER_TOKEN = 0xffff_ffff;

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
  batch(): AcceptedBatch;
  /** Accepts several, or up to `capacity`; the batch says why no more. */
  acceptBatch(batch: AcceptedBatch, capacity?: number): number;
  /**
   * The same, whoever else shares the socket and is to accept first: for one
   * that is about to close it.
   */
  acceptRest?(batch: AcceptedBatch): number;
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
export interface AcceptedBatch {
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
   * @param woken Called, where the system can, as soon as it is known that
   * something is ready or the time is over, before the promise settles.
   */
  park(
    timeoutMs: number | undefined,
    refed: boolean,
    woken?: () => void,
  ): Promise<unknown>;
  /** Returns once Deno's loop has had a round. */
  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown>;
  /** Has a wait that is pending keep the process alive. */
  ref(): void;
  /** Lets the process end: nothing waits until the next `park`. */
  rest(): void;
  /** Returns a promise for the end of what Deno still does for it, if any. */
  ended?(): Promise<unknown> | undefined;
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
