/**
 * A system in memory, for tests: sockets are queues of bytes, a policy decides
 * how each call goes, and the clock stands still until a test lets time pass. A
 * reactor on it runs its turns in no time, the same each time.
 *
 * @module
 */

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

/** Where a test listens and connects. */
export const MEMORY_ADDRESS: TcpAddress = {
  transport: "tcp",
  hostname: "127.0.0.1",
  port: 1,
};
/** Less than this is an error of the last digit, and no wait. */
const ERROR_MS = 1e-6;
/** The shortest wait that is one. */
const WAIT_MS_MIN = 1e-3;

/** What a system in memory is made of. */
export interface MemorySystemOptions {
  /** What the clock shows first, in milliseconds; 1000 when left out. */
  readonly startMs?: number | undefined;
  /** Decides how calls go; all go well when it is left out. */
  readonly policy?: MemoryPolicy | undefined;
  /** Whether several streams are read, and written to, in one call. */
  readonly batches?: boolean | undefined;
}

/**
 * Sockets, a poll and a clock, in memory.
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
  /** Decides how calls go; it may be changed at any time. */
  policy: MemoryPolicy;
  /** What is open, by handle. */
  readonly sources: Map<number, MemorySource> = new Map();
  /** Streams that the reactor has begun to connect. */
  readonly connects: MemoryStream[] = [];
  /** Listeners that were opened. */
  readonly listeners: MemoryListener[] = [];
  /** Reads several streams in one call, where that can be done. */
  readAll?: NonNullable<System["readAll"]>;
  /** Writes to several streams in one call, where that can be done. */
  writeAll?: NonNullable<System["writeAll"]>;
  #nowMs: number;
  #untilMs: number;
  #handles = 0;
  #poll: MemoryPoll | undefined;
  #arrive: (() => void) | undefined;

  /** Makes a system in which nothing is open. */
  constructor(options: MemorySystemOptions = {}) {
    this.policy = options.policy ?? {};
    this.#nowMs = this.#untilMs = options.startMs ?? 1_000;
    if (!options.batches) return;
    this.readAll = this.#readAll;
    this.writeAll = this.#writeAll;
  }

  // What a test does.

  /** Returns the time, in milliseconds. */
  nowMs(): number {
    return this.#nowMs;
  }

  /**
   * Lets time pass. The promise settles when the reactor has done all that is
   * to be done by then and waits for more, or is closed.
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

  /** The same, of what is to be done by now. */
  settle(): Promise<void> {
    return this.pass(0);
  }

  /** Lets time pass in the middle of a turn, or of a call. */
  spend(ms: number): void {
    this.#nowMs += ms;
  }

  /**
   * A peer connects to the listener that was opened last.
   *
   * @returns The stream that is accepted; its methods are the peer's, too.
   */
  arrive(): MemoryStream {
    const listener = this.listeners.at(-1)!;
    const stream = new MemoryStream(this);
    listener.arrive(() => stream);
    return stream;
  }

  // What the reactor calls.

  /** Opens the poll. */
  openPoll(): MemoryPoll {
    return this.#poll = new MemoryPoll(this);
  }

  /** Listens. */
  listen(options: Parameters<System["listen"]>[0]): MemoryListener {
    const port = "port" in options ? options.port : 1;
    const address = { ...MEMORY_ADDRESS, port };
    const listener = new MemoryListener(this, address);
    this.listeners.push(listener);
    return listener;
  }

  /** Connects, at once. */
  connect(_address: HostPort): MemoryStream {
    const stream = new MemoryStream(this);
    stream.isConnecting = true;
    this.connects.push(stream);
    if (this.policy.connect === undefined) stream.connected();
    else this.policy.connect(stream);
    return stream;
  }

  /** Calls back when what runs now, and its microtasks, are done. */
  defer(callback: () => void): void {
    queueMicrotask(callback);
  }

  // What the poll and the sockets call.

  /** Takes a socket in, and returns its handle. */
  open(source: MemorySource): number {
    this.sources.set(++this.#handles, source);
    return this.#handles;
  }

  /** Lets go of a socket that is closed. */
  forget(source: MemorySource): void {
    this.sources.delete(source.handle);
    source.registration?.poll.forget(source.registration);
  }

  /** Lets time pass while the poll waits on the thread. */
  block(poll: MemoryPoll, timeoutMs: number): void {
    if (!poll.isReady) this.#advance(timeoutMs);
  }

  /** Ends a wait that need not be; the time that a test gave it passes. */
  waits(poll: MemoryPoll): void {
    const { isRound, deadlineMs, end } = poll.wait!;
    if (isRound || poll.isReady) return end();
    if (this.#advance(deadlineMs - this.#nowMs)) return end();
    this.#arrive?.();
    this.#arrive = undefined;
  }

  /** Ends a wait for which there is something to do. */
  changed(poll: MemoryPoll): void {
    if (poll.isClosed) this.#arrive?.();
    if (poll.isReady) poll.wait?.end();
  }

  /** Throws an error that says what the reactor did. */
  misuse(message: string): never {
    this.policy.misuse?.(message);
    throw new Error(`Cannot be done with a system: ${message}`);
  }

  /** Lets time pass, as far as a test allows; returns whether all has. */
  #advance(ms: number): boolean {
    // Rounded up, as a system does, but not for an error of the last digit.
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
    offset: number,
    roomMin: number,
  ): number {
    const { length } = batch;
    this.#checkBatch("read", batch);
    let done = 0;
    for (let at = offset; done < length; done++) {
      const room = bytes.byteLength - at;
      if (room < roomMin) break;
      const count = this.find(batch.handle(done)).tryRead(bytes, at, room);
      batch.setCount(done, count);
      at += Math.max(0, count);
    }
    this.policy.log?.("system", `read ${done} of ${length}`);
    return done;
  }

  #writeAll(batch: WriteBatch, bytes: Uint8Array<ArrayBuffer>): void {
    this.#checkBatch("write to", batch);
    for (let index = 0; index < batch.length; index++) {
      const start = batch.start(index);
      const length = batch.end(index) - start;
      const stream = this.find(batch.handle(index));
      batch.setCount(index, stream.tryWrite(bytes, start, length));
    }
    this.policy.log?.("system", `write ${batch.length}`);
  }

  /** Nothing would be done, for ever. */
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
