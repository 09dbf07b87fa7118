/**
 * A connection without sockets: a transport that records what leaves, in
 * which writes, and feeds bytes through a shared buffer as the reactor
 * does, overwriting bytes that were not retained.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import { HttpConnection } from "../../src/http/h1/connection.ts";
import type { HttpLimits } from "../../src/http/http_limits.ts";
import type { Observer } from "../../src/http/observer.ts";
import { type Handler, type Scheme, Service } from "../../src/http/service.ts";
import { BUSY_BYTES } from "../../src/http/transport.ts";
import type { HttpTransport, ServeAddress } from "../../src/http/transport.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import type { Output } from "../../src/stream/shared.ts";
import { ReadBuffer } from "../../src/bytes/read_buffer.ts";
import { settingsOf } from "../../src/server/option_table.ts";
import { type Answer, parseAnswers } from "./http_answers.ts";
import { concat, latin1, toLatin1 } from "./http_bytes.ts";
import { DEADLINE_MS } from "./waiting.ts";

const OUTPUT_BYTES = 65_536;
/** Overwrites bytes that were not retained: no valid HTTP. */
const POISON = 0;
/** Rounds of Deno's loop after which a fake connection has nothing to do. */
const QUIET_ROUNDS = 8;

/**
 * What has tests of its own: heads are compared whole, without what they
 * advertise, and deadlines are those of what is tested.
 */
const UNTOLD = { keepAliveMs: Infinity, headMs: Infinity };

/** How a transport was closed. */
export type Closing = "close" | "closeLingering" | "abort";

/** Records the calls of HTTP to its transport. */
export class FakeTransport implements HttpTransport {
  nowMs = 0;
  bufferedBytes = 0;
  heldBytes = 0;
  isOverfull = false;
  /** Whether it waits until connections hold less. */
  awaitsRoom = false;
  readonly peerAddress: TcpAddress = {
    transport: "tcp",
    hostname: "192.0.2.1",
    port: 4321,
  };
  readonly localAddress: TcpAddress = {
    transport: "tcp",
    hostname: "192.0.2.2",
    port: 8080,
  };
  /** The bytes that left, one entry a write. */
  readonly sends: Uint8Array<ArrayBuffer>[] = [];
  /** Where reads go. */
  readonly input: ReadBuffer = new ReadBuffer();
  /** Whether the peer takes nothing. */
  isStuck = false;
  isPaused = false;
  /** Whether the peer's end has come, read or not. */
  peerHasEnded = false;
  /** The deadlines that were set. */
  readonly deadlines: number[] = [];
  /** How it was closed first. */
  closing: Closing | undefined;
  /** The milliseconds until its timeout; infinity when none is set. */
  deadlineMs = Infinity;
  /** Called when nothing more can be sent. */
  onClosed: () => void = () => {};
  /** Called when the transport's protocol is asked to finish. */
  onShutdown: () => void = () => {};
  /** Reads the bytes that are there, and returns their number. */
  onReadNow: () => number = () => 0;
  /** Called when our end was sent. */
  onWriteClosed: () => void = () => {};
  isClosed = false;
  readonly #output: Output = { bytes: new Uint8Array(OUTPUT_BYTES), length: 0 };

  reserve(size: number): Output | undefined {
    if (size > OUTPUT_BYTES) return undefined;
    if (OUTPUT_BYTES - this.#output.length < size) this.flush();
    return this.#output;
  }

  write(
    bytes: Uint8Array<ArrayBuffer>,
    start = 0,
    end: number = bytes.byteLength,
  ): boolean {
    this.flush();
    this.#send(bytes.slice(start, end));
    return this.bufferedBytes < BUSY_BYTES;
  }

  writeVectored(parts: readonly Uint8Array<ArrayBuffer>[]): boolean {
    const bytes = concat([
      this.#output.bytes.slice(0, this.#output.length),
      ...parts,
    ]);
    this.#output.length = 0;
    this.#send(bytes);
    return this.bufferedBytes < BUSY_BYTES;
  }

  writeOwned(bytes: Uint8Array<ArrayBuffer>): boolean {
    return this.write(bytes);
  }

  /** Ends a turn: serialised answers leave in one write. */
  flush(): void {
    const { bytes, length } = this.#output;
    this.#output.length = 0;
    if (length > 0) this.#send(bytes.slice(0, length));
  }

  setDeadline(delayMs: number): void {
    this.deadlines.push(delayMs);
    this.deadlineMs = delayMs;
  }

  retain(end: number): void {
    this.input.retain(end);
  }

  awaitRoom(): void {
    this.awaitsRoom = true;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  readNow(): number {
    return this.onReadNow();
  }

  shutdown(): void {
    this.onShutdown();
  }

  closeIdle(): void {
    this.flush();
    this.onWriteClosed();
    if (this.readNow() > 0) this.closeLingering();
    else this.close();
  }

  close(): void {
    this.flush();
    this.closing ??= "close";
    if (this.bufferedBytes === 0) this.closed();
  }

  closeLingering(): void {
    this.flush();
    this.closing ??= "closeLingering";
  }

  abort(): void {
    this.closing = "abort";
    this.closed();
  }

  /** The connection is gone. */
  closed(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.onClosed();
  }

  #send(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.isClosed) return;
    if (this.closing !== undefined) {
      throw new Error(`Bytes were written after ${this.closing}`);
    }
    this.sends.push(bytes);
    if (this.isStuck) this.bufferedBytes += bytes.byteLength;
  }
}

/** The handlers and options of a fake peer's server. */
export interface PeerOptions {
  limits?: Partial<HttpLimits>;
  onError?: (error: unknown) => Response | Promise<Response>;
  requireHost?: boolean;
  scheme?: Scheme;
  observer?: Observer;
}

/** A client of one {@linkcode HttpConnection}. */
export class Peer {
  readonly transport = new FakeTransport();
  readonly service: Service;
  readonly connection: HttpConnection;
  /** The errors that `onError` received. */
  readonly errors: unknown[] = [];
  /** The reported errors of failed streams. */
  readonly reports: unknown[] = [];
  /** Handlers whose promises are pending. */
  work = 0;
  readonly #inbox: Uint8Array<ArrayBuffer>[] = [];
  #sendsEnd = false;

  constructor(
    handler: Handler,
    { limits, onError, ...others }: PeerOptions = {},
  ) {
    this.service = new Service({
      ...others,
      // The transport has addresses of that kind.
      handler: handler as Handler<ServeAddress>,
      onError: (error) => {
        this.errors.push(error);
        return onError?.(error) ?? new Response("failed", { status: 500 });
      },
      limits: { ...settingsOf({}), ...UNTOLD, ...limits },
      report: (error) => this.reports.push(error),
      beginWork: () => this.work++,
      endWork: () => this.work--,
    });
    this.connection = new HttpConnection(this.transport, this.service);
    this.transport.onClosed = () => this.connection.closed();
    this.transport.onReadNow = () => this.#readNow();
  }

  /** All that has left, one character a byte. */
  get output(): string {
    return toLatin1(concat(this.transport.sends));
  }

  /** Bytes that the server has not read. */
  get unread(): number {
    return this.#inbox.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Sends each part in a turn of its own, as far as the server reads. */
  send(...parts: (string | Uint8Array<ArrayBuffer>)[]): this {
    for (const part of parts) {
      this.#inbox.push(typeof part === "string" ? latin1(part) : part);
      this.turn();
    }
    return this;
  }

  /** Sends bytes without an event: the server finds them when it reads. */
  sendUnnoticed(text: string): this {
    this.#inbox.push(latin1(text));
    return this;
  }

  /** Sends the end of the stream, behind the bytes. */
  end(): this {
    this.#sendsEnd = true;
    this.turn();
    return this;
  }

  /** Is gone without a word. */
  reset(): this {
    this.transport.closed();
    return this;
  }

  /** Takes all that waits. */
  read(): this {
    const { transport } = this;
    transport.isStuck = false;
    transport.bufferedBytes = 0;
    this.connection.drain();
    this.turn();
    if (transport.closing === "close") transport.closed();
    return this;
  }

  /** One turn: reads what there is to read, then writes. */
  turn(): void {
    while (this.#readable()) this.#deliver(this.#inbox.shift()!);
    const { transport } = this;
    if (this.#sendsEnd) this.#endReading();
    transport.flush();
  }

  /** Makes the server read the bytes that were kept back. */
  #readNow(): number {
    const before = this.unread;
    while (this.#readable()) this.#deliver(this.#inbox.shift()!);
    return before - this.unread;
  }

  #endReading(): void {
    const { transport } = this;
    const isToldBefore = transport.peerHasEnded;
    transport.peerHasEnded = true;
    if (this.unread === 0 && this.#reads) {
      this.#sendsEnd = false;
      if (transport.closing === "closeLingering") transport.closed();
      else if (!transport.isClosed) this.connection.end();
    } else if (!isToldBefore) this.connection.ending();
  }

  /** Runs until nothing happens any more. */
  async settle(): Promise<this> {
    for (let quiet = 0; quiet < QUIET_ROUNDS; quiet++) {
      const before = this.#progress();
      this.turn();
      await round();
      this.turn();
      if (this.#progress() !== before) quiet = 0;
    }
    return this;
  }

  /** Runs until `condition` holds. */
  async until(condition: () => boolean, what: string): Promise<this> {
    const endMs = performance.now() + DEADLINE_MS;
    while (!condition()) {
      if (performance.now() > endMs) {
        throw new AssertionError(`Waited ${DEADLINE_MS} ms for ${what}`);
      }
      this.turn();
      await round();
    }
    return this;
  }

  /**
   * Runs until nothing happens any more and returns the answers.
   *
   * @param methods The requests' methods, GET where there is none.
   */
  async answers(...methods: string[]): Promise<Answer[]> {
    await this.settle();
    return parseAnswers(concat(this.transport.sends), methods);
  }

  #progress(): string {
    const { sends, isPaused, isClosed } = this.transport;
    return [sends.length, this.unread, isPaused, isClosed, this.work].join();
  }

  get #reads(): boolean {
    const { isPaused, bufferedBytes } = this.transport;
    return !isPaused && bufferedBytes < BUSY_BYTES;
  }

  #readable(): boolean {
    return this.#inbox.length > 0 && this.#reads && !this.transport.isClosed;
  }

  #deliver(part: Uint8Array<ArrayBuffer>): void {
    const { input } = this.transport;
    const { bytes, start } = input;
    const room = bytes.byteLength - start;
    if (part.byteLength > room) this.#inbox.unshift(part.slice(room));
    const now = part.subarray(0, room);
    bytes.set(now, start);
    const end = start + now.byteLength;
    if (this.transport.closing === "closeLingering") return;
    this.connection.data(bytes, start, end);
    if (input.bytes === bytes) bytes.fill(POISON, input.start, end);
  }
}

/** Returns once Deno's event loop has had a round. */
function round(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
