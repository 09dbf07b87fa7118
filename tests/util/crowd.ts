/**
 * Many clients at once, on one poll.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import { WOULD_BLOCK } from "../../src/native/errors.ts";
import type { HostPort } from "../../src/net/address.ts";
import { TcpStream } from "../../src/net/tcp_stream.ts";
import { Events, Readiness } from "../../src/poll/events.ts";
import { Interest } from "../../src/poll/interest.ts";
import { Poll } from "../../src/poll/poll.ts";
import { DEADLINE_MS } from "./waiting.ts";

/** How long nothing must come for all to have come. */
const SILENCE_MS = 300;

/** Clients that ask one question each and note which were answered. */
export class Crowd implements Disposable {
  /** Those that were answered since they asked last. */
  readonly answered = new Set<number>();
  /** Whether the server may close connections that it has answered. */
  mayEnd = false;
  readonly #poll = new Poll();
  readonly #events = new Events();
  readonly #streams: TcpStream[] = [];
  /** Those that ask as soon as they are connected. */
  readonly #waiting = new Set<number>();
  readonly #buffer = new Uint8Array(4096);
  readonly #question: Uint8Array<ArrayBuffer>;

  /** @param question The bytes that each client sends when it is connected. */
  constructor(question: string) {
    this.#question = new TextEncoder().encode(question);
  }

  /** Connects `count` more. */
  connect(address: HostPort, count: number): void {
    for (; count > 0; count--) {
      const stream = TcpStream.connect(address);
      const client = this.#streams.push(stream) - 1;
      const both = Interest.READABLE | Interest.WRITABLE;
      this.#poll.registry.register(stream, client, both);
      // What it connects to is on this machine, and has room for it.
      this.#ask(client);
    }
  }

  /** Makes these clients ask again. */
  askAgain(clients: Iterable<number>): void {
    for (const client of clients) {
      this.answered.delete(client);
      this.#ask(client);
    }
  }

  /** Hangs up. */
  close(clients: Iterable<number>): void {
    for (const client of clients) this.#streams[client]!.close();
  }

  /** Waits until `count` are answered. */
  waitFor(count: number): void {
    const endMs = performance.now() + DEADLINE_MS;
    while (this.answered.size < count) {
      this.#collect(DEADLINE_MS);
      if (performance.now() < endMs) continue;
      throw new AssertionError(
        `Waited for ${count} answers, there are ${this.answered.size}`,
      );
    }
  }

  /** Waits until no more answers come. */
  waitForSilence(): void {
    while (this.#collect(SILENCE_MS) > 0);
  }

  /** Hangs up on all. */
  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream[Symbol.dispose]();
    this.#poll.close();
  }

  #ask(client: number): void {
    const { byteLength } = this.#question;
    const count = this.#streams[client]!.tryWrite(
      this.#question,
      0,
      byteLength,
    );
    if (count === byteLength) return;
    // Not connected yet: the first writable event comes back here.
    if (count !== WOULD_BLOCK) {
      throw new AssertionError(`Client ${client} cannot ask: ${count}`);
    }
    this.#waiting.add(client);
  }

  #collect(timeoutMs: number): number {
    const count = this.#poll.poll(this.#events, timeoutMs);
    for (const { token, readiness } of this.#events) {
      if (readiness & Readiness.WRITABLE && this.#waiting.delete(token)) {
        this.#ask(token);
      }
      if (readiness & Readiness.READABLE) this.#read(token);
    }
    return count;
  }

  #read(client: number): void {
    for (;;) {
      const count = this.#streams[client]!.tryRead(
        this.#buffer,
        0,
        this.#buffer.byteLength,
      );
      if (count === WOULD_BLOCK) return;
      if (count <= 0) {
        if (this.mayEnd && this.answered.has(client)) return;
        throw new AssertionError(`Client ${client} was hung up on: ${count}`);
      }
      this.answered.add(client);
    }
  }
}
