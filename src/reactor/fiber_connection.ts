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
import { TcpStream } from "../net/tcp_stream.ts";
import { type Abortable, obeying } from "./abortable.ts";
import type { Connection, ConnectionHandlers } from "./connection.ts";
import { readableOf, writableOf } from "./fiber_streams.ts";
import { Inbox } from "./inbox.ts";
import { type FiberLoop, Owned, type Owner } from "./owned.ts";
import { sleep, type TimerHost } from "./sleep.ts";

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
type Told = number | Uint8Array<ArrayBuffer> | true | null | Next;

type Next = IteratorResult<Uint8Array<ArrayBuffer>, undefined>;

const NO_MORE: Next = { done: true, value: undefined };

/** What the last write told: most write pieces of one size. */
let lastLength = 0;
let lastWritten: Promise<number> = Promise.resolve(0);

/** A connection's host: timers, and the count of fibers that run. */
export interface FiberConnectionHost extends TimerHost {
  /** Where it says so when a fiber waits or goes on. */
  readonly loop: FiberLoop;
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
  close: (connection) => connection.data?.onClose(),
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
  readonly #host: FiberConnectionHost;
  readonly #connection: Connection<AnyFiberConnection>;
  #inbox: Inbox | undefined = undefined;
  #wants = NOTHING;
  #target: Uint8Array | undefined = undefined;
  #resolve: ((told: Told) => void) | undefined = undefined;
  #reject: ((reason: unknown) => void) | undefined = undefined;
  #writers: Set<Writer> | undefined = undefined;
  #burst = 0;
  #counts = false;
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
    host: FiberConnectionHost,
    connection: Connection<AnyFiberConnection>,
    opening?: Opening,
  ) {
    super();
    this.#opening = opening;
    this.#host = host;
    this.#connection = connection;
    connection.data = this;
    connection.pause();
  }

  /** The other end's address. */
  get remoteAddr(): Address {
    return this.#remoteAddr ??= this.#connection.remoteAddress as Address;
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
   * Reads what there is into `target`, waiting for the first byte.
   *
   * @returns How many bytes; `null` at the end of the stream.
   * @throws {Deno.errors.Busy} while another read waits.
   * @throws {Deno.errors.ConnectionReset} and others, when it failed.
   */
  read(target: Uint8Array, options?: Abortable): Promise<number | null> {
    const refusal = this.#refuseRead(options);
    if (refusal !== undefined) return refusal;
    if (target.byteLength === 0) return Promise.resolve(0);
    if (this.#inbox !== undefined) {
      const count = this.#inbox.moveTo(target);
      this.#trimInbox();
      return Promise.resolve(count);
    }
    this.#target = target;
    if (target.byteLength >= DIRECT_BYTES) {
      const bytes = target as Uint8Array<ArrayBuffer>;
      this.#connection.target = { bytes, offset: 0 };
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
    const chunk = this.#inbox.take();
    this.#inbox = undefined;
    return Promise.resolve(chunk);
  }

  /**
   * Fills `target`.
   *
   * @returns `target`; `null` when the stream ended before its first byte.
   * @throws {Deno.errors.UnexpectedEof} when the stream ends in between.
   */
  async readExactly<Bytes extends Uint8Array>(
    target: Bytes,
    options?: Abortable,
  ): Promise<Bytes | null> {
    for (let length = 0; length < target.byteLength;) {
      const count = await this.read(target.subarray(length), options);
      if (count !== null) length += count;
      else if (length === 0) return null;
      else {
        throw new Deno.errors.UnexpectedEof(
          `Cannot read ${target.byteLength} bytes: ` +
            `the stream ended after ${length}`,
        );
      }
    }
    return target;
  }

  /**
   * Reads up to and with `delimiter`, such as the end of a line.
   *
   * @param bytesMax How many bytes there may be, with the delimiter.
   * @returns The bytes, to keep; `null` when the stream ended before the first.
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
    if (wanted.byteLength === 0) {
      throw new TypeError("Cannot read until an empty delimiter");
    }
    for (let seen = 0;;) {
      const length = this.#inbox?.find(wanted, seen) ?? -1;
      seen = this.#inbox?.byteLength ?? 0;
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
   */
  write(bytes: Uint8Array, options?: Abortable): Promise<number> {
    const refusal = this.#refuseWrite(options);
    if (refusal !== undefined) return refusal;
    return this.#written(this.#send(bytes), bytes.byteLength, options);
  }

  /**
   * Writes all of `chunks`, one after the other, as one `write` would.
   *
   * @returns How many bytes: all.
   */
  writev(chunks: Iterable<Uint8Array>, options?: Abortable): Promise<number> {
    const refusal = this.#refuseWrite(options);
    if (refusal !== undefined) return refusal;
    let length = 0;
    let hasRoom = true;
    for (const chunk of chunks) {
      hasRoom = this.#send(chunk);
      length += chunk.byteLength;
    }
    return this.#written(hasRoom, length, options);
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
    super.moveTo(owner);
    this.#count(owner === undefined);
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
      const target = this.#target!;
      const count = Math.min(end - start, target.byteLength);
      if (bytes !== target) {
        target.set(bytes.subarray(start, start + count));
        if (count < end - start) this.#keep(bytes, start + count, end);
      }
      this.#settle(count);
    } else if (wants === CHUNK) {
      this.#settle(bytes.slice(start, end));
    } else if (wants === NEXT) {
      this.#settle({ done: false, value: bytes.slice(start, end) });
    } else {
      this.#keep(bytes, start, end);
      if (wants === MORE) this.#settle(true);
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
      this.#host.loop.runningFibers++;
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
  onClose(): void {
    this.#isGone = true;
    const opening = this.#opening;
    // Asked for now or never; a connect that failed has none.
    if (opening === undefined) {
      this.#noteAddresses();
    }
    if (!this.#isClosed && !this.#isEnded) {
      this.#fail(
        new Deno.errors.ConnectionAborted("The reactor closed the connection"),
      );
    }
    this.#opening = undefined;
    opening?.fail(this.#fault!.error);
    this.#count(false);
  }

  #noteAddresses(): void {
    this.#remoteAddr ??= this.#connection.remoteAddress as Address;
    this.#localAddr ??= this.#connection.localAddress as Address;
  }

  /** One that no fiber owns counts as a fiber: somebody runs for it. */
  #count(counts: boolean): void {
    if (counts === this.#counts) return;
    this.#counts = counts;
    this.#host.loop.runningFibers += counts ? 1 : -1;
  }

  #next(): Promise<Next> {
    const refusal = this.#refuseRead(undefined);
    if (refusal !== undefined) return refusal.then(() => NO_MORE);
    if (this.#inbox === undefined) return this.#wait(NEXT);
    const value = this.#inbox.take();
    this.#inbox = undefined;
    return Promise.resolve({ done: false, value });
  }

  #wait<T extends Told>(wants: number, options?: Abortable): Promise<T> {
    this.#wants = wants;
    this.#burst = 0;
    this.#host.loop.runningFibers--;
    const waiting = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve as (told: Told) => void;
      this.#reject = reject;
    });
    this.#connection.resume();
    if (options?.signal === undefined) return waiting;
    return obeying(options.signal, waiting, (reason) => {
      this.#connection.pause();
      this.#rejectRead(reason);
    });
  }

  #settle(told: Told): void {
    this.#wants = NOTHING;
    this.#target = undefined;
    this.#connection.target = undefined;
    this.#host.loop.runningFibers++;
    this.#resolve!(told);
  }

  #rejectRead(reason: unknown): void {
    if (this.#wants === NOTHING) return;
    this.#wants = NOTHING;
    this.#target = undefined;
    this.#connection.target = undefined;
    this.#host.loop.runningFibers++;
    this.#reject!(reason);
  }

  /** Answers a read that cannot wait: misuse, an error, or the end. */
  #refuseRead(
    options: Abortable | undefined,
    wants: number = NOTHING,
  ): Promise<null> | undefined {
    if (options?.signal?.aborted) return Promise.reject(options.signal.reason);
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
    if (options?.signal?.aborted) return Promise.reject(options.signal.reason);
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
    this.#host.loop.runningFibers--;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const writer: Writer = { length, resolve, reject };
    (this.#writers ??= new Set()).add(writer);
    return obeying(options?.signal, promise, (reason) => {
      if (!this.#writers?.delete(writer)) return;
      this.#host.loop.runningFibers++;
      reject(reason);
    });
  }

  /** Lets others have a turn. */
  async #rest(length: number): Promise<number> {
    this.#burst = 0;
    const { loop } = this.#host;
    loop.runningFibers--;
    try {
      await sleep(this.#host, 0);
    } finally {
      loop.runningFibers++;
    }
    return length;
  }

  #keep(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    (this.#inbox ??= new Inbox()).push(bytes, start, end);
  }

  #takeFromInbox(length: number): Uint8Array<ArrayBuffer> {
    const chunk = this.#inbox!.take(length);
    this.#trimInbox();
    return chunk;
  }

  #trimInbox(): void {
    if (this.#inbox?.byteLength === 0) this.#inbox = undefined;
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
      this.#host.loop.runningFibers++;
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
    this.#rejectRead(reason);
    this.#rejectWriters(reason);
    super.moveTo(undefined);
    this.#count(false);
  }
}

function badResource(verb: string): Error {
  return new Deno.errors.BadResource(
    `Cannot ${verb} the connection: it is closed`,
  );
}
