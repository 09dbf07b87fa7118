/**
 * A system in memory whose peers ask, wait for the whole answer and ask again,
 * as wrk does over sockets. It allocates nothing while it runs, so that what is
 * counted is the server's.
 *
 * @module
 */

import { errnoNumber, WOULD_BLOCK } from "../../src/native/errors.ts";
import { CLOCK_WORDS, EVENT_WORDS } from "../../src/native/symbols.ts";
import { ACCEPT_MAX, AcceptBatch } from "../../src/net/listener.ts";
import { type Events, Readiness } from "../../src/poll/events.ts";
import type { Source } from "../../src/poll/registry.ts";
import type {
  Batch,
  ListenerSocket,
  ReactorPoll,
  StreamSocket,
  System,
} from "../../src/system/system.ts";

const ADDRESS = { transport: "tcp", hostname: "127.0.0.1", port: 1 } as const;
const LISTENER_HANDLE = 0;
const NO_TOKEN = -1;
/** After so many polls of nothing, an answer is missing that will not come. */
const IDLE_POLLS_MAX = 10_000;

/** What peers ask, and what they are to be answered. */
export interface Exchange {
  /** How many peers there are. */
  readonly connections: number;
  /** What each writes at once, one character a byte. */
  readonly question: string;
  /** How many answers that has. */
  readonly depth: number;
  /** What each answer ends with. */
  readonly ending: string;
}

/** The server's end of a connection. */
class LoopStream implements StreamSocket {
  readonly localAddress = ADDRESS;
  readonly peerAddress = ADDRESS;
  readonly peerKey = 1;
  readonly handle: number;
  resetOnClose = false;
  token = NO_TOKEN;
  /** Whether the question has not been read. */
  isAsking = true;
  /** Bytes that it was answered. */
  answered = 0;
  readonly #peers: Peers;

  constructor(peers: Peers, handle: number) {
    this.#peers = peers;
    this.handle = handle;
  }

  tryRead(buffer: Uint8Array<ArrayBuffer>, offset: number): number {
    if (!this.isAsking) return WOULD_BLOCK;
    this.isAsking = false;
    const { question } = this.#peers;
    buffer.set(question, offset);
    return question.byteLength;
  }

  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    this.answered += length;
    this.#peers.take(this, bytes, offset, length);
    return length;
  }

  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    let length = 0;
    for (const buffer of buffers) {
      length += this.tryWrite(buffer, 0, buffer.byteLength);
    }
    return length;
  }

  shutdown(): void {}

  takeError(): undefined {}

  close(): void {}

  [Symbol.dispose](): void {}
}

/** What peers have in common: the question, and what is known of answers. */
class Peers {
  readonly question: Uint8Array<ArrayBuffer>;
  /** Bytes of the answers to one question; 0 before the first are there. */
  answerBytes = 0;
  readonly #exchange: Exchange;
  #first: LoopStream | undefined = undefined;
  #firstText = "";

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.question = Uint8Array.from(
      exchange.question,
      (character) => character.charCodeAt(0),
    );
  }

  /** Reads the first answer; all others must be as long as that. */
  take(
    stream: LoopStream,
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): void {
    if (this.answerBytes === 0) this.#read(stream, bytes, offset, length);
    else if (stream.answered > this.answerBytes) {
      throw new Error(
        `Answered with ${stream.answered} bytes instead of ${this.answerBytes}`,
      );
    }
  }

  #read(
    stream: LoopStream,
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): void {
    this.#first ??= stream;
    if (stream !== this.#first) return;
    const part = bytes.subarray(offset, offset + length);
    this.#firstText += String.fromCharCode(...part);
    const { ending, depth } = this.#exchange;
    const isWhole = this.#firstText.endsWith(ending) &&
      this.#firstText.split(ending).length - 1 === depth;
    if (isWhole) this.answerBytes = stream.answered;
  }
}

/** A system with a poll, for one listener, whose peers are there already. */
export class ClosedLoop implements System, ReactorPoll {
  readonly backend = "epoll";
  /** Questions that were answered. */
  answers = 0;
  /** How long a turn takes, by the clock of this system. */
  turnMs = 0;
  /** Told before each poll, when all that was there has been acted on. */
  onPoll: () => void = () => {};
  readonly #streams: LoopStream[];
  readonly #peers: Peers;
  #listenerToken = NO_TOKEN;
  #isAccepted = false;
  #idlePolls = 0;
  #nowMs = 1_000;

  /** @param exchange What goes back and forth. */
  constructor(exchange: Exchange) {
    const peers = this.#peers = new Peers(exchange);
    this.#streams = Array.from(
      { length: exchange.connections },
      (_, index) => new LoopStream(peers, index + 1),
    );
  }

  openPoll(): ReactorPoll {
    return this;
  }

  listen(): ListenerSocket {
    const waiting = [...this.#streams];
    const nothing = () => {};
    return {
      handle: LISTENER_HANDLE,
      localAddress: ADDRESS,
      batch: () => new AcceptBatch(),
      acceptBatch: (batch: Batch) => {
        const accepted = waiting.splice(0, ACCEPT_MAX);
        batch.words[0] = waiting.length > 0 ? 0 : errnoNumber("EAGAIN");
        batch.stream = (index) => accepted[index]!;
        return accepted.length;
      },
      close: nothing,
      [Symbol.dispose]: nothing,
    };
  }

  connect(): StreamSocket {
    throw new Error("Nobody can be connected to here");
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  poll(events: Events): number {
    this.onPoll();
    const { words } = events;
    this.#nowMs += this.turnMs;
    words[0] = Math.floor(this.#nowMs / 1e3);
    words[1] = this.#nowMs % 1e3 * 1e6;
    let count = this.#isAccepted ? 0 : this.#tellOfPeers(words);
    for (let index = 0; index < this.#streams.length; index++) {
      const stream = this.#streams[index]!;
      if (stream.token === NO_TOKEN || !this.#asks(stream)) continue;
      const at = CLOCK_WORDS + EVENT_WORDS * count++;
      words[at] = stream.token;
      words[at + 1] = Readiness.READABLE;
    }
    this.#idlePolls = count > 0 ? 0 : this.#idlePolls + 1;
    if (this.#idlePolls > IDLE_POLLS_MAX) {
      throw new Error(`Nobody was answered after ${this.answers} answers`);
    }
    return events.length = count;
  }

  register(source: Source, token: number): void {
    if (source.handle === LISTENER_HANDLE) this.#listenerToken = token;
    else this.#streams[source.handle - 1]!.token = token;
  }

  reregister(): void {}

  park(): Promise<void> {
    return this.yieldToDeno();
  }

  /** As the native system does it: what it takes is the reactor's to pay. */
  yieldToDeno(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  ref(): void {}

  rest(): void {}

  wake(): void {}

  close(): void {}

  #tellOfPeers(words: Uint32Array): number {
    if (this.#listenerToken === NO_TOKEN) return 0;
    this.#isAccepted = true;
    words[CLOCK_WORDS] = this.#listenerToken;
    words[CLOCK_WORDS + 1] = Readiness.READABLE;
    return 1;
  }

  /** Whether a peer waits to be read: it asks again when it was answered. */
  #asks(stream: LoopStream): boolean {
    if (stream.isAsking) return true;
    const { answerBytes } = this.#peers;
    if (answerBytes === 0 || stream.answered !== answerBytes) return false;
    stream.answered = 0;
    stream.isAsking = true;
    this.answers++;
    return true;
  }
}
