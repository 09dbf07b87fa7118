/**
 * One connection, TCP or Unix: the read, write and close state machine.
 *
 * Reads until the system has no more, hands the bytes over in the shared
 * buffer, and stops reading from a peer who does not read. Nothing here knows
 * a protocol.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { errorFrom, WOULD_BLOCK } from "../native/errors.ts";
import { Readiness } from "../poll/events.ts";
import { Interest, type InterestSet } from "../poll/interest.ts";
import type { StreamAddress } from "../net/address.ts";
import type { Protocol } from "../stream/protocol.ts";
import type { Transport } from "../stream/transport.ts";
import { BUFFERS_MAX, checkRange } from "../net/transfer.ts";
import { ByteQueue } from "../bytes/byte_queue.ts";
import { requireNumber } from "../base/checks.ts";
import type { ReadBuffer, WriteBuffer } from "../bytes/buffers.ts";
import type { CloseReason, TimeoutReason } from "../stream/close_reason.ts";
import {
  type Limits,
  TIMEOUT_MS_MAX,
  type Timeouts,
  type TimeoutSet,
  timeoutsOf,
} from "./limits.ts";
import type { AnyListener as Listener } from "./listener.ts";
import type { Look } from "./memory.ts";
import { Outbox, type OutboxHost } from "../bytes/outbox.ts";
import { Moved } from "./sweep.ts";
import { limitUnacked } from "../system/stream_options.ts";
import type { StreamSocket } from "../system/system.ts";
import type { Timer } from "./timers.ts";

/**
 * How long a closing connection waits for its peer to send more, or its end,
 * after the last bytes: nginx's `lingering_timeout`.
 */
const LINGER_MS = 5_000;
/**
 * How long a closing connection is read at the most: nginx's `lingering_time`.
 * It is counted from when all is sent.
 */
const LINGER_MS_MAX = 30_000;
/** How often it is asked for what was delivered: Linux acknowledges in 40 ms. */
const DELIVERY_MS = 20;

/**
 * Writes up to this length are collected: copying them costs less than a call
 * into native code and the system each.
 */
const COLLECTED_BYTES_MAX = 2_048;
/**
 * Up to this length a loop copies, at 0.8 nanoseconds a byte: `set` takes 38 in
 * all, and leaves the object of a `subarray` behind.
 */
const LOOP_BYTES_MAX = 64;

/** Parts of a vectored write: before them goes what is in the shared buffer. */
const PARTS_MAX = BUFFERS_MAX - 1;

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
/** Bytes came since the sweep was here. */
const HEARD = 1 << 15;
/** Bytes went since the sweep was here. */
const SPOKEN = 1 << 16;
/** Reading went on after a pause since the sweep was here. */
const RESUMED = 1 << 17;
/** Its handlers know that the peer's end is there. */
const FORETOLD = 1 << 18;
/** What was read for it while it was paused is kept. */
const UNREAD = 1 << 19;
/** Nothing can be sent any more. What has come is read, then it fails. */
const BROKEN = 1 << 20;
/** Bytes have been sent, of which the peer's side may lack some. */
const HAS_SENT = 1 << 21;
/** An urgent byte is there: a read ends at it, although more waits. */
const MARKED = 1 << 22;
/** Its poll cannot tell that, so any read may have ended at one. */
const UNMARKED = 1 << 23;

/** A short read does not mean that no more waits. */
const READS_ON = READ_CLOSED | MARKED | UNMARKED;
/** Nothing is read: stopped, or over. */
const STOPPED = PAUSED | ENDED | CLOSED;
/** The same, or the peer does not read either. */
const UNREADABLE = STOPPED | CONGESTED;
/** Nothing would be read now, whatever came. */
const DEAF = PAUSED | ENDED | CONGESTED | CONNECTING;
/** What is looked at to tell of an end that is not read yet. */
const END_FLAGS = READ_CLOSED | ENDED | FORETOLD | QUEUED | CLOSED;
/** Not what is read together with others: not now, or not only. */
const READS_ALONE = UNREADABLE | READS_ON | CLOSING | CONNECTING | QUEUED |
  UNREAD;
/** What was read for it together with others may not be for it to act on. */
const INTERRUPTED = STOPPED | CLOSING | UNREAD;
/** Nothing can be written any more. */
const UNWRITABLE = WRITE_ENDING | WRITE_ENDED | CLOSING | CLOSED | BROKEN;

/** What reading asks a poll for: urgent bytes stop a read. */
export const READING: InterestSet = Interest.READABLE | Interest.PRIORITY;

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
export interface ConnectionHandlers<Data = unknown>
  extends Protocol<Data, Connection<Data>> {
  /**
   * Nobody can be accepted: descriptors or memory are short. Close connections
   * that can be spared; accepting goes on when one has closed.
   */
  shortage?(): void;
}

/** What connections have in common that came the same way: never changed. */
export interface Origin<Data = unknown> {
  /** What happens on them. */
  readonly handlers: ConnectionHandlers<Data>;
  /** The listener that accepted them, if one did. */
  readonly listener: Listener | undefined;
  /** What bounds them. */
  readonly limits: Limits;
}

/** What few connections have at a time, so that it is no part of each. */
interface Rare {
  /** Memory that its user keeps, and looks that have found no change of it. */
  heldBytes: number;
  heldLooks: number;
  /** Ends the lingering close. */
  linger: Timer | undefined;
  /** Until when the lingering close lasts at the most. */
  lingerUntilMs: number;
  /** When bytes were last read that are thrown away. */
  lingerReadMs: number;
  /** Whether the lingering close ends when the peer's side has all. */
  endsDelivered: boolean;
  /** Why nothing can be sent. */
  error: Error | undefined;
}

/** What a connection needs of its reactor. */
export interface ConnectionHost extends OutboxHost {
  /** Where reads go. */
  readonly input: ReadBuffer;
  /** Where answers are serialised. */
  readonly output: WriteBuffer;
  /** Whether its poll cannot tell of urgent bytes. */
  readonly lacksPriority: boolean;
  /** Whether the loop runs, and sends what is in the write buffer soon. */
  readonly isFresh: boolean;
  /** Calls that read, of all connections. */
  reads: number;
  /** Bytes that were read. */
  bytesIn: number;
  /** What was read for connections while they were paused. */
  readonly unread: Map<unknown, ByteQueue>;
  /** Whether connections hold more memory than they may. */
  readonly isOverfull: boolean;
  /** Has `relieve` be called, once, when they hold less. */
  awaitMemory(connection: Connection): void;
  /** Counts a call that wrote, and the bytes that the system took. */
  wrote(bytes: number): void;
  /** Watches a connection's `timeouts`, which are new. */
  watch(connection: Connection): void;
  /** Sets, or with infinity clears, a connection's deadline. */
  setDeadline(connection: Connection, delayMs: number): void;
  /** Since when a watched connection is quiet, as of the sweep's last pass. */
  quietSinceMs(connection: Connection): number;
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
  forget(connection: Connection, reason: CloseReason): void;
  /** Counts a connection that no longer, or again, keeps the process alive. */
  countRef(delta: number): void;
  /** Says that `error` was thrown where nobody else can catch it. */
  report(error: unknown): void;
}

/** A connection on a reactor. */
export class Connection<Data = unknown> implements Transport<Data> {
  /** The user's own data; `undefined` until it is set. */
  data: Data = undefined as Data;
  /** The reactor's token for it. */
  token = 0;
  /** Where the next read goes; the shared buffer when there is none. */
  target: ReadTarget | undefined = undefined;
  /** Runs of bytes in the shared write buffer, which keeps count. */
  runs = 0;
  readonly #host: ConnectionHost;
  readonly #stream: StreamSocket;
  #origin: Origin<Data>;
  #outbox: Outbox | undefined = undefined;
  #rare: Rare | undefined = undefined;
  #flags: number;

  /** Made by the reactor's `listen` and `connect`. */
  constructor(
    host: ConnectionHost,
    stream: StreamSocket,
    origin: Origin<Data>,
  ) {
    this.#host = host;
    this.#stream = stream;
    this.#origin = origin;
    const refed = origin.listener === undefined || origin.listener.isRefed;
    this.#flags = (origin.listener === undefined ? CONNECTING : 0) |
      (refed ? 0 : UNREFED) | (host.lacksPriority ? UNMARKED : 0);
  }

  /** The listener that accepted it. */
  get listener(): Listener | undefined {
    return this.#origin.listener;
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

  /**
   * Whether the peer is known to send no more than what has come: its end was
   * read, or the system has told of it.
   */
  get peerHasEnded(): boolean {
    return (this.#flags & (READ_CLOSED | ENDED)) !== 0;
  }

  /** Bytes that the system has not taken yet. */
  get bufferedBytes(): number {
    return this.#outbox === undefined ? 0 : this.#outbox.byteLength;
  }

  /**
   * Memory, in bytes, that its user takes for what was read, to act on later:
   * it counts towards the reactor's `memoryBytesMax`. The reactor cannot see
   * it; set it whenever that changes, or something was added without a change:
   * a connection that is set moves.
   *
   * @throws {RangeError} when set to what is not 0 or more, or is infinite.
   * @throws {TypeError} when set to what is no number.
   */
  get heldBytes(): number {
    return this.#rare?.heldBytes ?? 0;
  }

  /** Says how much memory is taken. */
  set heldBytes(bytes: number) {
    if (!(bytes >= 0 && bytes < Infinity)) {
      throw new RangeError(
        `Cannot hold "${bytes}" bytes: it must be 0 or more, and finite`,
      );
    }
    requireNumber("heldBytes", bytes);
    const before = this.heldBytes;
    if (this.#flags & CLOSED || bytes === 0 && before === 0) return;
    if (bytes !== before) this.#host.countMemory(bytes - before);
    const rare = this.#ensureRare();
    rare.heldBytes = bytes;
    rare.heldLooks = 0;
  }

  /** Whether the reactor's connections hold more than its `memoryBytesMax`. */
  get isOverfull(): boolean {
    return this.#host.isOverfull;
  }

  /** Has `drain` be called, once, when they hold less than that again. */
  awaitRoom(): void {
    if (!(this.#flags & CLOSED)) this.#host.awaitMemory(this as Connection);
  }

  /** Tells that connections hold less memory: for the reactor. */
  relieve(): void {
    this.#origin.handlers.drain?.(this);
  }

  #ensureRare(): Rare {
    return this.#rare ??= {
      heldBytes: 0,
      heldLooks: 0,
      linger: undefined,
      lingerUntilMs: 0,
      endsDelivered: false,
      lingerReadMs: 0,
      error: undefined,
    };
  }

  /** How long it may take; nothing when that is without limit. */
  get timeouts(): TimeoutSet | undefined {
    return this.#origin.limits.timeouts;
  }

  /**
   * Since when, on the reactor's clock, its unsent bytes have become no fewer;
   * infinity when there are none.
   */
  get unsentSinceMs(): number {
    return this.#outbox === undefined ? Infinity : this.#outbox.sinceMs;
  }

  /**
   * Looks whether anything has moved since the last look: for the reactor, when
   * memory is short. Asks the system what the peer's side has acknowledged.
   */
  look(): Look {
    const outbox = this.#outbox;
    const unsentLooks = outbox?.look(this.#unackedBytes()) ?? 0;
    const unread = this.#flags & UNREAD
      ? this.#host.unread.get(this)
      : undefined;
    const heldBytes = this.heldBytes + (unread?.memoryBytes ?? 0);
    const heldLooks = heldBytes > 0 ? this.#ensureRare().heldLooks++ : 0;
    return { unsentLooks, heldLooks, heldBytes };
  }

  #unackedBytes(): number | undefined {
    try {
      return this.#stream.unackedBytes;
    } catch {
      return undefined;
    }
  }

  /** The other end's address; a Unix client's has an empty path. */
  get remoteAddress(): StreamAddress {
    return this.#stream.peerAddress;
  }

  /** A number for the network that the peer is in: see `TcpStream.peerKey`. */
  get peerKey(): number {
    return this.#stream.peerKey;
  }

  /**
   * Since when, on the reactor's clock, no byte has come or gone, as far as is
   * known: it may have been as much later as a timeout may be late. Now, when
   * it has no {@linkcode Timeouts}: only they have it looked at.
   */
  get quietSinceMs(): number {
    if (this.#flags & (HEARD | SPOKEN)) return this.#host.nowMs;
    return this.#host.quietSinceMs(this as Connection);
  }

  /** This end's address. */
  get localAddress(): StreamAddress {
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
   * Sends bytes, after all that was written before: many at once, a few with
   * all that is written in this turn, in one system call for them all. What is
   * not sent at once is copied.
   *
   * @returns Whether fewer bytes than the high-water mark wait; after false,
   * wait for `drain`.
   * @throws {RangeError} when `start` or `end` lies outside `bytes`, or is no
   * whole number; nothing is sent then.
   */
  write(
    bytes: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = bytes.byteLength,
  ): boolean {
    const isFew = end - start <= COLLECTED_BYTES_MAX && this.#host.isFresh &&
      this.sendsAtOnce;
    if (isFew && this.#collect(bytes, start, end)) {
      // Making room may have sent what was written before.
      return this.bufferedBytes < this.#origin.limits.highWaterBytes;
    }
    if (!Number.isInteger(start) || !Number.isInteger(end)) {
      throw new RangeError(
        `Cannot write from "${start}" to "${end}": they must be whole numbers`,
      );
    }
    checkRange(bytes, start, end - start);
    if (this.runs > 0) {
      // Together with what is in the shared buffer.
      return this.writeVectored([bytes.subarray(start, end)]);
    }
    this.send(bytes, start, end);
    return this.bufferedBytes < this.#origin.limits.highWaterBytes;
  }

  /** Copies bytes to where answers are serialised, unless there is no room. */
  #collect(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): boolean {
    const size = end - start;
    checkRange(bytes, start, size);
    // Half a byte would put all that others write in the wrong place: `write`
    // refuses it.
    if ((start | 0) !== start || (end | 0) !== end) return false;
    const { output } = this.#host;
    if (!output.reserve(this, size)) return false;
    this.#host.flushSoon();
    const to = output.bytes;
    const at = output.length;
    if (size > LOOP_BYTES_MAX) {
      to.set(bytes.subarray(start, end), at);
    } else {
      for (let index = 0; index < size; index++) {
        to[at + index] = bytes[start + index]!;
      }
    }
    output.length = at + size;
    return true;
  }

  /**
   * Sends one array after the other at once, after all that was written before,
   * in one system call with it. What the system does not take is copied.
   *
   * @param parts Up to seven.
   * @returns Whether fewer bytes than the high-water mark wait; after false,
   * wait for `drain`.
   * @throws {RangeError} when there are more; nothing is sent then.
   * @throws {TypeError} when one of them is no array of bytes; the same.
   */
  writeVectored(parts: readonly Uint8Array<ArrayBuffer>[]): boolean {
    checkParts(parts);
    if (this.runs === 0) this.#sendVectored(parts);
    else this.#sendVectored([this.#host.output.take(this), ...parts]);
    return this.bufferedBytes < this.#origin.limits.highWaterBytes;
  }

  /**
   * Sends bytes that nobody changes any more: what the system does not take is
   * kept as it is, and not copied.
   *
   * @returns As {@linkcode Connection.write}.
   * @throws {TypeError} when `bytes` is no array of bytes; nothing is sent then.
   */
  writeOwned(bytes: Uint8Array<ArrayBuffer>): boolean {
    checkPart(bytes);
    if (this.runs === 0) this.#sendVectored([bytes], bytes);
    else this.#sendVectored([this.#host.output.take(this), bytes], bytes);
    return this.bufferedBytes < this.#origin.limits.highWaterBytes;
  }

  /** Whether bytes may go to its stream at once: for the write buffer. */
  get sendsAtOnce(): boolean {
    return this.#outbox === undefined && (this.#flags & UNWRITABLE) === 0;
  }

  /** Sends bytes, behind the outbox when there is one. */
  send(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    if (this.#flags & UNWRITABLE) return;
    if (this.#outbox === undefined) {
      const count = this.#stream.tryWrite(bytes, start, end - start);
      if (!this.sent(bytes, start, end, count)) this.#breakNative(count);
      return;
    }
    this.#outbox.push(bytes, start, end);
    this.#wantWritable();
  }

  /** Takes note of what sending bytes has given: see `WriteTarget`. */
  sent(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    count: number,
  ): boolean {
    this.#host.wrote(count);
    if (count > 0) this.#flags |= SPOKEN | HAS_SENT;
    if (count === end - start) return true;
    if (count < 0 && count !== WOULD_BLOCK) return false;
    const left = count > 0 ? start + count : start;
    this.#outbox = new Outbox(this.#host);
    this.#outbox.push(bytes, left, end);
    this.#wantWritable();
    return true;
  }

  /** Takes note that sending failed: for the write buffer. */
  failSending(code: number): void {
    this.#breakNative(code);
  }

  /** @param owned That of `parts` which may be kept as it is. */
  #sendVectored(
    parts: readonly Uint8Array<ArrayBuffer>[],
    owned?: Uint8Array<ArrayBuffer>,
  ): void {
    if (this.#flags & UNWRITABLE) return;
    let skipped = 0;
    if (this.#outbox === undefined) {
      const sent = this.#stream.tryWriteVectored(parts);
      this.#host.wrote(sent);
      if (sent < 0 && sent !== WOULD_BLOCK) return this.#breakNative(sent);
      if (sent > 0) this.#flags |= SPOKEN | HAS_SENT;
      skipped = Math.max(0, sent);
    }
    for (const part of parts) {
      const start = Math.min(skipped, part.byteLength);
      skipped -= start;
      if (start === part.byteLength) continue;
      this.#keepUnsent(part, start, part === owned);
    }
    if (this.#outbox !== undefined) this.#wantWritable();
  }

  #keepUnsent(
    part: Uint8Array<ArrayBuffer>,
    start: number,
    isOwned: boolean,
  ): void {
    const outbox = this.#outbox ??= new Outbox(this.#host);
    if (isOwned) outbox.pushOwned(part, start);
    else outbox.push(part, start, part.byteLength);
  }

  /** Stops reading. Bytes that come meanwhile wait in the system. */
  pause(): void {
    this.#flags |= PAUSED;
  }

  /** Goes on reading. */
  resume(): void {
    if (!(this.#flags & PAUSED)) return;
    this.#flags = this.#flags & ~PAUSED | RESUMED;
    if (this.#flags & READABLE) this.#requeue();
  }

  /**
   * Sends what is written and then the end of the stream; reading goes on
   * until the peer's end, which closes the connection.
   */
  closeWrite(): void {
    this.#flushOutput();
    if (!(this.#flags & UNWRITABLE)) this.#endWritingWhenSent();
  }

  #endWritingWhenSent(): void {
    this.#flags |= WRITE_ENDING;
    // Shutting down a socket that still connects would end the connect.
    if (this.#outbox === undefined && !(this.#flags & CONNECTING)) {
      this.#endWriting();
    }
  }

  /**
   * Sends what is written and closes. Where the peer is slower than that, has
   * sent bytes that are unread, or has not acknowledged all, what it still sends
   * is thrown away until it has all, or its end has come, as in
   * {@linkcode Connection.closeLingering}: closing at once would have the system
   * reset the connection and drop what was not delivered.
   */
  close(): void {
    this.#flushOutput();
    if (this.#flags & (CLOSED | CLOSING)) return;
    if (this.#flags & BROKEN) return this.#failBroken();
    this.#flags |= CLOSING;
    if (this.#flags & LINGERING) return;
    const isSent = this.#outbox === undefined;
    if (isSent && !this.#mustLinger()) this.#destroy(this.#ownReason());
    else this.#linger();
  }

  /**
   * Sends what is written, then the end of the stream, and closes when the
   * peer has read it: closing over bytes that we did not read would reset the
   * connection and destroy the answer (RFC 9112 section 9.6). What the peer
   * sends meanwhile is thrown away, for five seconds between two reads and for
   * thirty in all.
   */
  closeLingering(): void {
    this.#flushOutput();
    if (this.#flags & (ENDED | BROKEN)) return this.close();
    if (this.#flags & CLOSED) return;
    this.#flags &= ~CLOSING;
    if (!(this.#flags & LINGERING)) this.#linger();
  }

  #linger(): void {
    this.#flags |= LINGERING;
    if (this.#flags & WRITE_ENDED) this.#startLinger();
    else this.#endWritingWhenSent();
    if (this.#flags & CLOSED) return;
    this.resume();
    if (this.#flags & READABLE) this.#requeue();
  }

  /** Whether the peer's side has acknowledged all that was sent. */
  get #isDelivered(): boolean {
    const stream = this.#stream;
    try {
      // A Unix socket delivers what it has, whenever it is closed.
      return !("resetOnClose" in stream && stream.unackedBytes! > 0);
    } catch {
      return true;
    }
  }

  /** Whether closing at once could destroy what was sent. */
  #mustLinger(): boolean {
    if (!(this.#flags & HAS_SENT) || this.#flags & ENDED) return false;
    if (this.#flags & (READABLE | UNREAD)) return true;
    const stream = this.#stream;
    try {
      // A Unix socket delivers what it has, whenever it is closed.
      return stream.unreadBytes! > 0 ||
        "resetOnClose" in stream && stream.unackedBytes! > 0;
    } catch {
      return false;
    }
  }

  /**
   * Closes at once and resets the peer; nothing more is sent. A Unix peer reads
   * what was sent before, then the end or a reset.
   */
  abort(): void {
    this.#reset("aborted");
  }

  /**
   * Has it close when it takes too long from now on, instead of what was set
   * before; `undefined` lets it take all the time.
   *
   * Costs an object. For what changes with every message there is
   * {@linkcode Connection.setDeadline}, and the handler `timeout`.
   *
   * @throws {RangeError} when one is out of its range.
   */
  setTimeouts(timeouts: Timeouts | undefined): void {
    const checked = timeoutsOf(timeouts);
    if (this.#flags & CLOSED) return;
    const writeMs = checked?.writeMs ?? Infinity;
    if (writeMs !== (this.timeouts?.writeMs ?? Infinity)) {
      limitUnacked(this.#stream, writeMs);
    }
    const limits = { ...this.#origin.limits, timeouts: checked };
    this.#origin = { ...this.#origin, limits };
    // What moved before was in another time.
    this.#flags &= ~(HEARD | SPOKEN | RESUMED);
    this.#host.watch(this as Connection);
  }

  /**
   * Has it close, or the handler `timeout` be called, once, `delayMs` from now,
   * whatever moves until then: as for a message that must be whole by then. The
   * next call replaces it, and `Infinity` clears it.
   *
   * Never early, and late by fifty milliseconds at the most, and by a turn for
   * every 4096 connections. Costs a few nanoseconds and no memory.
   *
   * @param delayMs From 0 to 2147483647, or `Infinity`.
   * @throws {RangeError} when it is out of range.
   */
  setDeadline(delayMs: number): void {
    requireNumber("delayMs", delayMs);
    if (!(delayMs >= 0 && delayMs <= TIMEOUT_MS_MAX || delayMs === Infinity)) {
      throw new RangeError(
        `Cannot set a deadline in "${delayMs}" ms: it must be from 0 to ` +
          `${TIMEOUT_MS_MAX}, or Infinity`,
      );
    }
    if (this.#flags & CLOSED) return;
    this.#host.setDeadline(this as Connection, delayMs);
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

  /**
   * Checks that its flags agree with one another and with what it has. For tests
   * and the simulator.
   *
   * @throws {InvariantError} when they do not.
   */
  audit(): void {
    const flags = this.#flags;
    const has = (some: number) => (flags & some) !== 0;
    assert(!(has(WRITE_ENDING) && has(WRITE_ENDED)), "a half ends once");
    assert(!(has(CONNECTING) && has(ENDED)), "what connects has no end");
    assert(!(has(BROKEN) && has(CONGESTED)), "what is broken waits for nobody");
    assert(
      has(UNREAD) === this.#host.unread.has(this),
      "what is kept for it is known",
    );
    const { bufferedBytes } = this;
    assert(
      this.#outbox === undefined || bufferedBytes > 0 || has(FAILING),
      "an outbox has bytes",
    );
    if (has(CLOSED)) {
      assert(this.#outbox === undefined, "what is closed owes nothing");
      assert(this.runs === 0, "what is closed has nothing in the log");
    }
    this.#host.output.audit();
  }

  /** Tells the handlers that it is open. */
  opened(): void {
    this.#origin.handlers.open?.(this);
  }

  /** Acts on readiness; a requeued connection is called with 0. */
  onReady(readiness: number): void {
    this.#flags &= ~QUEUED;
    if (this.#flags & CONNECTING && !this.#finishConnect(readiness)) return;
    if (readiness & Readiness.ERROR) this.#breakSocket();
    else if (readiness & Readiness.WRITABLE) this.#flushOutbox();
    if (readiness & ~Readiness.WRITABLE) this.#flags |= READABLE;
    if (readiness & Readiness.READ_CLOSED) this.#flags |= READ_CLOSED;
    if (readiness & Readiness.PRIORITY) this.#flags |= MARKED;
    if (this.#flags & CLOSED) return;
    if (this.#flags & READABLE) this.#read();
    if ((this.#flags & END_FLAGS) === READ_CLOSED) this.#foretell();
  }

  /**
   * Closes one that has told all that it had read, and owes the peer nothing:
   * our end is sent, and the connection closes when the peer's side has all, at
   * once as a rule. What comes later is answered with a reset, behind the end
   * that the peer reads first. Never call it while bytes are told.
   */
  closeIdle(): void {
    if (this.#flags & CLOSED) return;
    const isDelivered = this.#isDelivered;
    this.#ensureRare().endsDelivered = true;
    // What crosses our end is not told: nothing could be answered.
    this.closeLingering();
    const isRead = this.readNow() === 0 && this.#outbox === undefined;
    if (isRead && isDelivered) this.#destroy(this.#ownReason());
  }

  /**
   * Reads what has come by now, for an owner that would close otherwise. Never
   * call it while bytes are told: it reads over those of the shared buffer.
   *
   * @returns How many bytes came.
   */
  readNow(): number {
    const before = this.#host.bytesIn;
    try {
      this.onReady(Readiness.READABLE);
    } catch (error) {
      this.fail(error);
    }
    return this.#host.bytesIn - before;
  }

  /** Whether all it would do, being ready, is to read once: for `Dispatch`. */
  readsOnly(readiness: number): boolean {
    if (readiness & Readiness.WRITABLE && this.#outbox !== undefined) {
      return false;
    }
    return (readiness & ~Readiness.WRITABLE) === Readiness.READABLE &&
      (this.#flags & READS_ALONE) === 0 && this.target === undefined;
  }

  /**
   * Acts on what was read for it together with others: see `Dispatch`.
   *
   * @param room How many bytes could have been read.
   * @returns Whether there may be more to read.
   */
  onRead(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    count: number,
    room: number,
  ): boolean {
    return this.#flags & INTERRUPTED
      ? this.#takeInterrupted(bytes, offset, count, room)
      : this.#take(bytes, offset, count, room);
  }

  /** The same, when who was told before has stopped or closed it meanwhile. */
  #takeInterrupted(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    count: number,
    room: number,
  ): boolean {
    const flags = this.#flags;
    if (flags & (CLOSED | ENDED)) return false;
    const isWaiting = (flags & (PAUSED | UNREAD)) !== 0;
    const isLingering = (flags & LINGERING) !== 0;
    // The system tells of an error only once.
    const hasFailed = count < 0 && count !== WOULD_BLOCK;
    if (hasFailed && flags & UNREAD) this.#breakNative(count);
    else if (hasFailed || isLingering && !isWaiting) {
      return this.#take(bytes, offset, count, room);
    }
    if (flags & CLOSING && !isLingering) return false;
    if (count > 0) this.#keepUnread(bytes, offset, count);
    if (count === 0) {
      // Read again, and told, when all before it was told.
      this.#flags |= READABLE | READ_CLOSED;
      if ((this.#flags & END_FLAGS) === READ_CLOSED) this.#foretell();
    }
    return false;
  }

  /** Returns what has moved since the last call: for the sweep. */
  takeMoved(): number {
    const flags = this.#flags;
    this.#flags = flags & ~(HEARD | SPOKEN | RESUMED);
    return (flags & (HEARD | SPOKEN) ? Moved.ANY : 0) |
      (flags & (HEARD | RESUMED | DEAF) ? Moved.READ : 0);
  }

  /** Ends it because it took too long, or asks the handler: for the sweep. */
  expire(reason: TimeoutReason): void {
    const isOurs = (this.#flags & (CLOSING | LINGERING)) !== 0;
    try {
      if (this.#origin.handlers.timeout === undefined || isOurs) {
        this.evict(reason);
      } else {
        this.#origin.handlers.timeout(this, reason);
      }
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Closes it at once. A peer that is owed bytes is reset, or it would take
   * what has come for all.
   */
  evict(reason: TimeoutReason | "shed"): void {
    if (this.#outbox !== undefined) this.#reset(reason);
    else this.#destroy(reason);
  }

  /** Ends it because a handler threw `error`, which must not be lost. */
  fail(error: unknown): void {
    const isTold = !(this.#flags & CLOSED) && this.#origin.handlers.error;
    if (!isTold) this.#host.report(error);
    try {
      this.#fail(error);
    } catch (second) {
      this.#host.report(second);
    }
  }

  /** Ends it because of `error`, or as `abort` does when there is none. */
  endBecauseOf(error: unknown): void {
    if (error === undefined) this.abort();
    else this.#fail(error);
  }

  #fail(error: unknown): void {
    if (this.#flags & (CLOSED | FAILING)) return;
    this.#flags |= FAILING;
    const cause = error instanceof Error ? error : new Error(String(error));
    if (this.runs > 0) this.#host.output.drop(this);
    try {
      this.#origin.handlers.error?.(this, cause);
    } catch (second) {
      this.#host.report(second);
    }
    this.#reset("error");
  }

  #read(): void {
    const host = this.#host;
    const { input } = host;
    const readsOn = this.#origin.handlers.keepsReading ||
      (this.#flags & LINGERING) !== 0;
    const stopping = readsOn ? STOPPED : UNREADABLE;
    let budget = this.#origin.limits.turnReadBytes;
    while (!(this.#flags & stopping)) {
      if (this.#flags & CLOSING && !(this.#flags & LINGERING)) return;
      const { bytes, offset } = this.target ?? input;
      const room = bytes.byteLength - offset;
      if (this.#flags & UNREAD) {
        budget -= this.#takeUnread(bytes, offset, room);
      } else {
        const count = this.#stream.tryRead(bytes, offset, room);
        host.reads++;
        if (!this.#take(bytes, offset, count, room)) return;
        budget -= count;
      }
      if (budget <= 0) return this.#requeue();
    }
  }

  /** Acts on what a read gave, and returns whether there may be more. */
  #take(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    count: number,
    room: number,
  ): boolean {
    if (count <= 0) {
      this.#stopReading(count);
      return false;
    }
    // A short read means drained: what comes later is a new event. After the
    // peer's end there is none, so that is read for; and an urgent byte ends a
    // read before the rest, of which nothing tells.
    const drained = count < room && !(this.#flags & READS_ON);
    this.#flags = (drained ? this.#flags & ~READABLE : this.#flags | READABLE) |
      HEARD;
    this.#host.bytesIn += count;
    this.#tell(bytes, offset, count);
    return !drained;
  }

  #tell(bytes: Uint8Array<ArrayBuffer>, offset: number, count: number): void {
    if (this.#flags & LINGERING) {
      const rare = this.#rare;
      if (rare === undefined) return;
      rare.lingerReadMs = this.#host.nowMs;
      // A peer that still sends has not read the end.
      rare.endsDelivered = false;
      return;
    }
    this.#origin.handlers.data(this, bytes, offset, offset + count);
  }

  /** Keeps what was read until it is told of it, when it goes on. */
  #keepUnread(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    count: number,
  ): void {
    const host = this.#host;
    host.bytesIn += count;
    // There are some already when two events of one batch were of it.
    const kept = host.unread.get(this) ?? new ByteQueue();
    const before = kept.memoryBytes;
    kept.push(bytes, offset, offset + count);
    host.countMemory(kept.memoryBytes - before);
    host.unread.set(this, kept);
    this.#flags |= UNREAD | READABLE | HEARD;
  }

  /** Tells what was kept, as far as there is room; returns how much. */
  #takeUnread(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    room: number,
  ): number {
    const { unread } = this.#host;
    const kept = unread.get(this)!;
    const before = kept.memoryBytes;
    // By the buffer that reads go to, which whoever is told may retain.
    const to = bytes.subarray(offset, offset + room);
    const count = kept.moveTo(to);
    this.#host.countMemory(kept.memoryBytes - before);
    if (kept.byteLength === 0) {
      this.#flags &= ~UNREAD;
      unread.delete(this);
    }
    this.#tell(bytes, offset, count);
    return count;
  }

  #dropUnread(): void {
    const { unread } = this.#host;
    this.#host.countMemory(-unread.get(this)!.memoryBytes);
    this.#flags &= ~UNREAD;
    unread.delete(this);
  }

  /** Acts on a read that brought nothing: the end, an error, or not yet. */
  #stopReading(count: number): void {
    this.#flags &= ~(READABLE | MARKED);
    if (this.#flags & BROKEN) return this.#failBroken();
    if (count === WOULD_BLOCK) return;
    if (count < 0) return this.#failNative(count);
    this.#flags |= ENDED;
    if (this.#flags & LINGERING) {
      // What is unsent still has to go, to a peer that may well be reading.
      if (this.#flags & WRITE_ENDED) this.#destroy("closed");
      return;
    }
    if (this.#origin.handlers.end === undefined) return this.close();
    this.#origin.handlers.end(this);
    if (this.#flags & WRITE_ENDED) this.#destroy("ended");
  }

  /** Tells of an end that will not be read for now. */
  #foretell(): void {
    this.#flags |= FORETOLD;
    if (!(this.#flags & (CLOSING | LINGERING))) {
      this.#origin.handlers.ending?.(this);
    }
  }

  #finishConnect(readiness: number): boolean {
    if (!(readiness & ~Readiness.READABLE)) {
      // Told of in two events, of which this one does not come again.
      if (readiness !== 0) this.#flags |= READABLE;
      return false;
    }
    const error = this.#stream.takeError();
    this.#flags &= ~CONNECTING;
    // One that was reset after it had connected has what came before that.
    if (error !== undefined && !(this.#stream.unreadBytes! > 0)) {
      this.#fail(error);
      return false;
    }
    this.#flags |= WANTS_WRITABLE;
    const writeMs = this.timeouts?.writeMs ?? Infinity;
    // Not before: it would bound the connect as well.
    if (writeMs !== Infinity) limitUnacked(this.#stream, writeMs);
    this.opened();
    if (this.#flags & CLOSED) return false;
    if (this.#flags & WRITE_ENDING && this.#outbox === undefined) {
      this.#endWriting();
    }
    return !this.isClosed;
  }

  #flushOutbox(): void {
    const outbox = this.#outbox;
    if (outbox === undefined) return;
    while (outbox.byteLength > 0) {
      const views = outbox.views;
      const wanted = views.reduce((sum, view) => sum + view.byteLength, 0);
      const sent = this.#stream.tryWriteVectored(views);
      this.#host.wrote(sent);
      if (sent < 0 && sent !== WOULD_BLOCK) return this.#breakNative(sent);
      if (sent > 0) {
        outbox.shift(sent);
        this.#flags |= SPOKEN | HAS_SENT;
      }
      if (sent < wanted) break;
    }
    if (outbox.byteLength === 0) this.#outbox = undefined;
    const { lowWaterBytes } = this.#origin.limits;
    if (this.#flags & CONGESTED && outbox.byteLength <= lowWaterBytes) {
      this.#decongest();
    }
    if (this.#outbox !== undefined || this.#flags & CLOSED) return;
    if (this.#flags & WRITE_ENDING) this.#endWriting();
  }

  #decongest(): void {
    this.#flags = this.#flags & ~CONGESTED | RESUMED;
    if (this.#flags & READABLE) this.#requeue();
    this.#origin.handlers.drain?.(this);
  }

  #wantWritable(): void {
    if (this.bufferedBytes >= this.#origin.limits.highWaterBytes) {
      this.#flags |= CONGESTED;
    }
    // What connects asks for it anyway.
    if (this.#flags & (WANTS_WRITABLE | CONNECTING)) return;
    // Stays registered: one call a connection, not two a partial write.
    this.#flags |= WANTS_WRITABLE;
    try {
      this.#host.reregister(this as Connection, READING | Interest.WRITABLE);
    } catch (error) {
      // What is unsent would never leave. Calls nobody: see `sent`.
      this.#noteBroken(error as Error);
      this.#requeue();
    }
  }

  #endWriting(): void {
    if (this.#flags & CLOSING && !this.#mustLinger()) {
      return this.#destroy(this.#ownReason());
    }
    this.#flags = this.#flags & ~WRITE_ENDING | WRITE_ENDED;
    if (this.#flags & LINGERING) this.#startLinger();
    try {
      this.#stream.shutdown("write");
    } catch {
      // The peer has gone, by whatever error: the next read tells.
    }
    if (this.#flags & ENDED) this.#destroy("ended");
  }

  /** Begins when all is sent: a slow reader has all the time it needs. */
  #startLinger(): void {
    const rare = this.#ensureRare();
    rare.lingerReadMs = this.#host.nowMs;
    rare.lingerUntilMs = rare.lingerReadMs + LINGER_MS_MAX;
    this.#lingerOn(rare, rare.endsDelivered ? DELIVERY_MS : LINGER_MS);
  }

  /** Waits, as long as the peer goes on sending. */
  #lingerOn(rare: Rare, delayMs: number): void {
    rare.linger = this.#host.setTimer(delayMs, () => {
      const { nowMs } = this.#host;
      const untilMs = Math.min(
        rare.lingerReadMs + LINGER_MS,
        rare.lingerUntilMs,
      );
      const { endsDelivered } = rare;
      if (nowMs >= untilMs || endsDelivered && this.#isDelivered) {
        return this.#destroy("closed");
      }
      const leftMs = untilMs - nowMs;
      this.#lingerOn(rare, endsDelivered ? DELIVERY_MS : leftMs);
    });
  }

  #requeue(): void {
    if (this.#flags & (QUEUED | CLOSED)) return;
    this.#flags |= QUEUED;
    this.#host.requeue(this as Connection);
  }

  #flushOutput(): void {
    if (this.runs > 0) this.#host.output.flushFor(this);
  }

  /**
   * Takes note that nothing can be sent any more. Reads on, unless its user has
   * stopped that, to what the system says behind the last byte.
   *
   * @param error Why.
   */
  #break(error: Error): void {
    if (this.#flags & (CLOSED | BROKEN)) return;
    this.#noteBroken(error);
    if (this.#flags & CLOSING) return this.#failBroken();
    if (this.#flags & LINGERING) return this.#destroy("closed");
    if (this.#flags & STOPPED && this.#isAllRead) return this.#failBroken();
    this.#requeue();
    try {
      this.#origin.handlers.broken?.(this, error);
    } catch (second) {
      this.fail(second);
    }
  }

  #noteBroken(error: Error): void {
    this.#flags = this.#flags & ~(CONGESTED | WRITE_ENDING) |
      BROKEN | READ_CLOSED | READABLE;
    this.#ensureRare().error = error;
    this.#dropUnsent();
  }

  /** Whether all that has come is known to be read. */
  get #isAllRead(): boolean {
    if (this.#flags & ENDED) return true;
    return (this.#flags & UNREAD) === 0 && this.#stream.unreadBytes === 0;
  }

  #breakSocket(): void {
    this.#break(
      this.#stream.takeError() ??
        new Deno.errors.ConnectionReset("The connection was reset"),
    );
  }

  #breakNative(code: number): void {
    this.#break(errorFrom(-code, "use the connection"));
  }

  /** Ends it, since all that had come before it broke was told. */
  #failBroken(): void {
    this.#fail(this.#rare!.error);
  }

  #failNative(code: number): void {
    this.#fail(errorFrom(-code, "use the connection"));
  }

  /** Forgets what waits to be sent. */
  #dropUnsent(): void {
    this.#outbox?.clear();
    this.#outbox = undefined;
    if (this.runs > 0) this.#host.output.drop(this);
  }

  /** Why it closes when nobody else said so: who came first, the peer or we. */
  #ownReason(): CloseReason {
    return this.#flags & ENDED && !(this.#flags & LINGERING)
      ? "ended"
      : "closed";
  }

  /** Closes at once, so that the peer sees an error. */
  #reset(reason: CloseReason): void {
    if (this.#flags & CLOSED) return;
    try {
      this.#stream.resetOnClose = true;
    } catch {
      // macOS refuses options of a socket that is reset already.
    }
    this.#destroy(reason);
  }

  #destroy(reason: CloseReason): void {
    if (this.#flags & CLOSED) return;
    const host = this.#host;
    try {
      this.#release();
      host.forget(this as Connection, reason);
    } finally {
      try {
        this.#origin.handlers.close?.(this, reason);
      } catch (error) {
        host.report(error);
      } finally {
        // Last: a handler may still ask for the addresses, as a log does.
        this.#stream.close();
      }
    }
  }

  /** Lets go of what it holds. */
  #release(): void {
    const host = this.#host;
    this.#dropUnsent();
    host.countMemory(-this.heldBytes);
    if (this.#flags & UNREAD) this.#dropUnread();
    this.#flags |= CLOSED;
    const linger = this.#rare?.linger;
    this.#rare = undefined;
    if (linger !== undefined) host.clearTimer(linger);
  }
}

/**
 * Throws when the parts cannot be sent: before what is in the shared buffer is
 * taken out to be sent with them, or that would be lost.
 */
function checkParts(parts: readonly Uint8Array[]): void {
  if (parts.length > PARTS_MAX) {
    throw new RangeError(
      `Cannot write "${parts.length}" parts at once: there may be ${PARTS_MAX}`,
    );
  }
  for (let index = 0; index < parts.length; index++) checkPart(parts[index]!);
}

function checkPart(part: Uint8Array): void {
  if (part instanceof Uint8Array) return;
  throw new TypeError(
    `Cannot write "${String(part)}": it must be a Uint8Array`,
  );
}
