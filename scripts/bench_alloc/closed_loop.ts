/**
 * A system in memory with peers that ask, wait for the whole answer and ask
 * again, as wrk does over sockets. It allocates nothing while it runs, so that
 * only the server's bytes are counted.
 *
 * @module
 */

import { WOULD_BLOCK } from "../../src/native/errors.ts";
import { Readiness } from "../../src/poll/events.ts";
import {
  changed,
  type MemoryListener,
  MemoryPoll,
  MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import type { System } from "../../src/system/system.ts";

/** After so many polls without an event, no answer will come. */
const IDLE_POLLS_MAX = 10_000;

/** The question of peers, and its answer. */
export interface Exchange {
  /** How many peers there are. */
  readonly connections: number;
  /** The bytes that each writes at once, in ASCII. */
  readonly question: string;
  /** The number of answers to them. */
  readonly depth: number;
  /** The end of each answer. */
  readonly ending: string;
}

/** The server's end of a connection, which keeps no bytes. */
class LoopStream extends MemoryStream {
  /** Whether the question has not been read. */
  isAsking = true;
  /** Bytes of the answer so far. */
  answered = 0;
  readonly #loop: ClosedLoop;

  constructor(loop: ClosedLoop) {
    super(loop);
    this.#loop = loop;
  }

  override readiness(): number {
    return Readiness.WRITABLE | (this.isAsking ? Readiness.READABLE : 0);
  }

  override tryRead(buffer: Uint8Array<ArrayBuffer>, start: number): number {
    if (!this.isAsking) return WOULD_BLOCK;
    this.isAsking = false;
    const { question } = this.#loop;
    buffer.set(question, start);
    return question.byteLength;
  }

  override tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    const length = end - start;
    this.answered += length;
    const { answerBytes } = this.#loop;
    if (answerBytes === 0) {
      this.#loop.readFirst(this, bytes.subarray(start, end));
    } else if (this.answered > answerBytes) {
      throw new Error(
        `Answered with ${this.answered} bytes instead of ${answerBytes}`,
      );
    }
    return length;
  }

  override tryWriteVectored(
    buffers: readonly Uint8Array<ArrayBuffer>[],
  ): number {
    let length = 0;
    for (const buffer of buffers) {
      length += this.tryWrite(buffer, 0, buffer.byteLength);
    }
    return length;
  }

  /** Asks again after a whole answer; returns whether it was one. */
  ask(): boolean {
    const { answerBytes } = this.#loop;
    if (answerBytes === 0 || this.answered !== answerBytes) return false;
    this.answered = 0;
    this.isAsking = true;
    changed(this, Readiness.READABLE);
    return true;
  }
}

/** A poll that waits for Deno's loop as the native one does. */
class LoopPoll extends MemoryPoll {
  readonly #isAsked: boolean;

  constructor(system: ClosedLoop, isAsked: boolean) {
    super(system);
    this.#isAsked = isAsked;
  }

  /** Without questions: waits without limit. */
  override park(): Promise<void> {
    return this.#isAsked ? this.yieldToDeno() : new Promise(() => {});
  }

  /** The reactor's allocations count. */
  override yieldToDeno(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

/** A system for one listener with peers that are connected already. */
export class ClosedLoop extends MemorySystem {
  /** Questions that were answered. */
  answers = 0;
  /** How long a turn takes, by the clock of this system. */
  turnMs = 0;
  /** Called before each poll, when the reactor has acted on all events. */
  onPoll: () => void = () => {};
  /** The bytes that each peer writes at once. */
  readonly question: Uint8Array<ArrayBuffer>;
  /** Bytes of the answers to one question; 0 before the first is whole. */
  answerBytes = 0;
  readonly #exchange: Exchange;
  readonly #streams: LoopStream[];
  #firstAnswer = "";
  #idlePolls = 0;
  /** Its own clock: the one of the class above allocates. */
  #ms = 1_000;

  constructor(exchange: Exchange) {
    super();
    this.#exchange = exchange;
    this.question = new TextEncoder().encode(exchange.question);
    this.#streams = Array.from(
      { length: exchange.connections },
      () => new LoopStream(this),
    );
  }

  /** Reads the first answer; all others must be as long as that. */
  readFirst(stream: LoopStream, part: Uint8Array): void {
    if (stream !== this.#streams[0]) return;
    this.#firstAnswer += String.fromCharCode(...part);
    const { ending, depth } = this.#exchange;
    const isWhole = this.#firstAnswer.endsWith(ending) &&
      this.#firstAnswer.split(ending).length - 1 === depth;
    if (isWhole) this.answerBytes = stream.answered;
  }

  override nowMs(): number {
    return this.#ms;
  }

  override openPoll(): MemoryPoll {
    return new LoopPoll(this, this.#exchange.depth > 0);
  }

  override listen(options: Parameters<System["listen"]>[0]): MemoryListener {
    const listener = super.listen(options);
    for (const stream of this.#streams) listener.arrive(() => stream);
    return listener;
  }

  override defer(callback: () => void): void {
    setImmediate(callback);
  }

  /** Nothing waits for it. */
  override changed(): void {}

  override block(poll: MemoryPoll): void {
    this.onPoll();
    this.#ms += this.turnMs;
    // By index: until it is optimised, an iterator makes objects.
    for (let index = 0; index < this.#streams.length; index++) {
      if (this.#streams[index]!.ask()) this.answers++;
    }
    this.#idlePolls = poll.isReady ? 0 : this.#idlePolls + 1;
    if (this.#idlePolls <= IDLE_POLLS_MAX) return;
    throw new Error(`No peer was answered after ${this.answers} answers`);
  }
}
