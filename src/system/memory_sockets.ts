/**
 * Sockets in memory: what a reactor calls on one side, what a peer does on the
 * other, the kernel's buffers between them, and the policy that decides how the
 * calls go.
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

/** A call that the reactor makes: `stream.tryRead`, `poll.park`. */
export type MemoryCall = `${
  | "poll"
  | "stream"
  | "listener"
  | "batch"}.${string}`;

/**
 * Decides how the calls of a {@linkcode MemorySystem} go. What is left out goes
 * well. A method that returns nothing changes nothing.
 */
export interface MemoryPolicy {
  /**
   * A call begins. It fails when this throws, with what this throws; it takes
   * time when this moves the clock.
   *
   * @param amount The bytes that a read or a write is for, or the milliseconds
   * that a poll or a park may wait.
   */
  call?(
    call: MemoryCall,
    source: MemorySource | undefined,
    amount: number | undefined,
  ): void;
  /**
   * A read begins that can have `most` bytes, 0 included.
   *
   * @returns How many it has; 0 is the peer's end. Below 0 it fails:
   * `WOULD_BLOCK` or `-errno`. An event follows a read that has less.
   */
  read?(stream: MemoryStream, most: number): number | undefined;
  /**
   * A write begins for which there is room for `most` bytes, 0 included.
   *
   * @returns How many it takes. Below 0 it fails, as a read.
   */
  write?(stream: MemoryStream, most: number): number | undefined;
  /**
   * A connection is about to be accepted.
   *
   * @returns The errno for which it is not, now; or 0.
   */
  accept?(listener: MemoryListener): number;
  /**
   * The reactor begins to connect. This calls the stream's `connected()` or
   * `receiveReset()`, now or later; left out, the connection is there at once.
   */
  connect?(stream: MemoryStream): void;
  /**
   * A park is over. Returns whether the reactor is called at once, as on Linux;
   * otherwise it goes on when the park's promise settles, with all that has
   * happened until then. Left out, it is not called at once.
   */
  wakesAtOnce?(): boolean;
  /** A poll is about to return these events; they may be changed. */
  events?(events: Events): void;
  /**
   * A stream with `unsent` bytes is reset, by this end.
   *
   * @returns How many of them reach the peer all the same; all when left out.
   */
  reset?(stream: MemoryStream, unsent: number): number;
  /**
   * The reactor did what no program may do, such as reading a closed stream.
   * The call throws an error after this, or without it.
   */
  misuse?(message: string): void;
  /** Is called for each thing that happens: `read 5 of 10`. */
  log?(who: string, what: string): void;
}

/** A socket as its poll sees it. */
export interface MemorySource extends Source {
  /** The number by which it is registered. */
  readonly handle: number;
  /** What it is called in messages. */
  readonly name: string;
  /** Its registration, which the poll keeps there. */
  registration: MemoryRegistration | undefined;
  /** Returns the bits of `Readiness` that are so now. */
  readiness(): number;
}

/** One source's entry in a poll. */
export interface MemoryRegistration {
  /** What is registered. */
  readonly source: MemorySource;
  /** Where it is registered. */
  readonly poll: MemoryWatch;
  /** The token that its events carry. */
  token: Token;
  /** What its events tell. */
  interest: InterestSet;
  /** Whether the next poll looks at it. */
  isListed: boolean;
}

/** What sockets tell their poll. */
export interface MemoryWatch {
  /** Notes that a source's state has changed in some of the bits. */
  changed(registration: MemoryRegistration, bits: number): void;
  /** Forgets a source that is closed. */
  forget(registration: MemoryRegistration): void;
}

/** What sockets in memory belong to. */
export interface MemoryNetwork {
  /** Decides how calls go. */
  readonly policy: MemoryPolicy;
  /** Returns the time, in milliseconds. */
  nowMs(): number;
  /** Takes a socket in, and returns its handle. */
  open(source: MemorySource): number;
  /** Lets go of a socket that is closed. */
  forget(source: MemorySource): void;
  /** The reactor did what it must not. */
  misuse(message: string): never;
}

/** The far end of a stream, when a program plays it. */
export interface FarEnd {
  /** Bytes, the end or a reset can be taken. */
  hasOutput(): void;
  /** There is room for more bytes. */
  hasRoom(): void;
  /** The connection that the reactor began is there. */
  connected?: (() => void) | undefined;
}

const HOSTNAME = "127.0.0.1";

/** The reactor's end of a connection, and the methods of its peer. */
export class MemoryStream implements StreamSocket, MemorySource {
  /** The number by which it is registered. */
  readonly handle: number;
  /** What it is called in messages. */
  readonly name: string;
  /** Its registration with a poll. */
  registration: MemoryRegistration | undefined;
  /** Whether the connect is not done yet. */
  isConnecting = false;
  /** Whether the reactor has closed the stream. */
  isClosed = false;
  /** Whether the peer was sent a reset. */
  hasReset = false;
  /** Whether its listener has reset it before it was accepted. */
  isRefused = false;
  /** Bytes that the peer's input still has room for. */
  room: number = Infinity;
  /** The least room that makes the stream writable. */
  roomMin = 1;
  /** Before this time there is no room, whatever `room` says. */
  fullUntilMs: number = -Infinity;
  /** Bytes that may wait to be read. */
  inputMax: number = Infinity;
  /** How often a write took something. */
  writes = 0;
  /** Bytes that were written. */
  written = 0;
  /** Bytes that have come from the peer. */
  arrived = 0;
  /** Plays the peer; set before anything happens. */
  farEnd: FarEnd | undefined;
  readonly #host: MemoryNetwork;
  /** What has come and was not read. */
  readonly #input = new ByteQueue();
  /** What was written and the peer has not taken. */
  readonly #output = new ByteQueue();
  #resetOnClose = false;
  #taken = 0;
  /** Where reads end: behind so many bytes, or nowhere. */
  #mark = -1;
  #isInputEnded = false;
  #isOutputEnded = false;
  #isReset = false;
  #errno = 0;
  /** Whether a write found no room, so that an event tells of it later. */
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

  // The reactor's calls.

  /** This end's address: the same for all. */
  get localAddress(): TcpAddress {
    this.#enter("stream.localAddress");
    return { transport: "tcp", hostname: HOSTNAME, port: 1 };
  }

  /**
   * The peer's address, whose port is this stream's handle.
   *
   * @throws {Deno.errors.NotConnected} while it connects.
   */
  get peerAddress(): TcpAddress {
    this.#enter("stream.peerAddress");
    if (this.isConnecting) {
      throw errorFrom(errnoNumber("ENOTCONN"), "get the peer's address");
    }
    return { transport: "tcp", hostname: HOSTNAME, port: this.handle };
  }

  /** One network for all peers. */
  get peerKey(): number {
    this.#enter("stream.peerKey");
    return 1;
  }

  /** Bytes that wait to be read. */
  get unreadBytes(): number {
    this.#enter("stream.unreadBytes");
    return this.#input.byteLength;
  }

  /** Bytes that the peer has not taken; unknown where nobody plays it. */
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
    offset: number,
    length: number,
  ): number {
    this.#enter("stream.tryRead", length);
    if (!(length > 0 && offset + length <= buffer.byteLength)) {
      this.#host.misuse(`${this.name}: read ${length} bytes at ${offset}`);
    }
    const ready = this.#input.byteLength;
    const count = this.#read(buffer, offset, length);
    this.#host.policy.log?.(this.name, `read ${outcome(count)} of ${ready}`);
    if (count > 0) this.farEnd?.hasRoom();
    return count;
  }

  /** Writes. */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    this.#enter("stream.tryWrite", length);
    if (!(length > 0 && offset + length <= bytes.byteLength)) {
      this.#host.misuse(`${this.name}: write ${length} bytes at ${offset}`);
    }
    const count = this.#write(length);
    this.#host.policy.log?.(this.name, `write ${outcome(count)} of ${length}`);
    if (count <= 0) return count;
    this.room -= count;
    this.writes++;
    this.written += count;
    this.#output.push(bytes, offset, offset + count);
    this.farEnd?.hasOutput();
    return count;
  }

  /** Writes several parts. */
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

  /** Closes it: with a reset, when bytes are unread or it was asked for. */
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

  /** What its poll asks. */
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

  // The peer's calls.

  /** Whether the connection was reset, by the peer. */
  get isReset(): boolean {
    return this.#isReset;
  }

  /** What was written and not taken, as text. */
  get text(): string {
    return DECODER.decode(this.#output.joined());
  }

  /** How many bytes can be taken. */
  get outputBytes(): number {
    return this.#output.byteLength;
  }

  /** Whether all was taken, and no more will come. */
  get isOutputDone(): boolean {
    return this.#isOutputEnded && this.#output.byteLength === 0;
  }

  /** How many bytes the reactor's input still has room for. */
  get inputRoom(): number {
    if (this.isClosed || this.#isReset) return Infinity;
    return this.inputMax - this.#input.byteLength;
  }

  /** The peer sends bytes, a text, or so many bytes of the letter x. */
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
   * A byte `back` bytes before the last was urgent: reads end there. It takes
   * the place of an earlier one, as in Linux; the byte itself is left out.
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

  /** The peer has gone; what is on its way to it is lost. */
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

  /** The connection that the reactor began is there. */
  connected(): void {
    if (this.isClosed || this.#isReset) return;
    this.#log("connected");
    this.isConnecting = false;
    changed(this, Readiness.WRITABLE);
    this.farEnd?.connected?.();
  }

  /** The peer reads what was written, which makes room for as much. */
  take(length: number = Infinity): Uint8Array<ArrayBuffer> {
    const bytes = this.#output.take(Math.min(length, this.outputBytes));
    this.room += bytes.byteLength;
    if (this.#wantsRoom) this.tellRoom();
    return bytes;
  }

  /** The peer makes room for `count` bytes more. */
  makeRoom(count: number): void {
    this.room += count;
    if (this.#wantsRoom) this.tellRoom();
  }

  /** Has an event tell of room, if there is some. */
  tellRoom(): void {
    if (!this.#hasRoom) return;
    this.#wantsRoom = false;
    changed(this, Readiness.WRITABLE);
  }

  #read(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    if (this.isConnecting) return WOULD_BLOCK;
    if (this.#mark === this.#taken) this.#mark = -1;
    let most = Math.min(length, this.#input.byteLength);
    // No event tells of bytes behind the mark.
    if (this.#mark >= 0) most = Math.min(most, this.#mark - this.#taken);
    const decided = this.#host.policy.read?.(this, most);
    if (decided !== undefined && decided <= 0) return decided;
    if (most === 0) {
      if (this.#errno !== 0) return this.#fail();
      return this.#isInputEnded || this.#isReset ? 0 : WOULD_BLOCK;
    }
    const count = Math.min(most, decided ?? most);
    this.#input.moveTo(buffer.subarray(0, offset + count), offset);
    this.#taken += count;
    // The rest of a short read has come a moment later.
    if (decided !== undefined) changed(this, READ_END);
    return count;
  }

  /** Returns how many bytes there is room for, or why there is none. */
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

  /** Returns the error once; after that the connection has only ended. */
  #fail(): number {
    const errno = this.#errno;
    this.#errno = 0;
    return -errno;
  }

  get #hasRoom(): boolean {
    return this.room >= this.roomMin &&
      this.#host.nowMs() >= this.fullUntilMs;
  }

  /** Answers bytes that come for a closed socket. */
  #answerWithReset(): void {
    if (!this.hasReset) this.#sendReset();
    this.farEnd?.hasOutput();
  }

  #sendReset(): void {
    this.hasReset = true;
    const unsent = this.outputBytes;
    this.#keep(this.#host.policy.reset?.(this, unsent) ?? unsent);
  }

  /** Loses what was written behind the first `length` bytes. */
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

/** A listening socket, to which a test's peers connect. */
export class MemoryListener implements ListenerSocket, MemorySource {
  /** The number by which it is registered. */
  readonly handle: number;
  /** What it is called in messages. */
  readonly name: string;
  /** The bound address. */
  readonly localAddress: TcpAddress;
  /** Its registration with a poll. */
  registration: MemoryRegistration | undefined;
  /** Whether it is closed. */
  isClosed = false;
  /** Connections that one accept brings at the most. */
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

  /** A peer connects; `open` makes the stream when it is accepted. */
  arrive(open: () => MemoryStream): void {
    this.#backlog.push(open);
    changed(this, Readiness.READABLE);
  }

  /** Resets the connection that waits for the longest. */
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

  /** Accepts what waits. */
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

  /** Closes it, and resets what waits. */
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

  /** Accepts, and returns why no more. */
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

/** Tells the poll of a source, if there is one, that its state has changed. */
export function changed({ registration }: MemorySource, bits: number): void {
  registration?.poll.changed(registration, bits);
}
