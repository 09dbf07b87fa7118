/**
 * A proactor for programs: operations are promises and async iterators.
 *
 * @example A `cat` in ten lines
 * ```ts
 * import { AsyncProactor } from "./async_proactor.ts";
 *
 * async function cat(paths: string[], write: (bytes: Uint8Array) => unknown) {
 *   await using proactor = new AsyncProactor();
 *   const buffer = new Uint8Array(65_536);
 *   for (const path of paths) {
 *     await using file = await proactor.open(path);
 *     for (let count; (count = await file.read(buffer)) !== null;) {
 *       await write(buffer.subarray(0, count));
 *     }
 *   }
 * }
 * await cat(["deno.json"], () => {});
 * ```
 *
 * @module
 */

import { type Abortable, refusalBy } from "../base/abortable.ts";
import { allowSignal } from "../base/checks.ts";
import { defer } from "../base/own.ts";
import { errnoNumber, errorFrom } from "../native/errors.ts";
import {
  addressText,
  type HostPort,
  hostPort,
  isAddress,
} from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { systemLookup } from "../net/lookup.ts";
import { requireNet } from "../net/permissions.ts";
import type { TcpListener } from "../net/tcp_listener.ts";
import type { TcpStream } from "../net/tcp_stream.ts";
import { UnixListener } from "../net/unix_listener.ts";
import type { UnixStream } from "../net/unix_stream.ts";
import type { InterestSet } from "../poll/interest.ts";
import type { Token } from "../poll/token.ts";
import { checkBuffer, checkRoom, partsOf, takeKept } from "./buffers.ts";
import { run } from "./one_shot.ts";
import { openNumbers } from "./open_options.ts";
import {
  connectPermitted,
  openPermitted,
  type Operations,
  position,
} from "./operations.ts";
import { OwnFile, ownTcpStream, ownUnixStream } from "./own_sources.ts";
import { permittedPath } from "./path_permissions.ts";
import type { ProactorStats } from "./proactor.ts";
import type { PositionOptions, ProactorFile } from "./proactor_file.ts";
import { BYTES_MAX, Pump } from "./pump.ts";
import type { Completed, Request } from "./request.ts";
import { claim, Shots, type Stash } from "./shots.ts";
import { decodeStat } from "./stat.ts";
import { Turns } from "./turns.ts";

/** How a proactor is opened. */
export interface AsyncProactorOptions {
  /**
   * Operations that may be in flight, from 1 to 32,000; more wait until there
   * is room. By default 1,024.
   */
  operations?: number;
  /**
   * Buffers that `for await` receives into, a power of two up to 16,384; by
   * default 64. They are shared by all streams.
   */
  buffers?: number;
  /** Bytes of each buffer, by default 16 KiB. */
  bufferBytes?: number;
}

/** A connection: a stream of a TCP or a Unix socket. */
export type AnyStream = TcpStream | UnixStream;

/** What bytes can be read from or written to at a position. */
export type ByteSource = Endpoint | ProactorFile;

/** Positions of a splice, for the ends that are files. */
export interface SpliceOptions extends Abortable {
  /** Where to read in the first source. */
  at?: number | undefined;
  /** Where to write in the second source. */
  toAt?: number | undefined;
}

/** Adds an operation with bytes up to `length`. */
type AddRange = (batch: Operations, token: Token, length: number) => void;

const OPERATIONS_DEFAULT = 1_024;
const BUFFERS_DEFAULT = 64;
const BUFFER_BYTES_DEFAULT = 16 * 1024;

/**
 * Operations of io_uring as promises, on this thread.
 *
 * - **Batches.** Operations that begin in one turn of microtasks are submitted
 *   together, in one system call.
 * - **Threads.** No operation needs one of the threads that Deno shares among
 *   its own files, names and cryptography; only names are looked up there.
 * - **Memory.** The kernel reads and writes memory of the native library. Bytes
 *   are copied out of the program's buffers when an operation begins, and into
 *   them when it ends. Leave a buffer alone in between: operations wait, and
 *   are copied later, while `operations` others are in flight.
 * - **Abort.** A signal asks the kernel to end the operation, and the promise
 *   rejects with the signal's reason once it has. An operation that was faster
 *   resolves, so nothing that was received, accepted or opened is lost. Of a
 *   send or a write, a part may be done: the stream is best closed then.
 * - **Closing.** A stream or file that the proactor has opened ends its
 *   operations when it is closed, and so does {@linkcode closeSource} for
 *   others: their promises reject with `Deno.errors.Interrupted`.
 *
 * Pending operations keep the process alive; an idle proactor does not.
 *
 * @example An echo server
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { TcpListener } from "../net/tcp_listener.ts";
 * import type { TcpStream } from "../net/tcp_stream.ts";
 * import { AsyncProactor } from "./async_proactor.ts";
 *
 * async function serve(proactor: AsyncProactor, listener: TcpListener) {
 *   for await (const stream of proactor.accept(listener)) {
 *     echo(proactor, stream).catch(() => {});
 *   }
 * }
 * async function echo(proactor: AsyncProactor, stream: TcpStream) {
 *   using _ = stream;
 *   for await (const bytes of proactor.receive(stream)) {
 *     await proactor.send(stream, bytes);
 *   }
 * }
 *
 * await using proactor = new AsyncProactor();
 * using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
 * serve(proactor, listener).catch(() => {});
 * using stream = await proactor.connect(listener.localAddress);
 * await proactor.send(stream, new TextEncoder().encode("hello"));
 * assertEquals(await proactor.receive(stream, new Uint8Array(16)), 5);
 * ```
 */
export class AsyncProactor implements Disposable, AsyncDisposable {
  readonly #pump: Pump;
  /** Bytes that have come for nobody, by stream. */
  readonly #received = new WeakMap<object, Stash<Uint8Array>>();
  /** Connections that have come for nobody, by listener. */
  readonly #accepted = new Map<object, Stash<AnyStream>>();
  readonly #turns = new Turns();

  /**
   * Opens a proactor for this thread.
   *
   * @throws {RangeError} when an option is out of range.
   * @throws {Deno.errors.NotSupported} when the process cannot use io_uring:
   * the message says why.
   */
  constructor(options: AsyncProactorOptions = {}) {
    const {
      operations = OPERATIONS_DEFAULT,
      buffers = BUFFERS_DEFAULT,
      bufferBytes = BUFFER_BYTES_DEFAULT,
    } = options;
    this.#pump = new Pump({ operations, buffers, bufferBytes });
  }

  /** Operations that are not over; a send or a write counts as one more. */
  get pending(): number {
    return this.#pump.pending;
  }

  /** Whether the proactor is closed. */
  get isClosed(): boolean {
    return this.#pump.isClosed;
  }

  /** Completes at once: a round through the kernel. */
  nop(options: Abortable = {}): Promise<void> {
    const add: Request["add"] = (batch, token) => batch.nop(token);
    return this.#run({ add }, "do nothing", options, nothing);
  }

  /**
   * Resolves after `ms` milliseconds; at once when there are less than none.
   *
   * @throws {RangeError} when `ms` is no finite number.
   */
  sleep(ms: number, options: Abortable = {}): Promise<void> {
    const add: Request["add"] = (batch, token) =>
      batch.timeout(token, Math.max(ms, 0));
    return this.#run({ add }, `sleep for ${ms} ms`, options, nothing);
  }

  /** Accepts one connection. */
  acceptOne(listener: TcpListener, options?: Abortable): Promise<TcpStream>;
  /** Accepts one connection. */
  acceptOne(listener: UnixListener, options?: Abortable): Promise<UnixStream>;
  async acceptOne(
    listener: TcpListener | UnixListener,
    options: Abortable = {},
  ): Promise<AnyStream> {
    const refusal = refusalBy(options.signal);
    if (refusal !== undefined) return refusal;
    const kept = this.#stashOf(listener).items.shift();
    if (kept !== undefined) return kept;
    const add: Request["add"] = (batch, token) => batch.accept(token, listener);
    const doing = `accept at ${listener.handle}`;
    const make = (completed: Completed) => this.#stream(listener, completed);
    return await this.#run({ add, source: listener }, doing, options, make);
  }

  /**
   * Accepts connections, several at a time. While the consumer leaves hundreds
   * of them, no more are accepted. Connections that were accepted and not
   * consumed stay for the next iterator or `acceptOne`; closing the proactor
   * closes them. While descriptors are short, accepting rests.
   *
   * @throws {Deno.errors.Busy} while another iterator accepts.
   */
  accept(
    listener: TcpListener,
    options?: Abortable,
  ): AsyncIterableIterator<TcpStream>;
  /** Accepts connections of a Unix socket. */
  accept(
    listener: UnixListener,
    options?: Abortable,
  ): AsyncIterableIterator<UnixStream>;
  accept(
    listener: TcpListener | UnixListener,
    { signal }: Abortable = {},
  ): AsyncIterableIterator<AnyStream> {
    return new Shots<AnyStream>(this.#pump, {
      request: {
        add: (batch, token) => batch.acceptMultishot(token, listener),
        source: listener,
      },
      doing: `accept at ${listener.handle}`,
      signal,
      stash: this.#stashOf(listener),
      item: (completed) => this.#stream(listener, completed),
      bytesOf: () => 0,
      goesOn: true,
    });
  }

  /**
   * Connects. The addresses of a name are tried in turn.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-net` for the address.
   * @throws {Deno.errors.NotFound} when the name is unknown.
   * @throws {Deno.errors.ConnectionRefused} and others, of the first address.
   */
  async connect(address: HostPort & Abortable): Promise<TcpStream> {
    const { hostname, port } = hostPort(address);
    const { signal } = address;
    allowSignal(signal);
    signal?.throwIfAborted();
    if (isAddress(hostname)) {
      requireNet(hostname, port);
      return this.#connect({ hostname, port }, signal);
    }
    let first: unknown;
    for (const found of await systemLookup({ hostname, port })) {
      try {
        return await this.#connect({ hostname: found, port }, signal);
      } catch (error) {
        if (signal?.aborted || this.isClosed) throw error;
        first ??= error;
      }
    }
    throw first;
  }

  #connect(
    address: HostPort,
    signal: AbortSignal | undefined,
  ): Promise<TcpStream> {
    const add: Request["add"] = (batch, token) =>
      connectPermitted(batch, token, address);
    const doing = `connect to "${addressText(address)}"`;
    const make = ({ handle }: Completed) => ownTcpStream(handle, this.#end);
    return this.#run({ add }, doing, { signal }, make);
  }

  /**
   * Receives the bytes that there are into `buffer`, and waits for the first.
   *
   * @returns How many bytes, at most 256 KiB; `null` at the end of the stream.
   * @throws {TypeError} when the buffer was transferred or made smaller
   * meanwhile: then the next receive has the bytes.
   * @throws {Deno.errors.Busy} while another receive of the stream waits.
   */
  receive(
    stream: AnyStream,
    buffer: Uint8Array,
    options?: Abortable,
  ): Promise<number | null>;
  /**
   * Receives the stream's bytes until its end, in parts that belong to the
   * caller. While 64 KiB wait for the consumer, no more is received; what the
   * buffers have by then still comes. Bytes that were received and not consumed
   * stay for the stream's next receive.
   */
  receive(
    stream: AnyStream,
    options?: Abortable,
  ): AsyncIterableIterator<Uint8Array>;
  receive(
    stream: AnyStream,
    buffer?: Uint8Array | Abortable,
    options: Abortable = {},
  ): Promise<number | null> | AsyncIterableIterator<Uint8Array> {
    if (buffer instanceof Uint8Array) {
      return this.#fill(stream, buffer, options, (batch, token, length) => {
        batch.receive(token, stream, length);
      });
    }
    return new Shots<Uint8Array>(this.#pump, {
      request: {
        add: (batch, token) => batch.receiveMultishot(token, stream),
        source: stream,
      },
      doing: `receive from ${stream.handle}`,
      signal: buffer?.signal,
      stash: this.#stashOfBytes(stream),
      item: ({ result, bytes }) => result === 0 ? undefined : bytes.slice(),
      bytesOf: (bytes) => bytes.byteLength,
      goesOn: false,
    });
  }

  /**
   * Sends all of `bytes`, or of several arrays, one behind the other. Sends to
   * one stream happen in the order of their calls.
   *
   * @throws {Deno.errors.BrokenPipe} and others, when the stream has failed.
   */
  send(
    stream: AnyStream,
    bytes: Uint8Array | readonly Uint8Array[],
    options: Abortable = {},
  ): Promise<void> {
    const all = bytes instanceof Uint8Array ? [bytes] : bytes;
    const doing = `send to ${stream.handle}`;
    const add: AddRange = (batch, token, end) =>
      batch.send(token, stream, 0, end);
    const put = async () => {
      for (const part of partsOf(all)) {
        await this.#put(stream, part, { doing, ...options }, add);
      }
    };
    return this.#pump.during(() =>
      this.#turns.take(stream.handle, options.signal, put)
    );
  }

  /** Shuts down one half of a connection, or both: `shutdown(2)`. */
  shutdown(
    stream: AnyStream,
    how: "read" | "write" | "both" = "write",
    options: Abortable = {},
  ): Promise<void> {
    const add: Request["add"] = (batch, token) =>
      batch.shutdown(token, stream, how);
    const doing = `shut down ${stream.handle}`;
    return this.#run({ add, source: stream }, doing, options, nothing);
  }

  /**
   * Waits until a source is ready.
   *
   * @returns Bits of {@linkcode Readiness}.
   */
  poll(
    source: Endpoint,
    interest: InterestSet,
    options: Abortable = {},
  ): Promise<number> {
    const add: Request["add"] = (batch, token) =>
      batch.poll(token, source, interest);
    const doing = `poll ${source.handle}`;
    return this.#run({ add, source }, doing, options, resultOf);
  }

  /**
   * Opens a file, by default to read it. Requires the permissions that
   * `Deno.open` requires, and follows links as it does. A FIFO may open without
   * waiting for its other end.
   *
   * @throws {Deno.errors.NotCapable} when a permission is missing.
   * @throws {Deno.errors.NotFound} and others, when it cannot be opened.
   * @throws {TypeError} when the options contradict each other.
   */
  async open(
    path: string | URL,
    options: Deno.OpenOptions & Abortable = {},
  ): Promise<ProactorFile> {
    const numbers = openNumbers(options);
    const permitted = permittedPath(path, numbers);
    const add: Request["add"] = (batch, token) =>
      openPermitted(batch, token, permitted, numbers);
    const make = ({ handle }: Completed) =>
      new OwnFile(this, { path, handle, end: this.#end });
    const doing = `open "${path}"`;
    try {
      return await this.#run({ add }, doing, options, make);
    } catch (error) {
      // As in Deno: a link that leads nowhere.
      const isLink = !permitted.follows &&
        (error as { code?: string }).code === "ELOOP";
      throw isLink ? errorFrom(errnoNumber("ENOENT"), doing) : error;
    }
  }

  /**
   * Reads into `buffer`, from a position or from the file's own.
   *
   * @returns How many bytes, at most 256 KiB; `null` at the end.
   * @throws {TypeError} when the buffer was transferred or made smaller
   * meanwhile: without `at`, the next read has the bytes.
   * @throws {RangeError} when `at` is no integer from 0 to 2 ** 53 - 1.
   * @throws {Deno.errors.Busy} while another read without `at` waits.
   */
  async read(
    source: ByteSource,
    buffer: Uint8Array,
    { at, signal }: PositionOptions = {},
  ): Promise<number | null> {
    if (at === undefined) {
      return await this.#fill(
        source,
        buffer,
        { signal },
        (batch, token, length) => {
          batch.read(token, source, length);
        },
      );
    }
    checkBuffer(buffer);
    if (buffer.byteLength === 0) return 0;
    const length = Math.min(buffer.byteLength, BYTES_MAX);
    const add: Request["add"] = (batch, token) =>
      batch.read(token, source, length, at);
    const doing = `read ${textOf(source)}`;
    return await this.#run({ add, source }, doing, { signal }, (completed) => {
      if (completed.result === 0) return null;
      checkRoom(buffer, completed.bytes);
      buffer.set(completed.bytes);
      return completed.result;
    });
  }

  /**
   * Writes all of `bytes`, at a position or at the file's own. Writes without
   * `at` to one source happen in the order of their calls.
   *
   * @returns How many bytes: all.
   * @throws {RangeError} when `at` is no integer from 0 to 2 ** 53 - 1.
   */
  async write(
    source: ByteSource,
    bytes: Uint8Array,
    { at, signal }: PositionOptions = {},
  ): Promise<number> {
    const options = { doing: `write ${textOf(source)}`, signal };
    position(at);
    let written = 0;
    const add: AddRange = (batch, token, end) => {
      const place = at === undefined ? undefined : at + written;
      batch.write(token, source, 0, end, place);
    };
    const put = async () => {
      for (const part of partsOf([bytes])) {
        await this.#put(source, part, options, add, (count) => {
          written += count;
        });
      }
    };
    await this.#pump.during(() =>
      at === undefined ? this.#turns.take(source.handle, signal, put) : put()
    );
    return bytes.byteLength;
  }

  /** Waits until a file is on its disk: `fsync(2)`. */
  sync(file: ByteSource, options: Abortable = {}): Promise<void> {
    return this.#sync(file, false, options);
  }

  /** Waits until a file's bytes are on its disk: `fdatasync(2)`. */
  syncData(file: ByteSource, options: Abortable = {}): Promise<void> {
    return this.#sync(file, true, options);
  }

  #sync(
    file: ByteSource,
    dataOnly: boolean,
    options: Abortable,
  ): Promise<void> {
    const add: Request["add"] = (batch, token) =>
      batch.fsync(token, file, dataOnly);
    const doing = `sync ${textOf(file)}`;
    return this.#run({ add, source: file }, doing, options, nothing);
  }

  /**
   * Describes an open file, or the file at a path, as `Deno.stat` does.
   *
   * @throws {Deno.errors.NotCapable} without `--allow-read` for the path.
   * @throws {Deno.errors.NotFound} when there is no file.
   */
  stat(
    file: string | URL | ByteSource,
    options: Abortable = {},
  ): Promise<Deno.FileInfo> {
    const add: Request["add"] = (batch, token) => batch.stat(token, file);
    const info = ({ bytes }: Completed) => decodeStat(bytes, 0);
    if (typeof file === "string" || file instanceof URL) {
      return this.#run({ add }, `stat "${file}"`, options, info);
    }
    return this.#run(
      { add, source: file },
      `stat ${textOf(file)}`,
      options,
      info,
    );
  }

  /**
   * Moves up to `length` bytes between a pipe and another source, without
   * copying them through the program: `splice(2)`.
   *
   * @returns How many bytes; 0 at the end of the first source.
   * @throws {RangeError} when `length` is no integer from 1 to a GiB.
   */
  splice(
    from: ByteSource,
    to: ByteSource,
    length: number,
    { at, toAt, signal }: SpliceOptions = {},
  ): Promise<number> {
    const positions = {
      ...(at === undefined ? {} : { from: at }),
      ...(toAt === undefined ? {} : { to: toAt }),
    };
    const add: Request["add"] = (batch, token) =>
      batch.splice(token, from, to, length, positions);
    const doing = `splice ${textOf(from)} to ${textOf(to)}`;
    return this.#run({ add, source: from }, doing, { signal }, resultOf);
  }

  /**
   * Ends the operations on a source, and closes it: their promises reject with
   * `Deno.errors.Interrupted`, unless they were faster.
   *
   * @throws {Deno.errors.BadResource} when it is closed already.
   */
  async closeSource(source: ByteSource): Promise<void> {
    if (source instanceof OwnFile) {
      const add: Request["add"] = (batch, token) => batch.close(token, source);
      return await this.#run({ add }, `close ${textOf(source)}`, {}, nothing);
    }
    this.#pump.cancelSource(source.handle);
    source.close();
    this.#dropAccepted(source);
  }

  /** Returns the counters of the proactor. */
  stats(): ProactorStats {
    return this.#pump.stats();
  }

  /** Resolves when no operation is pending, after their promises. */
  async settled(): Promise<void> {
    await this.#pump.idle();
    await new Promise<void>(defer);
  }

  /** Lets pending operations keep the process alive, as at first. */
  ref(): void {
    this.#pump.setRef(true);
  }

  /** Lets the process end while operations are pending. */
  unref(): void {
    this.#pump.setRef(false);
  }

  /**
   * Closes the proactor. Operations that are not over end, and their promises
   * reject with `Deno.errors.Interrupted`. Open files and streams stay open.
   */
  close(): void {
    this.#pump.close();
    for (const listener of this.#accepted.keys()) this.#dropAccepted(listener);
  }

  /** Closes the proactor. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Asks all operations to end, waits for them, and closes the proactor. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#pump.cancelAll();
    await this.#pump.idle();
    this.close();
  }

  #run<T>(
    request: Request,
    doing: string,
    { signal }: Abortable,
    finish: (completed: Completed) => T,
  ): Promise<T> {
    return run(this.#pump, request, { doing, signal }, finish);
  }

  /** Sends or writes all of `bytes`; tells `taken` how many were, each time. */
  async #put(
    source: ByteSource,
    bytes: Uint8Array<ArrayBuffer>,
    { doing, signal }: Abortable & { doing: string },
    add: AddRange,
    taken?: (count: number) => void,
  ): Promise<void> {
    let left = bytes;
    while (left.byteLength > 0) {
      const part = left;
      const count = await this.#run(
        {
          add: (batch, token) => add(batch, token, part.byteLength),
          source,
          bytes: part,
        },
        doing,
        { signal },
        resultOf,
      );
      if (count === 0) {
        throw new Deno.errors.WriteZero(`Cannot ${doing}: no byte is taken`);
      }
      taken?.(count);
      left = left.subarray(count);
    }
  }

  /** Reads bytes of a stream, or of a file at its own position. */
  async #fill(
    source: ByteSource,
    buffer: Uint8Array,
    options: Abortable,
    add: AddRange,
  ): Promise<number | null> {
    checkBuffer(buffer);
    const stash = this.#stashOfBytes(source);
    const doing = `read ${textOf(source)}`;
    claim(stash, doing);
    try {
      const refusal = refusalBy(options.signal);
      if (refusal !== undefined) return await refusal;
      if (stash.items.length > 0) return takeKept(stash.items, buffer);
      const length = Math.min(buffer.byteLength, BYTES_MAX);
      if (length === 0) return 0;
      const request: Request = {
        add: (batch, token) => add(batch, token, length),
        source,
      };
      return await this.#run(request, doing, options, (done) => {
        if (done.result === 0) return null;
        if (buffer.byteLength < done.result) {
          stash.items.push(done.bytes.slice());
        }
        checkRoom(buffer, done.bytes);
        buffer.set(done.bytes);
        return done.result;
      });
    } finally {
      stash.isBusy = false;
    }
  }

  /** Ends the operations on the source with that handle. */
  readonly #end = (handle: number): void => this.#pump.cancelSource(handle);

  #stream(
    listener: TcpListener | UnixListener,
    { handle }: Completed,
  ): AnyStream {
    return listener instanceof UnixListener
      ? ownUnixStream(handle, this.#end)
      : ownTcpStream(handle, this.#end);
  }

  #stashOf(listener: object): Stash<AnyStream> {
    let stash = this.#accepted.get(listener);
    if (stash === undefined) {
      stash = { items: [], isBusy: false };
      this.#accepted.set(listener, stash);
    }
    return stash;
  }

  #stashOfBytes(source: object): Stash<Uint8Array> {
    let stash = this.#received.get(source);
    if (stash === undefined) {
      stash = { items: [], isBusy: false };
      this.#received.set(source, stash);
    }
    return stash;
  }

  #dropAccepted(listener: object): void {
    const stash = this.#accepted.get(listener);
    if (stash === undefined) return;
    for (const stream of stash.items.splice(0)) stream[Symbol.dispose]();
    if (!stash.isBusy) this.#accepted.delete(listener);
  }
}

function nothing(): void {}

function resultOf({ result }: Completed): number {
  return result;
}

/** Returns a source for messages. */
function textOf(source: ByteSource): string {
  return source instanceof OwnFile
    ? `"${source.path}"`
    : `source ${source.handle}`;
}
