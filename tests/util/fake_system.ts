/**
 * A system in memory, with a clock that stands still until a test lets time
 * pass: a reactor on it runs its turns in no time, the same each time.
 *
 * @module
 */

import { errnoNumber, WOULD_BLOCK } from "../../src/native/errors.ts";
import type { HostPort, TcpAddress } from "../../src/net/address.ts";
import type { ReadBatch, WriteBatch } from "../../src/net/batches.ts";
import { ACCEPT_MAX, AcceptBatch } from "../../src/net/listener.ts";
import type { TcpStream } from "../../src/net/tcp_stream.ts";
import { type Events, Readiness } from "../../src/poll/events.ts";
import { Interest } from "../../src/poll/interest.ts";
import type { Backend } from "../../src/poll/poll.ts";
import type { Source } from "../../src/poll/registry.ts";
import type {
  Batch,
  ListenerSocket,
  ReactorPoll,
  StreamSocket,
  System,
} from "../../src/system/system.ts";

import { concat } from "./http_bytes.ts";

const CLOCK_WORDS = 2;
const EVENT_WORDS = 2;

function address(port: number): TcpAddress {
  return { transport: "tcp", hostname: "127.0.0.1", port };
}

/** Where tests listen and connect. */
export const FAKE_ADDRESS: TcpAddress = address(1);

/** A stream whose other end is the test. */
export class FakeStream implements StreamSocket {
  readonly handle: number;
  readonly localAddress: TcpAddress = FAKE_ADDRESS;
  readonly peerAddress: TcpAddress = address(2);
  readonly peerKey = 1;
  resetOnClose = false;
  isClosed = false;
  /** What the next reads give instead of what there is, one after the other. */
  readonly reads: number[] = [];
  /** Bytes that one read brings at the most. */
  readMax = Infinity;
  /** Bytes that were written. */
  written = 0;
  /** The same as text. */
  text = "";
  /** How many writes there were. */
  writes = 0;
  /** Bytes that writes may still take. */
  room = Infinity;
  /** The errno, below 0, that each write fails with, if any does. */
  failure: number | undefined;
  /** What the peer has sent and nobody has read. */
  #unread: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #isEnded = false;
  readonly #system: FakeSystem;

  /** Made by {@linkcode FakeSystem}. */
  constructor(system: FakeSystem, handle: number) {
    this.#system = system;
    this.handle = handle;
  }

  /** Has the peer send a text, or as many bytes. */
  receive(what: number | string): void {
    const bytes = typeof what === "number"
      ? new Uint8Array(what).fill(120)
      : new TextEncoder().encode(what);
    this.#unread = concat([this.#unread, bytes]);
    this.#system.tell(this, Readiness.READABLE);
  }

  /** Has the peer send its end. */
  receiveEnd(): void {
    this.#isEnded = true;
    this.#system.tell(this, Readiness.READABLE | Readiness.READ_CLOSED);
  }

  /** Has the peer read, so that there is room for `count` bytes more. */
  makeRoom(count: number): void {
    this.room += count;
    this.#system.tell(this, Readiness.WRITABLE);
  }

  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    const scripted = this.reads.shift();
    if (scripted !== undefined) return scripted;
    const part = this.#unread.subarray(0, Math.min(length, this.readMax));
    const count = part.byteLength;
    if (count === 0) return this.#isEnded ? 0 : WOULD_BLOCK;
    buffer.set(part, offset);
    this.#unread = this.#unread.subarray(count);
    return count;
  }

  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    if (this.failure !== undefined) return this.failure;
    const count = Math.min(this.room, length);
    if (count === 0 && length > 0) return WOULD_BLOCK;
    this.room -= count;
    this.written += count;
    this.text += new TextDecoder().decode(
      bytes.subarray(offset, offset + count),
    );
    this.writes++;
    return count;
  }

  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    const bytes = concat(buffers);
    return this.tryWrite(bytes, 0, bytes.byteLength);
  }

  shutdown(): void {}

  takeError(): Error | undefined {
    return undefined;
  }

  close(): void {
    this.isClosed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

class FakeListener implements ListenerSocket {
  readonly handle: number;
  readonly localAddress: TcpAddress = FAKE_ADDRESS;
  readonly waiting: FakeStream[] = [];
  isClosed = false;

  constructor(handle: number) {
    this.handle = handle;
  }

  batch(): Batch {
    return new AcceptBatch();
  }

  acceptBatch(batch: Batch): number {
    const accepted = this.waiting.splice(0, ACCEPT_MAX);
    batch.stream = (index) => accepted[index] as unknown as TcpStream;
    batch.words[0] = accepted.length === ACCEPT_MAX ? 0 : errnoNumber("EAGAIN");
    return accepted.length;
  }

  close(): void {
    this.isClosed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What stands in for the native system. */
export class FakeSystem implements System, ReactorPoll {
  readonly backend: Backend = "epoll";
  /** How long each turn takes after its poll, by this clock. */
  turnTakesMs = 0;
  /** How often the reactor parked. */
  parks = 0;
  /** Streams that the reactor connected. */
  readonly connected: FakeStream[] = [];
  #nowMs: number;
  #untilMs: number;
  #handles = 1;
  readonly #tokens = new Map<number, { token: number; interest: number }>();
  readonly #ready = new Map<Source, number>();
  #listener: FakeListener | undefined = undefined;
  #wake: (() => void) | undefined = undefined;
  #isWoken = false;
  #arrive: (() => void) | undefined = undefined;
  #isClosed = false;
  /** Whether the last wait was over before the test's time was. */
  #wasReached = false;

  /** @param startMs What the clock shows first. */
  constructor(startMs: number = 1_000) {
    this.#nowMs = this.#untilMs = startMs;
  }

  /** The virtual time: what events say, which is in whole nanoseconds. */
  nowMs(): number {
    return this.#seconds * 1e3 + this.#nanoseconds / 1e6;
  }

  get #seconds(): number {
    return Math.floor(this.#nowMs / 1e3);
  }

  get #nanoseconds(): number {
    return Math.floor(this.#nowMs % 1e3 * 1e6);
  }

  /**
   * Lets time pass; returns when the reactor has done all that is to be done
   * until then and waits for more, or is closed.
   */
  async pass(ms: number): Promise<void> {
    if (this.#isClosed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#untilMs = this.#nowMs + ms;
    this.#arrive = resolve;
    this.wake();
    await promise;
  }

  /** Returns when all that has come was acted on; no time passes. */
  settle(): Promise<void> {
    return this.pass(0);
  }

  /** Has time pass in the middle of a turn. */
  spend(ms: number): void {
    this.#nowMs += ms;
    this.#untilMs = Math.max(this.#untilMs, this.#nowMs);
  }

  /** Has a client connect to the listener. */
  arrive(): FakeStream {
    const stream = new FakeStream(this, this.#handles++);
    this.#listener!.waiting.push(stream);
    this.tell(this.#listener!, Readiness.READABLE);
    return stream;
  }

  /** Makes an event. */
  tell(source: Source, readiness: number): void {
    this.#ready.set(source, (this.#ready.get(source) ?? 0) | readiness);
    this.wake();
  }

  openPoll(): ReactorPoll {
    return this;
  }

  listen(): ListenerSocket {
    return this.#listener = new FakeListener(this.#handles++);
  }

  connect(_address: HostPort): StreamSocket {
    const stream = new FakeStream(this, this.#handles++);
    this.connected.push(stream);
    this.tell(stream, Readiness.WRITABLE);
    return stream;
  }

  defer(callback: () => void): void {
    queueMicrotask(callback);
  }

  poll(events: Events, timeoutMs: number): number {
    this.#isWoken = false;
    if (!this.#isReady) this.#advance(timeoutMs);
    let count = 0;
    for (const [source, readiness] of this.#ready) {
      const known = this.#tokens.get(source.handle);
      if (known === undefined || count === events.capacity) continue;
      this.#ready.delete(source);
      const wanted = readiness &
        (known.interest & Interest.WRITABLE ? ~0 : ~Readiness.WRITABLE);
      if (wanted === 0) continue;
      events.words[CLOCK_WORDS + EVENT_WORDS * count] = known.token;
      events.words[CLOCK_WORDS + EVENT_WORDS * count + 1] = wanted;
      count++;
    }
    events.words[0] = this.#seconds;
    events.words[1] = this.#nanoseconds;
    events.length = count;
    this.#nowMs += this.turnTakesMs;
    return count;
  }

  register(source: Source, token: number, interest: number): void {
    this.#tokens.set(source.handle, { token, interest });
  }

  reregister(source: Source, token: number, interest: number): void {
    this.register(source, token, interest);
  }

  async park(timeoutMs: number | undefined): Promise<void> {
    this.parks++;
    if (this.#isReady) return;
    this.#advance(timeoutMs ?? Infinity);
    if (timeoutMs !== undefined && this.#wasReached) return;
    if (this.#isWoken || this.#isClosed) return;
    this.#arrive?.();
    this.#arrive = undefined;
    await new Promise<void>((resolve) => this.#wake = resolve);
  }

  yieldToDeno(): Promise<void> {
    return Promise.resolve();
  }

  ref(): void {}

  rest(): void {}

  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
    this.#wake = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#arrive?.();
  }

  /** Whether there is an event of what is registered. */
  get #isReady(): boolean {
    for (const { handle } of this.#ready.keys()) {
      if (this.#tokens.has(handle)) return true;
    }
    return false;
  }

  /** Lets the clock go on by `ms`, as far as the test allows. */
  #advance(ms: number): void {
    // Rounded up, as a system does, but not for an error of the last digit.
    const waitMs = ms === 0 ? 0 : Math.max(1e-3, Math.ceil(ms - 1e-6));
    const leftMs = this.#untilMs - this.#nowMs;
    this.#wasReached = waitMs <= leftMs;
    this.#nowMs += Math.max(0, Math.min(waitMs, leftMs));
  }
}

/** The same where several streams are read, and written to, in one call. */
export class BatchingSystem extends FakeSystem {
  /** How many streams each call read, and how many it wrote to. */
  readonly calls: string[] = [];
  readonly #streams = new Map<number, FakeStream>();

  override arrive(): FakeStream {
    return this.#known(super.arrive());
  }

  override connect(address: HostPort): StreamSocket {
    return this.#known(super.connect(address));
  }

  readAll(
    batch: ReadBatch,
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    roomMin: number,
  ): number {
    let done = 0;
    for (let at = offset; done < batch.length; done++) {
      const room = bytes.byteLength - at;
      if (room < roomMin) break;
      const stream = this.#streams.get(batch.handle(done))!;
      const count = stream.tryRead(bytes, at, room);
      batch.setCount(done, count);
      at += Math.max(0, count);
    }
    this.calls.push(`read ${done} of ${batch.length}`);
    return done;
  }

  writeAll(batch: WriteBatch, bytes: Uint8Array<ArrayBuffer>): void {
    for (let index = 0; index < batch.length; index++) {
      const stream = this.#streams.get(batch.handle(index))!;
      const start = batch.start(index);
      const length = batch.end(index) - start;
      batch.setCount(index, stream.tryWrite(bytes, start, length));
    }
    this.calls.push(`write ${batch.length}`);
  }

  #known<Known extends StreamSocket>(stream: Known): Known {
    this.#streams.set(stream.handle, stream as unknown as FakeStream);
    return stream;
  }
}
