/**
 * One TCP connection: the read, write and close state machine.
 *
 * Reads until the system has no more, hands the bytes over in the shared
 * buffer, and stops reading from a peer who does not read. Nothing here knows
 * a protocol.
 *
 * @module
 */

import { errorFrom, WOULD_BLOCK } from "../native/errors.ts";
import { Readiness } from "../poll/events.ts";
import { Interest } from "../poll/interest.ts";
import type { TcpAddress } from "../net/address.ts";
import type { ReadBuffer, WriteBuffer } from "./buffers.ts";
import type { Listener } from "./listener.ts";
import { Outbox } from "./outbox.ts";
import type { StreamSocket } from "./system.ts";
import type { Timer } from "./timers.ts";

/** Unsent bytes at which reading stops: backpressure begins. */
export const HIGH_WATER_BYTES = 65_536;
/** Unsent bytes at which reading goes on: backpressure ends. */
export const LOW_WATER_BYTES = 16_384;
/** Bytes that one connection may read in a turn before others have theirs. */
export const TURN_READ_BYTES = 262_144;
/**
 * How long a closing connection is read for its peer's last bytes: nginx's
 * `lingering_timeout`.
 */
const LINGER_MS = 5_000;

/** Reading was stopped by its user. */
const PAUSED = 1;
/** The system may have more to read. */
const READABLE = 1 << 1;
/** The peer will send no more: read on to its end. */
const READ_CLOSED = 1 << 2;
/** The end has been read. */
const ENDED = 1 << 3;
/** Reading stopped at the high-water mark. */
const CONGESTED = 1 << 4;
/** Room to write is waited for. */
const WANTS_WRITABLE = 1 << 5;
/** Our half is shut down when all is sent. */
const WRITE_ENDING = 1 << 6;
/** Our half is shut down. */
const WRITE_ENDED = 1 << 7;
/** Closes when all is sent. */
const CLOSING = 1 << 8;
/** What still comes is thrown away. */
const LINGERING = 1 << 9;
/** Closed. */
const CLOSED = 1 << 10;
/** In the reactor's ready queue. */
const QUEUED = 1 << 11;
/** Not connected yet. */
const CONNECTING = 1 << 12;
/** Does not keep the process alive. */
const UNREFED = 1 << 13;
/** Its handlers are being told of an error. */
const FAILING = 1 << 14;

/** Nothing is read: stopped, or over. */
const STOPPED = PAUSED | ENDED | CLOSED;
/** The same, or the peer does not read either. */
const UNREADABLE = STOPPED | CONGESTED;
/** Nothing can be written any more. */
const UNWRITABLE = WRITE_ENDING | WRITE_ENDED | CLOSING | CLOSED;

/** Room in the shared write buffer. */
export interface WriteRoom {
  /** Where to write. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the next byte goes; advance it by what was written. */
  length: number;
}

/** Where a read goes. */
export interface ReadTarget {
  /** Its bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where in them it begins. */
  readonly offset: number;
}

/** What happens on a connection. `Data` is the user's own, one a connection. */
export interface ConnectionHandlers<Data = unknown> {
  /**
   * Whether reading goes on above the high-water mark: for who stops writing
   * there of its own accord, and reads for something else than to write.
   */
  readonly keepsReading?: boolean;
  /** It is open: accepted, or connected. */
  open?(connection: Connection<Data>): void;
  /**
   * Bytes have come: those of `bytes` from `start` to `end`, which are valid
   * until this returns.
   */
  data(
    connection: Connection<Data>,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void;
  /** The peer sends no more. Without this, the connection is closed. */
  end?(connection: Connection<Data>): void;
  /** Unsent bytes have fallen to the low-water mark. */
  drain?(connection: Connection<Data>): void;
  /** Something failed; `close` follows. */
  error?(connection: Connection<Data>, error: Error): void;
  /**
   * It is closed, for whatever reason; nothing follows. Its addresses can be
   * asked for until this returns.
   */
  close?(connection: Connection<Data>): void;
}

/** What a connection needs of its reactor. */
export interface ConnectionHost {
  /** Where reads go. */
  readonly input: ReadBuffer;
  /** Where answers are serialised. */
  readonly output: WriteBuffer;
  /** The turn's time. */
  readonly nowMs: number;
  /** Asks to be told of room to write as well. */
  reregister(connection: Connection, interest: number): void;
  /** Has the connection act again in the next turn. */
  requeue(connection: Connection): void;
  /** Sends what is in the write buffer soon, outside of a turn. */
  flushSoon(): void;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer. */
  clearTimer(timer: Timer): void;
  /** Forgets a closed connection. */
  forget(connection: Connection, refed: boolean): void;
  /** Counts a connection that no longer, or again, keeps the process alive. */
  countRef(delta: number): void;
  /** Says that `error` was thrown where nobody else can catch it. */
  report(error: unknown): void;
}

/** A TCP connection on a reactor. */
export class Connection<Data = unknown> {
  /** The user's own data; `undefined` until it is set. */
  data: Data = undefined as Data;
  /** The reactor's token for it. */
  token = 0;
  /** Where the next read goes; the shared buffer when there is none. */
  target: ReadTarget | undefined = undefined;
  /** Runs of bytes in the shared write buffer, which keeps count. */
  runs = 0;
  /** The listener that accepted it. */
  readonly listener: Listener | undefined;
  readonly #host: ConnectionHost;
  readonly #stream: StreamSocket;
  readonly #handlers: ConnectionHandlers<Data>;
  #outbox: Outbox | undefined = undefined;
  #linger: Timer | undefined = undefined;
  #flags: number;

  /** Made by the reactor's `listen` and `connect`. */
  constructor(
    host: ConnectionHost,
    stream: StreamSocket,
    origin: {
      handlers: ConnectionHandlers<Data>;
      listener: Listener | undefined;
    },
  ) {
    this.#host = host;
    this.#stream = stream;
    this.#handlers = origin.handlers;
    this.listener = origin.listener;
    const refed = origin.listener === undefined || origin.listener.isRefed;
    this.#flags = (origin.listener === undefined ? CONNECTING : 0) |
      (refed ? 0 : UNREFED);
  }

  /** The number by which native code knows the stream. */
  get handle(): number {
    return this.#stream.handle;
  }

  /** Whether it is closed. */
  get isClosed(): boolean {
    return (this.#flags & CLOSED) !== 0;
  }

  /** Whether it keeps the process alive. */
  get isRefed(): boolean {
    return (this.#flags & UNREFED) === 0;
  }

  /** Bytes that the system has not taken yet. */
  get bufferedBytes(): number {
    return this.#outbox === undefined ? 0 : this.#outbox.byteLength;
  }

  /** The other end's address. */
  get remoteAddress(): TcpAddress {
    return this.#stream.peerAddress;
  }

  /** This end's address. */
  get localAddress(): TcpAddress {
    return this.#stream.localAddress;
  }

  /** The turn's time on the reactor's clock, in milliseconds. */
  get nowMs(): number {
    return this.#host.nowMs;
  }

  /** Keeps read bytes before `end` from being overwritten: see `ReadBuffer`. */
  retain(end: number): void {
    this.#host.input.retain(end);
  }

  /**
   * Makes room for `size` bytes of this connection in the shared write buffer.
   * Write them at its `length` and advance that; they leave when the turn is
   * over or another connection needs the buffer.
   *
   * @returns The buffer, or `undefined` when `size` is more than it holds.
   */
  reserve(size: number): WriteRoom | undefined {
    const { output } = this.#host;
    const fits = output.reserve(this, size);
    this.#host.flushSoon();
    return fits ? output : undefined;
  }

  /**
   * Sends bytes at once, after all that was written before. What the system
   * does not take is copied.
   *
   * @returns Whether fewer bytes than the high-water mark wait; after false,
   * wait for `drain`.
   */
  write(
    bytes: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = bytes.byteLength,
  ): boolean {
    this.#flushOutput();
    this.send(bytes, start, end);
    return this.bufferedBytes < HIGH_WATER_BYTES;
  }

  /** Sends bytes, behind the outbox when there is one. */
  send(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    if (this.#flags & UNWRITABLE) return;
    if (this.#outbox === undefined) {
      const sent = this.#stream.tryWrite(bytes, start, end - start);
      if (sent === end - start) return;
      if (sent < 0 && sent !== WOULD_BLOCK) return this.#failNative(sent);
      if (sent > 0) start += sent;
      this.#outbox = new Outbox();
    }
    this.#outbox.push(bytes, start, end);
    this.#wantWritable();
  }

  /** Stops reading. Bytes that come meanwhile wait in the system. */
  pause(): void {
    this.#flags |= PAUSED;
  }

  /** Goes on reading. */
  resume(): void {
    if (!(this.#flags & PAUSED)) return;
    this.#flags &= ~PAUSED;
    if (this.#flags & READABLE) this.#requeue();
  }

  /**
   * Sends what is written and then the end of the stream; reading goes on
   * until the peer's end, which closes the connection.
   */
  closeWrite(): void {
    this.#flushOutput();
    if (this.#flags & UNWRITABLE) return;
    this.#flags |= WRITE_ENDING;
    // Shutting down a socket that still connects would end the connect.
    if (this.#outbox === undefined && !(this.#flags & CONNECTING)) {
      this.#endWriting();
    }
  }

  /** Sends what is written and closes. */
  close(): void {
    this.#flushOutput();
    if (this.#flags & CLOSED) return;
    this.#flags |= CLOSING;
    if (this.#outbox === undefined) this.#destroy();
  }

  /**
   * Sends what is written, then the end of the stream, and closes when the
   * peer has read it: closing over bytes that we did not read would reset the
   * connection and destroy the answer (RFC 9112 section 9.6).
   */
  closeLingering(): void {
    if (this.#flags & ENDED) return this.close();
    if (this.#flags & (CLOSED | LINGERING)) return;
    this.#flags |= LINGERING;
    if (this.#flags & WRITE_ENDED) this.#startLinger();
    this.closeWrite();
    this.resume();
    if (this.#flags & READABLE) this.#requeue();
  }

  /** Closes at once and resets the peer; nothing more is sent. */
  abort(): void {
    if (this.#flags & CLOSED) return;
    this.#stream.resetOnClose = true;
    this.#destroy();
  }

  /** Lets the process end although this is open. */
  unref(): void {
    if (this.#flags & (UNREFED | CLOSED)) return;
    this.#flags |= UNREFED;
    this.#host.countRef(-1);
  }

  /** Keeps the process alive while this is open, which is how it begins. */
  ref(): void {
    if (!(this.#flags & UNREFED) || this.#flags & CLOSED) return;
    this.#flags &= ~UNREFED;
    this.#host.countRef(1);
  }

  /** Tells the handlers that it is open. */
  opened(): void {
    this.#handlers.open?.(this);
  }

  /** Acts on readiness; a requeued connection is called with 0. */
  onReady(readiness: number): void {
    this.#flags &= ~QUEUED;
    if (this.#flags & CONNECTING && !this.#finishConnect(readiness)) return;
    if (readiness & Readiness.WRITABLE) this.#flushOutbox();
    if (readiness & ~Readiness.WRITABLE) this.#flags |= READABLE;
    if (readiness & Readiness.READ_CLOSED) this.#flags |= READ_CLOSED;
    if (this.#flags & CLOSED) return;
    if (readiness & Readiness.ERROR) return this.#failSocket();
    if (this.#flags & READABLE) this.#read();
  }

  /** Ends it because a handler threw `error`, which must not be lost. */
  fail(error: unknown): void {
    const isTold = !(this.#flags & CLOSED) && this.#handlers.error;
    if (!isTold) this.#host.report(error);
    this.#fail(error);
  }

  #fail(error: unknown): void {
    if (this.#flags & (CLOSED | FAILING)) return;
    this.#flags |= FAILING;
    const cause = error instanceof Error ? error : new Error(String(error));
    if (this.runs > 0) this.#host.output.drop(this);
    try {
      this.#handlers.error?.(this, cause);
    } catch (second) {
      this.#host.report(second);
    }
    this.abort();
  }

  #read(): void {
    const { input } = this.#host;
    const stopping = this.#handlers.keepsReading ? STOPPED : UNREADABLE;
    let budget = TURN_READ_BYTES;
    while (!(this.#flags & stopping)) {
      if (this.#flags & CLOSING && !(this.#flags & LINGERING)) return;
      const { bytes, offset } = this.target ?? input;
      const room = bytes.byteLength - offset;
      const count = this.#stream.tryRead(bytes, offset, room);
      if (count <= 0) return this.#stopReading(count);
      // A short read means drained: what comes later is a new event. After
      // the peer's end there is none, so that is read for.
      const drained = count < room && !(this.#flags & READ_CLOSED);
      if (drained) this.#flags &= ~READABLE;
      if (!(this.#flags & LINGERING)) {
        this.#handlers.data(this, bytes, offset, offset + count);
      }
      if (drained) return;
      budget -= count;
      if (budget <= 0) return this.#requeue();
    }
  }

  /** Acts on a read that brought nothing: the end, an error, or not yet. */
  #stopReading(count: number): void {
    this.#flags &= ~READABLE;
    if (count === WOULD_BLOCK) return;
    if (count < 0) return this.#failNative(count);
    this.#flags |= ENDED;
    if (this.#flags & LINGERING) {
      // What is unsent still has to go, to a peer that may well be reading.
      if (this.#flags & WRITE_ENDED) this.#destroy();
      return;
    }
    if (this.#handlers.end === undefined) return this.close();
    this.#handlers.end(this);
    if (this.#flags & WRITE_ENDED) this.#destroy();
  }

  #finishConnect(readiness: number): boolean {
    if (!(readiness & ~Readiness.READABLE)) {
      // Told of in two events, of which this one does not come again.
      if (readiness !== 0) this.#flags |= READABLE;
      return false;
    }
    const error = this.#stream.takeError();
    this.#flags &= ~CONNECTING;
    if (error !== undefined) {
      this.#fail(error);
      return false;
    }
    this.#flags |= WANTS_WRITABLE;
    this.opened();
    if (this.#flags & WRITE_ENDING && this.#outbox === undefined) {
      this.#endWriting();
    }
    return !this.isClosed;
  }

  #flushOutbox(): void {
    const outbox = this.#outbox;
    if (outbox === undefined) return;
    while (outbox.byteLength > 0) {
      const { chunk, offset } = outbox;
      const wanted = chunk.byteLength - offset;
      const sent = this.#stream.tryWrite(chunk, offset, wanted);
      if (sent < 0 && sent !== WOULD_BLOCK) return this.#failNative(sent);
      if (sent > 0) outbox.shift(sent);
      if (sent < wanted) break;
    }
    if (outbox.byteLength === 0) this.#outbox = undefined;
    if (this.#flags & CONGESTED && outbox.byteLength <= LOW_WATER_BYTES) {
      this.#relieve();
    }
    if (this.#outbox !== undefined || this.#flags & CLOSED) return;
    if (this.#flags & WRITE_ENDING) this.#endWriting();
    if (this.#flags & CLOSING) this.#destroy();
  }

  #relieve(): void {
    this.#flags &= ~CONGESTED;
    if (this.#flags & READABLE) this.#requeue();
    this.#handlers.drain?.(this);
  }

  #wantWritable(): void {
    if (this.bufferedBytes >= HIGH_WATER_BYTES) this.#flags |= CONGESTED;
    if (this.#flags & WANTS_WRITABLE) return;
    // Stays registered: one call a connection, not two a partial write.
    this.#flags |= WANTS_WRITABLE;
    this.#host.reregister(
      this as Connection,
      Interest.READABLE | Interest.WRITABLE,
    );
  }

  #endWriting(): void {
    this.#flags = this.#flags & ~WRITE_ENDING | WRITE_ENDED;
    if (this.#flags & LINGERING) this.#startLinger();
    // The peer may be gone already, which the next read tells.
    try {
      this.#stream.shutdown("write");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotConnected)) throw error;
    }
    if (this.#flags & ENDED) this.#destroy();
  }

  /** Begins when all is sent: a slow reader has all the time it needs. */
  #startLinger(): void {
    this.#linger = this.#host.setTimer(LINGER_MS, () => this.#destroy());
  }

  #requeue(): void {
    if (this.#flags & (QUEUED | CLOSED)) return;
    this.#flags |= QUEUED;
    this.#host.requeue(this as Connection);
  }

  #flushOutput(): void {
    if (this.runs > 0) this.#host.output.flushFor(this);
  }

  #failSocket(): void {
    this.#fail(
      this.#stream.takeError() ??
        new Deno.errors.ConnectionReset("The connection was reset"),
    );
  }

  #failNative(code: number): void {
    this.#fail(errorFrom(-code, "use the connection"));
  }

  #destroy(): void {
    if (this.#flags & CLOSED) return;
    this.#flags |= CLOSED;
    this.#outbox = undefined;
    if (this.runs > 0) this.#host.output.drop(this);
    if (this.#linger !== undefined) this.#host.clearTimer(this.#linger);
    this.#host.forget(this as Connection, this.isRefed);
    try {
      this.#handlers.close?.(this);
    } catch (error) {
      this.#host.report(error);
    }
    // Last: a handler may still ask for the addresses, as a log does.
    this.#stream.close();
  }
}
