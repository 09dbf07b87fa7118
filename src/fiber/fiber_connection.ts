/**
 * A connection as a fiber sees it: `read` and `write` that look as if they
 * blocked.
 *
 * A thin face over the callback connection. It reads from the system only
 * while somebody waits for bytes, so that what nobody asked for stays there;
 * bytes go from the shared buffer into the reader's own, once.
 *
 * @module
 */

import type { StreamAddress, TcpAddress } from "../net/address.ts";
import { ByteQueue } from "../bytes/byte_queue.ts";
import { TcpStream } from "../net/tcp_stream.ts";
import { type Abortable, misuseOf, obeying } from "../base/abortable.ts";
import { requireNumber, wrongType } from "../base/checks.ts";
import type { CloseReason } from "../stream/close_reason.ts";
import type { Connection, ConnectionHandlers } from "../reactor/connection.ts";
import type { EngineConnection } from "../reactor/connection/engine.ts";
import type { ReadTarget } from "../reactor/connection/record.ts";
import { readableOf, writableOf } from "./fiber_streams.ts";
import type { TimeoutSet } from "../reactor/connection_options.ts";
import type { GuestLoop } from "../reactor/guest.ts";
import type { Scheduler } from "../reactor/timers.ts";
import { Owned, type Owner } from "./owned.ts";
import { sleep } from "./sleep.ts";

/**
 * Writes up to this size wait for the end of the turn in the shared buffer, so
 * that many small ones leave together; copying more costs more than a call.
 */
const GATHER_BYTES = 16_384;
/**
 * Bytes that one connection may write before others have their turn, though
 * its peer takes all: a fiber that only writes would never let go.
 */
const BURST_BYTES = 262_144;

/**
 * Buffers from this size are read into by the system itself. A smaller one is
 * often just full, which would not tell that there is no more: a read in vain.
 */
const DIRECT_BYTES = 4096;

/** Nobody reads. */
const NOTHING = 0;
/** A `read` waits for bytes in its buffer. */
const INTO_TARGET = 1;
/** A `readChunk` waits for bytes to keep. */
const CHUNK = 2;
/** A reader waits for more bytes in the inbox. */
const MORE = 3;
/** A loop waits for its next chunk. */
const NEXT = 4;

/** What a reader is told: a count, a chunk, that there is more, or the end. */
type ReadAnswer = number | Uint8Array<ArrayBuffer> | true | null | Next;

type Next = IteratorResult<Uint8Array<ArrayBuffer>, undefined>;

const NO_MORE: Next = { done: true, value: undefined };

/** What the last write told: most write pieces of one size. */
let lastLength = 0;
let lastWritten: Promise<number> = Promise.resolve(0);

/** A connection's host: timers, and the count of fibers that run. */
export interface FiberScheduler extends Scheduler {
  /** Where it says so when a fiber waits or goes on. */
  readonly loop: GuestLoop;
}

/** Who is told how a connect ends. */
export interface Opening {
  /** It is open. */
  open(): void;
  /** It is not. */
  fail(error: unknown): void;
}

interface Writer {
  readonly length: number;
  readonly resolve: (length: number) => void;
  readonly reject: (reason: unknown) => void;
}

/** What the reactor tells a fiber's connection. */
export const FIBER_HANDLERS: ConnectionHandlers<AnyFiberConnection> = {
  keepsReading: true,
  open: (connection) => connection.data?.onOpen(),
  data: (connection, bytes, start, end) => {
    connection.data.onData(bytes, start, end);
  },
  end: (connection) => connection.data.onEnd(),
  drain: (connection) => connection.data.onDrain(),
  broken: (connection, error) => connection.data?.onBroken(error),
  error: (connection, error) => connection.data?.onError(error),
  close: (connection, reason) => connection.data?.onClose(reason),
};

/** A fiber's connection, TCP or Unix. */
export type AnyFiberConnection = FiberConnection<StreamAddress>;

/**
 * A connection for fibers, and for code that is written for `Deno.Conn`.
 *
 * One reader at a time; writers are served in order.
 *
 * @typeParam Address The form of its addresses.
 */
export class FiberConnection<Address extends StreamAddress = TcpAddress>
  extends Owned
  implements Deno.Conn<Address> {
  #opening: Opening | undefined;
  readonly #host: FiberScheduler;
  readonly #connection: EngineConnection<AnyFiberConnection>;
  /** Bytes that came and that no reader has taken, while there are some. */
  #inbox: ByteQueue | undefined = undefined;
  #wants = NOTHING;
  #target: Uint8Array | undefined = undefined;
  #resolve: ((told: ReadAnswer) => void) | undefined = undefined;
  #reject: ((reason: unknown) => void) | undefined = undefined;
  #writers: Set<Writer> | undefined = undefined;
  #burst = 0;
  /** How many run that no fiber counts: see `GuestLoop`. */
  #running = 0;
  /** Why nothing can be read or written any more. */
  #fault: { readonly error: unknown } | undefined = undefined;
  /** Why nothing can be written any more, while what came can be read. */
  #writeFault: { readonly error: unknown } | undefined = undefined;
  #isEnded = false;
  #isWriteEnded = false;
  #isClosed = false;
  #isGone = false;
  #localAddr: Address | undefined = undefined;
  #remoteAddr: Address | undefined = undefined;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined = undefined;
  #writable: WritableStream<Uint8Array<ArrayBufferLike>> | undefined =
    undefined;

  /** Made by fibers, listeners and servers, which say whose it is. */
  constructor(
    host: FiberScheduler,
    connection: Connection<AnyFiberConnection>,
    opening?: Opening,
  ) {
    super();
    this.#opening = opening;
    this.#host = host;
    // What a reactor calls a connection is one of the engine's.
    this.#connection = connection as EngineConnection<AnyFiberConnection>;
    connection.data = this;
    connection.pause();
  }

  /** The other end's address. */
  get remoteAddr(): Address {
    return this.#remoteAddr ??= this.#connection.peerAddress as Address;
  }

  /** This end's address. */
  get localAddr(): Address {
    return this.#localAddr ??= this.#connection.localAddress as Address;
  }

  /** Whether it is closed, by either side. */
  get isClosed(): boolean {
    return this.#isClosed || this.#isGone;
  }

  /** Whether `error` is why it failed: its peer's doing, or the system's. */
  failedWith(error: unknown): boolean {
    if (this.#isClosed) return false;
    return this.#fault?.error === error || this.#writeFault?.error === error;
  }

  /** Bytes that the system has not taken yet. */
  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  /** What comes, as a stream; its end leaves the writing half open. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= readableOf(this);
  }

  /** Where to write, as a stream; closing it ends the writing half. */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#writable ??= writableOf(this);
  }

  /**
   * Reads what there is into `target`, waiting for the first byte. While this
   * waits, `target` must stay where it is: when its buffer was transferred or
   * resized meanwhile, this rejects, and the next read has the bytes.
   *
   * @returns How many bytes; `null` at the end of the stream.
   * @throws {TypeError} when the buffer of `target` was transferred.
   * @throws {Deno.errors.Busy} while another read waits.
   * @throws {Deno.errors.TimedOut} when one of its `Timeouts` has passed.
   * @throws {Deno.errors.ConnectionReset} and others, when it failed.
   */
  read(target: Uint8Array, options?: Abortable): Promise<number | null> {
    const refusal = this.#refuseRead(options);
    if (refusal !== undefined) return refusal;
    if (!(target.byteLength > 0)) return readNothing(target);
    if (this.#inbox !== undefined) {
      const count = this.#inbox.moveTo(target);
      this.#noteInbox();
      return Promise.resolve(count);
    }
    this.#target = target;
    // Memory that other threads have is filled by copying: see `checkMemory`.
    if (
      target.byteLength >= DIRECT_BYTES && target.buffer instanceof ArrayBuffer
    ) {
      const bytes = target as Uint8Array<ArrayBuffer>;
      this.#connection.target = new DirectTarget(bytes);
    }
    return this.#wait(INTO_TARGET, options);
  }

  /**
   * Returns what there is, waiting for the first byte, as a chunk to keep;
   * `null` at the end of the stream.
   *
   * @throws {Deno.errors.Busy} while another read waits.
   */
  readChunk(options?: Abortable): Promise<Uint8Array<ArrayBuffer> | null> {
    const refusal = this.#refuseRead(options);
    if (refusal !== undefined) return refusal;
    if (this.#inbox === undefined) return this.#wait(CHUNK, options);
    return Promise.resolve(this.#takeFromInbox());
  }

  /**
   * Fills `target`. When this rejects, the next read has the bytes that this
   * has read, unless the connection was closed, or the stream has ended: then
   * they are in `target`, and nothing follows.
   *
   * @returns `target`; `null` when the stream ended before its first byte.
   * @throws {Deno.errors.UnexpectedEof} when the stream ends in between.
   * @throws {TypeError} and others of {@linkcode FiberConnection.read}.
   */
  async readExactly<Bytes extends Uint8Array>(
    target: Bytes,
    options?: Abortable,
  ): Promise<Bytes | null> {
    const { byteLength } = target;
    let length = 0;
    try {
      if (byteLength === 0) await readNothing(target);
      while (length < byteLength) {
        const count = await this.read(target.subarray(length), options);
        if (count === 0) throw new TypeError(TRANSFERRED);
        if (count === null && length === 0) return null;
        if (count === null) {
          throw new Deno.errors.UnexpectedEof(
            `Cannot read ${byteLength} bytes: the stream ended after ${length}`,
          );
        }
        length += count;
      }
      return target;
    } catch (error) {
      const isAtEnd = error instanceof Deno.errors.UnexpectedEof;
      if (!isAtEnd) this.#giveBack(target, length);
      throw error;
    }
  }

  /**
   * Reads up to and with `delimiter`, such as the end of a line.
   *
   * When this rejects, the next read has what came, unless the connection was
   * closed.
   *
   * @param bytesMax How many bytes there may be, with the delimiter; from 0.
   * @returns The bytes, to keep; `null` when the stream ended before the first.
   * @throws {TypeError} when `delimiter` is empty.
   * @throws {RangeError} when `bytesMax` is out of range.
   * @throws {Deno.errors.UnexpectedEof} when it ends without a delimiter.
   * @throws {Deno.errors.InvalidData} when there are more than `bytesMax`.
   */
  async readUntil(
    delimiter: string | Uint8Array,
    bytesMax: number,
    options?: Abortable,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const wanted = typeof delimiter === "string"
      ? new TextEncoder().encode(delimiter)
      : delimiter;
    if (!(wanted instanceof Uint8Array)) {
      throw wrongType("delimiter", wanted, "a string or a Uint8Array");
    }
    if (wanted.byteLength === 0) {
      throw new TypeError("Cannot read until an empty delimiter");
    }
    requireNumber("bytesMax", bytesMax);
    if (!(bytesMax >= 0)) {
      throw new RangeError(
        `Cannot read "${bytesMax}" bytes: it must be from 0`,
      );
    }
    for (let seen = 0;;) {
      const length = this.#inbox?.find(wanted, seen) ?? -1;
      seen = this.#inbox?.byteLength ?? 0;
      // Counted only when it stays: a line that is whole is taken at once.
      if (length < 0 || length > bytesMax) this.#noteInbox();
      if (length > bytesMax || length < 0 && seen >= bytesMax) {
        throw new Deno.errors.InvalidData(
          `Cannot read more than ${bytesMax} bytes until the delimiter`,
        );
      }
      if (length >= 0) return this.#takeFromInbox(length);
      const refusal = this.#refuseRead(options, MORE);
      const more = await (refusal ?? this.#wait<true | null>(MORE, options));
      if (more !== null) continue;
      if (seen === 0) return null;
      throw new Deno.errors.UnexpectedEof(
        `Cannot read until the delimiter: the stream ended after ${seen} bytes`,
      );
    }
  }

  /** Yields what comes as chunks to keep; leaving the loop closes nothing. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
    // No generator: that would cost three promises a chunk.
    return {
      next: () => this.#next(),
      return: () => Promise.resolve(NO_MORE),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * Writes all of `bytes`. Resolves at once while the peer keeps up, else when
   * it has taken enough; they may be used again either way.
   *
   * @returns How many bytes: all. Aborting gives up the wait, not the bytes.
   * @throws {Deno.errors.BrokenPipe} after `closeWrite`, and others.
   * @throws {Deno.errors.TimedOut} when one of its `Timeouts` has passed.
   * @throws {TypeError} when `bytes` is no `Uint8Array`, or its buffer was
   * transferred.
   */
  write(bytes: Uint8Array, options?: Abortable): Promise<number> {
    const refusal = this.#refuseWrite(options);
    if (refusal !== undefined) return refusal;
    if (!(bytes.byteLength > 0)) return writeNothing(bytes);
    return this.#written(this.#send(bytes), bytes.byteLength, options);
  }

  /**
   * Writes all of `chunks`, one after the other, as one `write` would. When one
   * of them cannot be written, none is.
   *
   * @returns How many bytes: all.
   * @throws {TypeError} and others of {@linkcode FiberConnection.write}.
   */
  writev(chunks: Iterable<Uint8Array>, options?: Abortable): Promise<number> {
    const refusal = this.#refuseWrite(options);
    if (refusal !== undefined) return refusal;
    const all = Array.isArray(chunks) ? chunks : [...chunks];
    return this.#writeAll(all, options);
  }

  /** Sends what is written and then the end; reading goes on. */
  closeWrite(): Promise<void> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault.error);
    this.#isWriteEnded = true;
    this.#connection.closeWrite();
    return Promise.resolve();
  }

  /**
   * Sends what is written and closes.
   *
   * @throws {Deno.errors.BadResource} when it was closed before.
   */
  close(): void {
    if (this.#isClosed) throw badResource("close");
    this.#end(badResource("use"));
    this.#connection.close();
  }

  /** Closes at once with a reset; what is not sent is lost. */
  abort(): void {
    this.cancel(badResource("use"));
  }

  /** Closes, unless it is closed already. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Closes, since its fiber has ended. */
  release(): void {
    if (!this.#isClosed) this.close();
  }

  /** Closes with a reset; reads and writes reject with `reason`. */
  cancel(reason: unknown): void {
    if (this.#isClosed) return;
    this.#end(reason, reason);
    this.#connection.abort();
  }

  /**
   * Has reads tell the end of the stream from now on, whatever the peer sends:
   * how a server that shuts down ends what waits for the next request.
   */
  endReading(): void {
    if (this.#fault !== undefined || this.#isEnded) return;
    this.onEnd();
    this.#connection.pause();
  }

  /** Gives it to another owner, a fiber as a rule. */
  override moveTo(owner: Owner | undefined): void {
    if (this.isClosed) return;
    const waits = this.#waits;
    for (let left = waits; left > 0; left--) this.#endWait();
    this.#stopRunning();
    super.moveTo(owner);
    // One that no fiber owns counts as a fiber: somebody runs for it.
    if (owner === undefined) this.#addRunning(1);
    for (let left = waits; left > 0; left--) this.#beginWait();
  }

  /** Keeps the process alive while this is open, which is how it begins. */
  ref(): void {
    this.#connection.ref();
  }

  /** Lets the process end although this is open. */
  unref(): void {
    this.#connection.unref();
  }

  /**
   * Sends small writes at once, which is how it begins, or waits for more.
   * Changes nothing for a Unix socket, which never waits.
   */
  setNoDelay(nodelay: boolean = true): void {
    if (this.isClosed) throw badResource("use");
    if ("path" in this.localAddr) return;
    new TcpStream(this.#connection.handle).nodelay = nodelay;
  }

  /** The connect is done. */
  onOpen(): void {
    // The system forgets a peer that it has connected to once both have ended.
    this.#noteAddresses();
    this.#opening?.open();
    this.#opening = undefined;
  }

  /** Bytes have come for whoever waits; what is too much is kept. */
  onData(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    const wants = this.#wants;
    if (wants === INTO_TARGET) {
      this.#fill(this.#target!, bytes, start, end);
    } else if (wants === CHUNK) {
      this.#settle(bytes.slice(start, end));
    } else if (wants === NEXT) {
      this.#settle({ done: false, value: bytes.slice(start, end) });
    } else {
      this.#keep(bytes, start, end);
      // A reader that wants more says itself what it leaves.
      if (wants === MORE) this.#settle(true);
      else this.#noteInbox();
    }
    this.#connection.pause();
  }

  /** The peer sends no more. */
  onEnd(): void {
    this.#isEnded = true;
    if (this.#wants === NEXT) this.#settle(NO_MORE);
    else if (this.#wants !== NOTHING) this.#settle(null);
  }

  /** Those who waited for room go on. */
  onDrain(): void {
    const writers = this.#writers;
    this.#writers = undefined;
    for (const { resolve, length } of writers ?? []) {
      this.#endWait();
      resolve(length);
    }
  }

  /** Nothing can be written any more; what has come can be read. */
  onBroken(error: Error): void {
    this.#writeFault = { error };
    this.#rejectWriters(error);
  }

  /** It failed. */
  onError(error: Error): void {
    this.#fail(error);
  }

  /** The system's connection is closed, for whatever reason. */
  onClose(reason: CloseReason): void {
    this.#isGone = true;
    const opening = this.#opening;
    // Asked for now or never; a connect that failed has none.
    if (opening === undefined) {
      this.#noteAddresses();
    }
    const isDone = this.#isEnded && (reason === "ended" || reason === "closed");
    if (!this.#isClosed && !isDone) {
      this.#fail(closedBecause(reason, this.#connection.timeouts));
    }
    this.#opening = undefined;
    opening?.fail(this.#fault!.error);
    this.#stopRunning();
  }

  #noteAddresses(): void {
    this.#remoteAddr ??= this.#connection.peerAddress as Address;
    this.#localAddr ??= this.#connection.localAddress as Address;
  }

  /** Reads and writes that wait. */
  get #waits(): number {
    return (this.#wants === NOTHING ? 0 : 1) + (this.#writers?.size ?? 0);
  }

  #beginWait(): void {
    if (this.owner !== undefined) this.owner.beginWait();
    else if (this.#running > 0) this.#addRunning(-1);
  }

  #endWait(): void {
    if (this.owner !== undefined) this.owner.endWait();
    else if (!this.isClosed) this.#addRunning(1);
  }

  #addRunning(delta: number): void {
    this.#running += delta;
    this.#host.loop.running += delta;
  }

  #stopRunning(): void {
    // Not for none: -0 would make of a count a number with fractions.
    if (this.#running > 0) this.#addRunning(-this.#running);
  }

  #next(): Promise<Next> {
    const refusal = this.#refuseRead(undefined);
    if (refusal !== undefined) return refusal.then(() => NO_MORE);
    if (this.#inbox === undefined) return this.#wait(NEXT);
    return Promise.resolve({ done: false, value: this.#takeFromInbox() });
  }

  #wait<T extends ReadAnswer>(wants: number, options?: Abortable): Promise<T> {
    this.#wants = wants;
    this.#burst = 0;
    this.#beginWait();
    const waiting = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve as (told: ReadAnswer) => void;
      this.#reject = reject;
    });
    this.#connection.resume();
    if (options?.signal === undefined) return waiting;
    return obeying(options.signal, waiting, (reason) => {
      this.#connection.pause();
      this.#rejectRead(reason);
    });
  }

  #settle(told: ReadAnswer): void {
    this.#wants = NOTHING;
    this.#target = undefined;
    this.#connection.target = undefined;
    this.#endWait();
    this.#resolve!(told);
  }

  #rejectRead(reason: unknown): void {
    if (this.#wants === NOTHING) return;
    this.#wants = NOTHING;
    this.#target = undefined;
    this.#connection.target = undefined;
    this.#endWait();
    this.#reject!(reason);
  }

  /** Answers a read that cannot wait: misuse, an error, or the end. */
  #refuseRead(
    options: Abortable | undefined,
    wants: number = NOTHING,
  ): Promise<null> | undefined {
    if (options !== undefined) {
      const misuse = misuseOf(options.signal);
      if (misuse !== undefined) return misuse;
      if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    }
    if (this.#wants !== NOTHING) {
      return Promise.reject(
        new Deno.errors.Busy("Cannot read while another read waits"),
      );
    }
    if (this.#isClosed) return Promise.reject(this.#fault!.error);
    // What came before the end, or the error, is read first.
    if (this.#inbox !== undefined && wants !== MORE) return undefined;
    if (this.#isEnded) return Promise.resolve(null);
    if (this.#fault !== undefined) return Promise.reject(this.#fault.error);
    return undefined;
  }

  #refuseWrite(options: Abortable | undefined): Promise<never> | undefined {
    if (options !== undefined) {
      const misuse = misuseOf(options.signal);
      if (misuse !== undefined) return misuse;
      if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    }
    const fault = this.#fault ?? this.#writeFault;
    if (fault !== undefined) return Promise.reject(fault.error);
    if (!this.#isWriteEnded && !this.#isGone) return undefined;
    return Promise.reject(
      new Deno.errors.BrokenPipe("Cannot write: the writing half is closed"),
    );
  }

  /** Returns whether the peer keeps up. */
  #send(bytes: Uint8Array): boolean {
    const { byteLength } = bytes;
    this.#burst += byteLength;
    const connection = this.#connection;
    if (byteLength <= GATHER_BYTES && connection.bufferedBytes === 0) {
      const room = connection.reserve(byteLength);
      if (room !== undefined) {
        room.bytes.set(bytes, room.length);
        room.length += byteLength;
        return true;
      }
    }
    return connection.write(bytes as Uint8Array<ArrayBuffer>);
  }

  #writeAll(
    chunks: readonly Uint8Array[],
    options: Abortable | undefined,
  ): Promise<number> {
    for (const chunk of chunks) {
      // Looked at before anything is sent.
      const { byteLength } = chunk;
      if (!(byteLength > 0) && !isEmpty(chunk)) return writeNothing(chunk);
    }
    let length = 0;
    let hasRoom = true;
    for (const chunk of chunks) {
      hasRoom = this.#send(chunk);
      length += chunk.byteLength;
    }
    return this.#written(hasRoom, length, options);
  }

  #written(
    hasRoom: boolean,
    length: number,
    options: Abortable | undefined,
  ): Promise<number> {
    const fault = this.#fault ?? this.#writeFault;
    if (fault !== undefined) return Promise.reject(fault.error);
    if (hasRoom) {
      if (this.#burst >= BURST_BYTES) return this.#rest(length);
      if (length === lastLength) return lastWritten;
      lastLength = length;
      return lastWritten = Promise.resolve(length);
    }
    this.#burst = 0;
    this.#beginWait();
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const writer: Writer = { length, resolve, reject };
    (this.#writers ??= new Set()).add(writer);
    return obeying(options?.signal, promise, (reason) => {
      if (!this.#writers?.delete(writer)) return;
      this.#endWait();
      reject(reason);
    });
  }

  /** Lets others have a turn. */
  async #rest(length: number): Promise<number> {
    this.#burst = 0;
    this.#beginWait();
    try {
      await sleep(this.#host, 0);
    } finally {
      this.#endWait();
    }
    return length;
  }

  /** Gives a reader bytes; what is too much for its buffer is kept. */
  #fill(
    target: Uint8Array,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void {
    const count = Math.min(end - start, target.byteLength);
    if (bytes !== target) {
      if (count > 0) target.set(bytes.subarray(start, start + count));
      if (count < end - start) {
        this.#keep(bytes, start + count, end);
        this.#noteInbox();
      }
    }
    if (count > 0) this.#settle(count);
    else this.#rejectRead(new TypeError(TRANSFERRED));
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    const whole = bytes as Uint8Array<ArrayBuffer>;
    (this.#inbox ??= new ByteQueue()).push(whole, start, end);
  }

  #takeFromInbox(length?: number): Uint8Array<ArrayBuffer> {
    const chunk = this.#inbox!.take(length);
    this.#noteInbox();
    return chunk;
  }

  /** Frees an inbox that is empty, and counts the memory of one that is not. */
  #noteInbox(): void {
    if (this.#inbox?.byteLength === 0) this.#inbox = undefined;
    this.#connection.heldBytes = this.#inbox?.memoryBytes ?? 0;
  }

  /** Has the next read begin with what was read into `target`. */
  #giveBack(target: Uint8Array, length: number): void {
    // Whoever has transferred the buffer has the bytes.
    if (this.#isClosed || length === 0 || target.byteLength < length) return;
    if (this.#wants !== NOTHING) {
      return this.onData(target as Uint8Array<ArrayBuffer>, 0, length);
    }
    const later = this.#inbox?.take();
    this.#keep(target, 0, length);
    if (later !== undefined) this.#keep(later, 0, later.byteLength);
    this.#noteInbox();
  }

  #fail(error: unknown): void {
    this.#fault ??= { error };
    this.#rejectRead(error);
    this.#rejectWriters(error);
  }

  #rejectWriters(reason: unknown): void {
    const writers = this.#writers;
    this.#writers = undefined;
    for (const { reject } of writers ?? []) {
      this.#endWait();
      reject(reason);
    }
  }

  /** Ends it for its user: `error` from now on, `reason` for who waits. */
  #end(
    error: unknown,
    reason: unknown = new Deno.errors.Interrupted(
      "The connection was closed meanwhile",
    ),
  ): void {
    this.#isClosed = true;
    this.#fault = { error };
    this.#inbox = undefined;
    this.#noteInbox();
    this.#rejectRead(reason);
    this.#rejectWriters(reason);
    super.moveTo(undefined);
    this.#stopRunning();
  }
}

/** Why a connection that its user has not closed is closed. */
function closedBecause(
  reason: CloseReason,
  timeouts: TimeoutSet | undefined,
): Error {
  if (reason === "shed") {
    return new Deno.errors.ConnectionAborted(
      "The reactor closed the connection: memoryBytesMax was reached",
    );
  }
  const name = `${reason}Ms` as keyof TimeoutSet;
  const limitMs = timeouts?.[name];
  return limitMs === undefined
    ? new Deno.errors.ConnectionAborted("The reactor closed the connection")
    : new Deno.errors.TimedOut(
      `The connection took longer than its ${name}, "${limitMs}" ms`,
    );
}

function badResource(verb: string): Error {
  return new Deno.errors.BadResource(
    `Cannot ${verb} the connection: it is closed`,
  );
}

/** A reader's own buffer, which the system reads into. */
class DirectTarget implements ReadTarget {
  readonly offset = 0;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /**
   * The buffer, or another in its place when it was transferred meanwhile: no
   * byte fits it any more, and a read of none looks like the peer's end.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes;
    return bytes.byteLength > 0 ? bytes : new Uint8Array(DIRECT_BYTES);
  }
}

const TRANSFERRED =
  "Cannot use the buffer: it was transferred or resized meanwhile";

/** Whether `bytes` are none, and not an array that was transferred. */
function isEmpty(bytes: Uint8Array): boolean {
  return bytes.byteLength === 0 && !(bytes.buffer as ArrayBuffer).detached;
}

/** Answers a read into a buffer without room. */
function readNothing(target: Uint8Array): Promise<number> {
  return isEmpty(target)
    ? Promise.resolve(0)
    : Promise.reject(unusable("read into", target));
}

/** Answers a write of what has no bytes. */
function writeNothing(bytes: Uint8Array): Promise<number> {
  return isEmpty(bytes)
    ? Promise.resolve(0)
    : Promise.reject(unusable("write", bytes));
}

function unusable(verb: string, what: Uint8Array): TypeError {
  return new TypeError(
    what instanceof Uint8Array
      ? `Cannot ${verb} an array whose buffer was transferred`
      : `Cannot ${verb} "${String(what)}": it must be a Uint8Array`,
  );
}
