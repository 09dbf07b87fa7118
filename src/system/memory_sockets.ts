/**
 * Sockets in memory: the reactor's methods on one side, the peer's methods on
 * the other, the kernel's buffers between them, and the policy that decides the
 * results of calls.
 *
 * @module
 */

import {
  errnoName,
  errnoNumber,
  errorFrom,
  WOULD_BLOCK,
} from "../native/errors.ts";
import { ByteQueue } from "../bytes/byte_queue.ts";
import type { TcpAddress } from "../net/address.ts";
import { ACCEPT_MAX, AcceptBatch } from "../net/listener.ts";
import type { Shutdown } from "../net/stream.ts";
import { BUFFERS_MAX } from "../net/transfer.ts";
import { type Events, Readiness } from "../poll/events.ts";
import type { InterestSet } from "../poll/interest.ts";
import type { Source } from "../poll/registry.ts";
import type { Token } from "../poll/token.ts";
import type { AcceptedBatch, ListenerSocket, StreamSocket } from "./system.ts";

const ECONNRESET = errnoNumber("ECONNRESET");
const EPIPE = errnoNumber("EPIPE");
const READ_END = Readiness.READABLE | Readiness.READ_CLOSED;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** The name of a reactor's call: `stream.tryRead`, `poll.park`. */
export type MemoryCall = `${
  | "poll"
  | "stream"
  | "listener"
  | "batch"}.${string}`;

/**
 * Decides the results of calls of a {@linkcode MemorySystem}. Where a method is
 * left out, or returns `undefined`, the call succeeds.
 */
export interface MemoryPolicy {
  /**
   * Runs when a call begins. An error that it throws is the call's error. It
   * may move the clock, so that the call takes time.
   *
   * @param amount The bytes of a read or a write, or the timeout of a poll or a
   * park in milliseconds.
   */
  call?(
    call: MemoryCall,
    source: MemorySource | undefined,
    amount: number | undefined,
  ): void;
  /**
   * Decides the result of a read for which `most` bytes wait, perhaps 0.
   *
   * @returns The number of bytes that the read returns; 0 is the peer's end. A
   * negative result is an error: `WOULD_BLOCK` or `-errno`. After a result
   * below `most` the stream gets another event.
   */
  read?(stream: MemoryStream, most: number): number | undefined;
  /**
   * Decides how much room a stream of a batch gets, from 1 to `left` bytes; all
   * when left out.
   */
  room?(stream: MemoryStream, left: number): number;
  /**
   * Decides the result of a write with room for `most` bytes, perhaps 0.
   *
   * @returns The number of bytes that the write takes; a negative result is an
   * error, as for a read.
   */
  write?(stream: MemoryStream, most: number): number | undefined;
  /**
   * Runs before a connection is accepted.
   *
   * @returns The errno with which this accept fails; 0 to accept.
   */
  accept?(listener: MemoryListener): number;
  /**
   * Runs when the reactor begins to connect. It must call the stream's
   * `connected()` or `receiveReset()`, now or later. When left out, the stream
   * is connected at once.
   */
  connect?(stream: MemoryStream): void;
  /**
   * Runs when a park is over. Returns whether the system calls `woken` at once,
   * as on Linux. Otherwise, and when left out, the reactor goes on when the
   * park's promise settles.
   */
  wakesAtOnce?(): boolean;
  /** Runs before a poll returns these events, and may change them. */
  events?(events: Events): void;
  /**
   * Runs when the reactor's end resets a stream with `unsent` bytes.
   *
   * @returns How many of these bytes still reach the peer; all when left out.
   */
  reset?(stream: MemoryStream, unsent: number): number;
  /**
   * Runs when the reactor made a wrong call, such as reading a closed stream.
   * The call then throws an error, also when this method is left out.
   */
  misuse?(message: string): void;
  /** Runs for each step of a socket or the system, such as `read 5 of 10`. */
  log?(name: string, step: string): void;
}

/** A socket from the view of its poll. */
export interface MemorySource extends Source {
  /** The number by which it is registered. */
  readonly handle: number;
  /** Its name in messages. */
  readonly name: string;
  /** Its registration, which the poll sets. */
  registration: MemoryRegistration | undefined;
  /** Returns the current bits of `Readiness`. */
  readiness(): number;
}

/** The registration of one source with a poll. */
export interface MemoryRegistration {
  /** The registered source. */
  readonly source: MemorySource;
  /** The poll. */
  readonly poll: MemoryWatch;
  /** The token of the source's events. */
  token: Token;
  /** The readiness that the registration waits for. */
  interest: InterestSet;
  /** Whether the next poll looks at the source. */
  isListed: boolean;
}

/** The methods of a poll that its sockets call. */
export interface MemoryWatch {
  /** Called when some `Readiness` bits of a source have changed. */
  changed(registration: MemoryRegistration, bits: number): void;
  /** Called when a source is closed. */
  forget(registration: MemoryRegistration): void;
}

/** The system to which sockets in memory belong. */
export interface MemoryNetwork {
  /** Decides the results of calls. */
  readonly policy: MemoryPolicy;
  /** Returns the time, in milliseconds. */
  nowMs(): number;
  /** Registers a new socket, and returns its handle. */
  open(source: MemorySource): number;
  /** Removes a closed socket. */
  forget(source: MemorySource): void;
  /** Throws an error about a wrong call of the reactor's. */
  misuse(message: string): never;
}

/** The handlers of a peer that a program plays. */
export interface FarEnd {
  /** Called when the peer can take bytes, an end or a reset. */
  hasOutput(): void;
  /** Called when the reactor has room for more bytes. */
  hasRoom(): void;
  /** Called when the reactor's connect has succeeded. */
  connected?: (() => void) | undefined;
}

const HOSTNAME = "127.0.0.1";

/** The reactor's end of a connection, with the methods of its peer. */
export class MemoryStream implements StreamSocket, MemorySource {
  /** The number by which it is registered. */
  readonly handle: number;
  /** Its name in messages. */
  readonly name: string;
  /** Its registration with a poll. */
  registration: MemoryRegistration | undefined;
  /** Whether the reactor's connect is not finished yet. */
  isConnecting = false;
  /** Whether the reactor has closed the stream. */
  isClosed = false;
  /** Whether the reactor's end has sent a reset. */
  hasReset = false;
  /** Whether the listener reset the connection before it was accepted. */
  isRefused = false;
  /** The room in the peer's input, in bytes. */
  room: number = Infinity;
  /** The least room, in bytes, that makes the stream writable. */
  roomMin = 1;
  /** Before this time, in milliseconds, there is no room for any `room`. */
  fullUntilMs: number = -Infinity;
  /** The most bytes that may wait to be read. */
  inputMax: number = Infinity;
  /** The number of writes that took bytes. */
  writes = 0;
  /** The number of bytes that the reactor has written. */
  written = 0;
  /** The number of bytes that the peer has sent. */
  arrived = 0;
  /** The peer's handlers; set them before the first call. */
  farEnd: FarEnd | undefined;
  readonly #host: MemoryNetwork;
  /** Bytes of the peer that the reactor has not read. */
  readonly #input = new ByteQueue();
  /** Bytes of the reactor that the peer has not taken. */
  readonly #output = new ByteQueue();
  #resetOnClose = false;
  #taken = 0;
  /** Reads stop after this many bytes, before an urgent one; -1 for no mark. */
  #mark = -1;
  #isInputEnded = false;
  #isOutputEnded = false;
  #isReset = false;
  #errno = 0;
  /** Whether a write found no room, so that later room makes an event. */
  #wantsRoom = false;

  /**
   * Opens a stream.
   *
   * @param host The system that it belongs to.
   */
  constructor(host: MemoryNetwork) {
    this.#host = host;
    this.handle = host.open(this);
    this.name = `stream ${this.handle}`;
  }

  // Methods for the reactor.

  /** This end's address, the same for all streams. */
  get localAddress(): TcpAddress {
    this.#enter("stream.localAddress");
    return { transport: "tcp", hostname: HOSTNAME, port: 1 };
  }

  /**
   * The peer's address; its port is this stream's handle.
   *
   * @throws {Deno.errors.NotConnected} while the stream connects.
   */
  get peerAddress(): TcpAddress {
    this.#enter("stream.peerAddress");
    if (this.isConnecting) {
      throw errorFrom(errnoNumber("ENOTCONN"), "get the peer's address");
    }
    return { transport: "tcp", hostname: HOSTNAME, port: this.handle };
  }

  /** All peers are in one network. */
  get peerKey(): number {
    this.#enter("stream.peerKey");
    return 1;
  }

  /** The number of bytes that wait to be read. */
  get unreadBytes(): number {
    this.#enter("stream.unreadBytes");
    return this.#input.byteLength;
  }

  /** The bytes that the peer has not taken; unknown without `FarEnd`. */
  get unackedBytes(): number | undefined {
    this.#enter("stream.unackedBytes");
    return this.farEnd === undefined ? undefined : this.#output.byteLength;
  }

  /** Whether closing resets the connection. */
  get resetOnClose(): boolean {
    return this.#resetOnClose;
  }

  set resetOnClose(value: boolean) {
    this.#host.policy.call?.("stream.resetOnClose", this, undefined);
    this.#resetOnClose = value;
  }

  /** Reads. */
  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    this.#enter("stream.tryRead", end - start);
    if (!isIn(buffer, start, end)) {
      this.#host.misuse(`${this.name}: read into ${start} to ${end}`);
    }
    const ready = this.#input.byteLength;
    const count = this.#read(buffer, start, end);
    this.#host.policy.log?.(this.name, `read ${outcome(count)} of ${ready}`);
    if (count > 0) this.farEnd?.hasRoom();
    return count;
  }

  /** Writes. */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    const length = end - start;
    this.#enter("stream.tryWrite", length);
    if (!isIn(bytes, start, end)) {
      this.#host.misuse(`${this.name}: write from ${start} to ${end}`);
    }
    const count = this.#write(length);
    this.#host.policy.log?.(this.name, `write ${outcome(count)} of ${length}`);
    if (count <= 0) return count;
    this.room -= count;
    this.writes++;
    this.written += count;
    this.#output.push(bytes, start, start + count);
    this.farEnd?.hasOutput();
    return count;
  }

  /** Writes several buffers. */
  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    if (!(buffers.length > 0 && buffers.length <= BUFFERS_MAX)) {
      this.#host.misuse(`${this.name}: write ${buffers.length} buffers`);
    }
    const whole = new ByteQueue();
    for (const part of buffers) whole.push(part, 0, part.byteLength);
    const { byteLength } = whole;
    return this.tryWrite(whole.take(), 0, byteLength);
  }

  /** Sends the end. */
  shutdown(how: Shutdown): void {
    this.#enter("stream.shutdown");
    if (how !== "write") this.#host.misuse(`${this.name}: shutdown ${how}`);
    this.#log("shutdown write");
    if (this.#isReset || this.isConnecting) {
      throw errorFrom(errnoNumber("ENOTCONN"), "shut down");
    }
    this.#isOutputEnded = true;
    this.farEnd?.hasOutput();
    changed(this, Readiness.WRITABLE | Readiness.WRITE_CLOSED);
  }

  /** Returns and clears the error. */
  takeError(): Error | undefined {
    this.#enter("stream.takeError");
    const errno = this.#errno;
    this.#errno = 0;
    return errno === 0 ? undefined : errorFrom(errno, "connect or transfer");
  }

  /** Closes; with a reset when bytes are unread, or for `resetOnClose`. */
  close(): void {
    if (this.isClosed) this.#host.misuse(`${this.name} is closed twice`);
    this.#host.policy.call?.("stream.close", this, undefined);
    this.isClosed = true;
    this.#host.forget(this);
    this.#isOutputEnded = true;
    const resets = this.#resetOnClose || this.#input.byteLength > 0;
    this.#log(resets ? "close with a reset" : "close");
    if (resets && !this.#isReset) this.#sendReset();
    this.farEnd?.hasOutput();
  }

  /** Closes it, unless it is closed. */
  [Symbol.dispose](): void {
    if (!this.isClosed) this.close();
  }

  /** Returns the current bits of `Readiness`, for the poll. */
  readiness(): number {
    if (this.isConnecting) return 0;
    let bits = 0;
    const isEnded = this.#isInputEnded || this.#isReset;
    if (this.#input.byteLength > 0 || isEnded) bits |= Readiness.READABLE;
    if (isEnded) bits |= Readiness.READ_CLOSED;
    if (this.#mark >= 0) bits |= Readiness.READABLE | Readiness.PRIORITY;
    if (this.#errno !== 0) bits |= Readiness.ERROR;
    if (this.#isReset || this.#isOutputEnded || this.#hasRoom) {
      bits |= Readiness.WRITABLE;
    }
    const isOver = this.#isInputEnded && this.#isOutputEnded;
    if (this.#isReset || isOver) bits |= Readiness.WRITE_CLOSED;
    return bits;
  }

  // Methods for the peer.

  /** Whether the peer has reset the connection. */
  get isReset(): boolean {
    return this.#isReset;
  }

  /** The bytes that the peer has not taken, as text. */
  get text(): string {
    return DECODER.decode(this.#output.joined());
  }

  /** The number of bytes that the peer can take. */
  get outputBytes(): number {
    return this.#output.byteLength;
  }

  /** Whether the peer has taken all bytes and the reactor's end. */
  get isOutputDone(): boolean {
    return this.#isOutputEnded && this.#output.byteLength === 0;
  }

  /** The room in the reactor's input, in bytes. */
  get inputRoom(): number {
    if (this.isClosed || this.#isReset) return Infinity;
    return this.inputMax - this.#input.byteLength;
  }

  /** The peer sends bytes, a text, or a number of letters x. */
  receive(what: Uint8Array<ArrayBuffer> | string | number): void {
    if (this.#isReset) return;
    if (this.isClosed) return this.#answerWithReset();
    const bytes = bytesOf(what);
    this.#host.policy.log?.(this.name, `${bytes.byteLength} bytes come`);
    this.#input.pushOwned(bytes, 0, bytes.byteLength);
    this.arrived += bytes.byteLength;
    changed(this, Readiness.READABLE);
  }

  /**
   * The peer has sent an urgent byte, `back` bytes before the last byte: reads
   * stop there. As on Linux, it replaces an earlier urgent byte. The stream
   * does not contain the urgent byte itself.
   */
  receiveUrgent(back: number): void {
    this.#mark = this.arrived - back;
    this.#log(`an urgent byte comes behind ${this.#mark} bytes`);
    changed(this, Readiness.PRIORITY);
  }

  /** The peer sends its end. */
  receiveEnd(): void {
    if (this.#isReset || this.isClosed) return;
    this.#log("the end comes");
    this.#isInputEnded = true;
    changed(this, READ_END);
  }

  /** The peer resets; bytes on their way to the peer are lost. */
  receiveReset(errno: number = ECONNRESET): void {
    if (this.#isReset) return;
    this.#isReset = true;
    this.#keep(0);
    if (this.isClosed) return;
    this.#log(`${errnoName(errno)} comes`);
    this.#errno = errno;
    this.isConnecting = false;
    changed(this, READ_END | Readiness.WRITABLE | Readiness.ERROR);
  }

  /** The reactor's connect succeeds. */
  connected(): void {
    if (this.isClosed || this.#isReset) return;
    this.#log("connected");
    this.isConnecting = false;
    changed(this, Readiness.WRITABLE);
    this.farEnd?.connected?.();
  }

  /** The peer reads up to `length` bytes, which makes room for as many. */
  take(length: number = Infinity): Uint8Array<ArrayBuffer> {
    const bytes = this.#output.take(Math.min(length, this.outputBytes));
    this.room += bytes.byteLength;
    if (this.#wantsRoom) this.announceRoom();
    return bytes;
  }

  /** The peer makes room for `count` bytes more. */
  makeRoom(count: number): void {
    this.room += count;
    if (this.#wantsRoom) this.announceRoom();
  }

  /** Lists the stream as writable, if there is room. */
  announceRoom(): void {
    if (!this.#hasRoom) return;
    this.#wantsRoom = false;
    changed(this, Readiness.WRITABLE);
  }

  #read(
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    if (this.isConnecting) return WOULD_BLOCK;
    if (this.#mark === this.#taken) this.#mark = -1;
    let most = Math.min(end - start, this.#input.byteLength);
    // Bytes behind the mark make no event.
    if (this.#mark >= 0) most = Math.min(most, this.#mark - this.#taken);
    const decided = this.#host.policy.read?.(this, most);
    if (decided !== undefined && decided <= 0) return decided;
    if (most === 0) {
      if (this.#errno !== 0) return this.#fail();
      return this.#isInputEnded || this.#isReset ? 0 : WOULD_BLOCK;
    }
    const count = Math.min(most, decided ?? most);
    this.#input.moveTo(buffer.subarray(0, start + count), start);
    this.#taken += count;
    // The rest of a short read counts as received a moment later.
    if (decided !== undefined) changed(this, READ_END);
    return count;
  }

  /** Returns the number of bytes that a write takes, or `-errno`. */
  #write(length: number): number {
    if (this.isConnecting) return WOULD_BLOCK;
    if (this.#errno !== 0) return this.#fail();
    if (this.#isReset || this.#isOutputEnded) return -EPIPE;
    const room = this.#host.nowMs() < this.fullUntilMs ? 0 : this.room;
    const most = Math.max(0, Math.min(room, length));
    const decided = this.#host.policy.write?.(this, most);
    const isFailed = decided !== undefined && decided < 0;
    if (isFailed && decided !== WOULD_BLOCK) return decided;
    const count = decided ?? most;
    if (count < length) this.#wantsRoom = true;
    return count === 0 && decided === undefined ? WOULD_BLOCK : count;
  }

  /** Returns the error once; later calls only see the end. */
  #fail(): number {
    const errno = this.#errno;
    this.#errno = 0;
    return -errno;
  }

  get #hasRoom(): boolean {
    return this.room >= this.roomMin &&
      this.#host.nowMs() >= this.fullUntilMs;
  }

  /** Answers bytes for a closed socket with a reset. */
  #answerWithReset(): void {
    if (!this.hasReset) this.#sendReset();
    this.farEnd?.hasOutput();
  }

  #sendReset(): void {
    this.hasReset = true;
    const unsent = this.outputBytes;
    this.#keep(this.#host.policy.reset?.(this, unsent) ?? unsent);
  }

  /** Drops all untaken bytes after the first `length`. */
  #keep(length: number): void {
    const output = this.#output;
    if (length >= output.byteLength) return;
    const kept = output.take(length);
    output.clear();
    output.push(kept, 0, length);
  }

  #enter(call: MemoryCall, amount?: number): void {
    if (this.isClosed) this.#host.misuse(`${this.name}: ${call} when closed`);
    this.#host.policy.call?.(call, this, amount);
  }

  #log(what: string): void {
    this.#host.policy.log?.(this.name, what);
  }
}

function bytesOf(
  what: Uint8Array<ArrayBuffer> | string | number,
): Uint8Array<ArrayBuffer> {
  if (typeof what === "string") return ENCODER.encode(what);
  if (typeof what === "number") return new Uint8Array(what).fill(120);
  return what;
}

function outcome(count: number): string {
  return count < 0 ? errnoName(-count) : String(count);
}

/** A listening socket to which peers of a test connect. */
export class MemoryListener implements ListenerSocket, MemorySource {
  /** The number by which it is registered. */
  readonly handle: number;
  /** Its name in messages. */
  readonly name: string;
  /** The bound address. */
  readonly localAddress: TcpAddress;
  /** Its registration with a poll. */
  registration: MemoryRegistration | undefined;
  /** Whether it is closed. */
  isClosed = false;
  /** The most connections that one accept call takes. */
  acceptMax: number = ACCEPT_MAX;
  readonly #host: MemoryNetwork;
  readonly #backlog: (() => MemoryStream)[] = [];
  #accepted: MemoryStream[] = [];

  /**
   * Opens a listener.
   *
   * @param host The system that it belongs to.
   */
  constructor(host: MemoryNetwork, localAddress: TcpAddress) {
    this.#host = host;
    this.handle = host.open(this);
    this.name = `listener ${this.handle}`;
    this.localAddress = localAddress;
  }

  /** A peer connects; accepting the connection calls `open`. */
  arrive(open: () => MemoryStream): void {
    this.#backlog.push(open);
    changed(this, Readiness.READABLE);
  }

  /** Resets the connection that has waited longest. */
  refuse(): void {
    const stream = this.#backlog.shift()!();
    stream.isRefused = stream.resetOnClose = true;
    stream.close();
  }

  /** Readable while connections wait. */
  readiness(): number {
    return this.#backlog.length > 0 ? Readiness.READABLE : 0;
  }

  /** Returns an empty batch. */
  batch(): AcceptedBatch {
    return new AcceptBatch();
  }

  /** Accepts waiting connections. */
  acceptBatch(batch: AcceptedBatch): number {
    const host = this.#host;
    if (this.isClosed) host.misuse(`${this.name}: accept when closed`);
    host.policy.call?.("listener.acceptBatch", this, undefined);
    const accepted: MemoryStream[] = this.#accepted = [];
    batch.words[0] = this.#accept();
    batch.stream = (index) => {
      host.policy.call?.("batch.stream", this, undefined);
      return accepted[index]!;
    };
    host.policy.log?.(this.name, describe(accepted.length, batch.words[0]));
    return accepted.length;
  }

  /** Closes the listener, and resets waiting connections. */
  close(): void {
    if (this.isClosed) this.#host.misuse(`${this.name} is closed twice`);
    this.isClosed = true;
    this.#host.forget(this);
    this.#host.policy.call?.("listener.close", this, undefined);
    this.#host.policy.log?.(this.name, "close");
    while (this.#backlog.length > 0) this.refuse();
  }

  /** Closes it, unless it is closed. */
  [Symbol.dispose](): void {
    if (!this.isClosed) this.close();
  }

  /** Accepts, and returns the errno that stopped it, or 0. */
  #accept(): number {
    while (this.#accepted.length < this.acceptMax) {
      if (this.#backlog.length === 0) return -WOULD_BLOCK;
      const errno = this.#host.policy.accept?.(this) ?? 0;
      if (errno !== 0) return errno;
      this.#accepted.push(this.#backlog.shift()!());
    }
    return 0;
  }
}

function describe(count: number, errno: number): string {
  return `accept ${count}, ${errno === 0 ? "full" : errnoName(errno)}`;
}

/** Notifies a source's poll, if any, that the source's state has changed. */
export function changed({ registration }: MemorySource, bits: number): void {
  registration?.poll.changed(registration, bits);
}

/** Whether a range lies inside `bytes` and is not empty. */
function isIn(bytes: Uint8Array, start: number, end: number): boolean {
  return start >= 0 && start < end && end <= bytes.byteLength;
}
