/**
 * A reactor that does nothing by itself: tests say when time is over.
 *
 * @module
 */

import type { ArrayLedger, ByteQueue } from "../../src/bytes/byte_queue.ts";
import type { TcpStream } from "../../src/net/tcp_stream.ts";
import { ReadBuffer } from "../../src/bytes/read_buffer.ts";
import { type WriteAll, WriteBuffer } from "../../src/bytes/write_buffer.ts";
import type { Connection } from "../../src/reactor/connection.ts";
import type { ConnectionHost } from "../../src/reactor/connection/record.ts";
import type { ListenerHost } from "../../src/reactor/listener/engine.ts";
import { type Timer, Timers } from "../../src/reactor/timers.ts";

/** Records the calls of connections and listeners. */
export class FakeHost implements ConnectionHost, ListenerHost {
  acceptsFailed = 0;
  readonly input = new ReadBuffer();
  readonly output = new WriteBuffer();
  /** Whether broadcasts go out in one call. */
  writeAll: WriteAll | undefined = undefined;
  readonly timers = new Timers();
  /** The calls, a line each. */
  readonly log: string[] = [];
  readonly isClosed = false;
  /** The calls of a connection to its listener. */
  hasRoom = true;
  /** Whether small writes are collected, as in a turn. */
  isFresh = false;
  readonly lacksPriority = false;
  readonly unread = new Map<unknown, ByteQueue>();
  /** The reported errors. */
  readonly reported: unknown[] = [];
  nowMs = 0;
  reads = 0;
  bytesIn = 0;
  memoryBytes = 0;
  readonly memory: ArrayLedger = {
    hold: ({ byteLength }) => this.countMemory(byteLength),
    release: ({ byteLength }) => this.countMemory(-byteLength),
  };
  isCrowded = false;
  isOverfull = false;
  isSpent = false;
  readonly callsLeft = 1;

  /** Lets time pass, and runs the timers that are due then. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (;;) {
      const timer = this.timers.takeDue(this.nowMs);
      if (timer === undefined) return;
      timer.callback();
    }
  }

  makeRoom(): boolean {
    return !this.isCrowded;
  }

  countCalls(): boolean {
    return this.isSpent;
  }

  wrote(): void {}

  countMemory(delta: number): void {
    this.memoryBytes += delta;
  }

  watch(): void {
    this.log.push("watch");
  }

  quietSinceMs(): number {
    return this.nowMs;
  }

  setDeadline(_connection: Connection, delayMs: number): void {
    this.log.push(`setDeadline ${delayMs}`);
  }

  reregister(): void {
    this.log.push("reregister");
  }

  requeue(_source: object): void {
    this.log.push("requeue");
  }

  flushSoon(): void {
    this.log.push("flushSoon");
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.timers.add(this.nowMs + delayMs, callback);
  }

  clearTimer(timer: Timer): void {
    this.timers.remove(timer);
  }

  forget(): void {
    this.log.push("forget");
  }

  forgetListener(): void {
    this.log.push("forget");
  }

  countRef(delta: number): void {
    this.log.push(`countRef ${delta}`);
  }

  accept(stream: TcpStream): boolean {
    this.log.push("accept");
    stream.close();
    return this.hasRoom;
  }

  awaitRoom(): void {
    this.log.push("awaitRoom");
  }

  awaitMemory(): void {
    this.log.push("awaitMemory");
  }

  report(error: unknown): void {
    this.reported.push(error);
  }
}
