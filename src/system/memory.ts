/**
 * A system in memory, for tests: sockets are queues of bytes, a policy decides
 * the result of each call, and the clock stands still until a test lets time
 * pass. A reactor on it runs fast, and the same way each time.
 *
 * @module
 */

import { soon } from "../base/own.ts";
import type { HostPort, TcpAddress } from "../net/address.ts";
import type { ReadBatch, WriteBatch } from "../net/batches.ts";
import { MemoryPoll, type MemoryTime } from "./memory_poll.ts";
import {
  MemoryListener,
  type MemoryNetwork,
  type MemoryPolicy,
  type MemorySource,
  MemoryStream,
} from "./memory_sockets.ts";
import type { System } from "./system.ts";

export * from "./memory_poll.ts";
export * from "./memory_sockets.ts";

/** The address of every listener and peer in memory. */
export const MEMORY_ADDRESS: TcpAddress = {
  transport: "tcp",
  hostname: "127.0.0.1",
  port: 1,
};
/** A shorter time is a rounding error of the last digit. */
const ERROR_MS = 1e-6;
/** The shortest wait. */
const WAIT_MS_MIN = 1e-3;

/** The options of a system in memory. */
export interface MemorySystemOptions {
  /** The clock's first time, in milliseconds; 1000 when left out. */
  readonly startMs?: number | undefined;
  /** Decides the results of calls; when left out, all calls succeed. */
  readonly policy?: MemoryPolicy | undefined;
  /** Whether the system has `readAll` and `writeAll`; `false` when left out. */
  readonly batches?: boolean | undefined;
}

/**
 * Sockets, a poll and a clock in memory.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Reactor } from "../reactor/reactor.ts";
 * import { MemorySystem } from "./memory.ts";
 *
 * const system = new MemorySystem();
 * using reactor = new Reactor({ system });
 * reactor.listen({ hostname: "127.0.0.1", port: 1 }, {
 *   data: (connection, bytes, start, end) => {
 *     connection.write(bytes, start, end);
 *   },
 * });
 * const peer = system.arrive();
 * peer.receive("hello");
 * await system.settle();
 * assertEquals(peer.text, "hello");
 * ```
 */
export class MemorySystem implements System, MemoryNetwork, MemoryTime {
  /** Decides the results of calls; a test may change it at any time. */
  policy: MemoryPolicy;
  /** The open sockets, by handle. */
  readonly sources: Map<number, MemorySource> = new Map();
  /** All streams that the reactor has begun to connect. */
  readonly connects: MemoryStream[] = [];
  /** All listeners that the reactor has opened. */
  readonly listeners: MemoryListener[] = [];
  /** Reads several streams in one call; missing without `batches`. */
  readAll?: NonNullable<System["readAll"]>;
  /** Writes to several streams in one call; missing without `batches`. */
  writeAll?: NonNullable<System["writeAll"]>;
  #nowMs: number;
  #untilMs: number;
  #handles = 0;
  #poll: MemoryPoll | undefined;
  #arrive: (() => void) | undefined;

  /** Makes a system without sockets. */
  constructor(options: MemorySystemOptions = {}) {
    this.policy = options.policy ?? {};
    this.#nowMs = this.#untilMs = options.startMs ?? 1_000;
    if (!options.batches) return;
    this.readAll = this.#readAll;
    this.writeAll = this.#writeAll;
  }

  // Methods for tests.

  /** Returns the time, in milliseconds. */
  nowMs(): number {
    return this.#nowMs;
  }

  /**
   * Lets time pass. The promise settles when the reactor has done all work that
   * is due by then and waits, or when its poll is closed.
   */
  async pass(ms: number): Promise<void> {
    const poll = this.#poll;
    if (poll === undefined || poll.isClosed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#untilMs = this.#nowMs + ms;
    this.#arrive = resolve;
    poll.wait?.end();
    await promise;
  }

  /** Lets the reactor do all work that is due now, without time passing. */
  settle(): Promise<void> {
    return this.pass(0);
  }

  /** Lets time pass in the middle of a turn, or of a call. */
  spend(ms: number): void {
    this.#nowMs += ms;
  }

  /**
   * Makes a peer connect to the listener that was opened last.
   *
   * @returns The stream that the reactor will accept; the same object has the
   * peer's methods.
   */
  arrive(): MemoryStream {
    const listener = this.listeners.at(-1)!;
    const stream = new MemoryStream(this);
    listener.arrive(() => stream);
    return stream;
  }

  // Methods for the reactor.

  /** Opens the poll. */
  openPoll(): MemoryPoll {
    return this.#poll = new MemoryPoll(this);
  }

  /** Opens a listener. */
  listen(options: Parameters<System["listen"]>[0]): MemoryListener {
    const port = "port" in options ? options.port : 1;
    const address = { ...MEMORY_ADDRESS, port };
    const listener = new MemoryListener(this, address);
    this.listeners.push(listener);
    return listener;
  }

  /** Connects, at once unless the policy has `connect`. */
  connect(_address: HostPort): MemoryStream {
    const stream = new MemoryStream(this);
    stream.isConnecting = true;
    this.connects.push(stream);
    if (this.policy.connect === undefined) stream.connected();
    else this.policy.connect(stream);
    return stream;
  }

  /** Runs `callback` in a microtask. */
  defer(callback: () => void): void {
    soon(callback);
  }

  // Methods for the poll and the sockets.

  /** Registers a new socket, and returns its handle. */
  open(source: MemorySource): number {
    this.sources.set(++this.#handles, source);
    return this.#handles;
  }

  /** Removes a closed socket. */
  forget(source: MemorySource): void {
    this.sources.delete(source.handle);
    source.registration?.poll.forget(source.registration);
  }

  /** Lets time pass while the poll blocks the thread. */
  block(poll: MemoryPoll, timeoutMs: number): void {
    if (!poll.isReady) this.#advance(timeoutMs);
  }

  /** Ends a wait when it is over within the time that the test lets pass. */
  waits(poll: MemoryPoll): void {
    const { isRound, deadlineMs, end } = poll.wait!;
    if (isRound || poll.isReady) return end();
    if (this.#advance(deadlineMs - this.#nowMs)) return end();
    this.#arrive?.();
    this.#arrive = undefined;
  }

  /** Ends the wait when a source is ready. */
  changed(poll: MemoryPoll): void {
    if (poll.isClosed) this.#arrive?.();
    if (poll.isReady) poll.wait?.end();
  }

  /** Throws an error about a wrong call of the reactor's. */
  misuse(message: string): never {
    this.policy.misuse?.(message);
    throw new Error(`Wrong use of the system: ${message}`);
  }

  /** Lets time pass, as far as the test allows; returns whether all did. */
  #advance(ms: number): boolean {
    // Rounds up as a system does, except for an error of the last digit.
    const waitMs = ms === 0
      ? 0
      : Math.max(WAIT_MS_MIN, Math.ceil(ms - ERROR_MS));
    const leftMs = Math.max(0, this.#untilMs - this.#nowMs);
    this.#nowMs += Math.min(waitMs, leftMs);
    return waitMs <= leftMs;
  }

  #readAll(
    batch: ReadBatch,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    roomMin: number,
  ): number {
    const { length } = batch;
    this.#checkBatch("read", batch);
    let done = 0;
    const end = bytes.byteLength;
    for (let at = start; done < length; done++) {
      if (end - at < roomMin) break;
      const stream = this.find(batch.handle(done));
      const room = this.policy.room?.(stream, end - at) ?? end - at;
      const count = stream.tryRead(bytes, at, at + room);
      batch.setCount(done, count, room);
      at += Math.max(0, count);
    }
    this.policy.log?.("system", `read ${done} of ${length}`);
    return done;
  }

  #writeAll(batch: WriteBatch, bytes: Uint8Array<ArrayBuffer>): void {
    this.#checkBatch("write to", batch);
    for (let index = 0; index < batch.length; index++) {
      const start = batch.start(index);
      const end = batch.end(index);
      const stream = this.find(batch.handle(index));
      batch.setCount(index, stream.tryWrite(bytes, start, end));
    }
    this.policy.log?.("system", `write ${batch.length}`);
  }

  /** An empty batch is misuse, too: the reactor would repeat it without end. */
  #checkBatch(call: string, { length, capacity }: ReadBatch | WriteBatch) {
    if (length > 0 && length <= capacity) return;
    this.misuse(`${call} ${length} streams at once`);
  }

  /** Returns an open stream. */
  find(handle: number): MemoryStream {
    const source = this.sources.get(handle);
    if (source instanceof MemoryStream) return source;
    return this.misuse(`stream ${handle} is closed`);
  }
}
