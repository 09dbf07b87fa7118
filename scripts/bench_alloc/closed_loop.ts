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
  /** What each writes at once, in ASCII. */
  readonly question: string;
  /** How many answers that has; none for peers that never ask. */
  readonly depth: number;
  /** What each answer ends with. */
  readonly ending: string;
}

/** The server's end of a connection. */
class LoopStream implements StreamSocket {
  readonly localAddress = ADDRESS;
  readonly peerAddress = ADDRESS;
  readonly peerKey = 1;
  resetOnClose = false;
  token = NO_TOKEN;
  /** Whether the question has not been read. */
  isAsking: boolean;
  /** Bytes of the answer so far. */
  answered = 0;
  readonly #peers: Peers;

  constructor(peers: Peers, readonly handle: number) {
    this.#peers = peers;
    this.isAsking = peers.exchange.depth > 0;
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
    const { answerBytes } = this.#peers;
    if (answerBytes === 0) {
      this.#peers.read(this, bytes.subarray(offset, offset + length));
    } else if (this.answered > answerBytes) {
      throw new Error(
        `Answered with ${this.answered} bytes instead of ${answerBytes}`,
      );
    }
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

/** The question of all peers, and the length of its answers. */
class Peers {
  readonly question: Uint8Array<ArrayBuffer>;
  /** Bytes of the answers to one question; 0 before the first is whole. */
  answerBytes = 0;
  #first: LoopStream | undefined = undefined;
  #text = "";

  constructor(readonly exchange: Exchange) {
    this.question = new TextEncoder().encode(exchange.question);
  }

  /** Reads the first answer; all others must be as long as that. */
  read(stream: LoopStream, part: Uint8Array): void {
    this.#first ??= stream;
    if (stream !== this.#first) return;
    this.#text += String.fromCharCode(...part);
    const { ending, depth } = this.exchange;
    const isWhole = this.#text.endsWith(ending) &&
      this.#text.split(ending).length - 1 === depth;
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
  /** Called before each poll, when the reactor has acted on all events. */
  onPoll: () => void = () => {};
  readonly #streams: LoopStream[];
  readonly #peers: Peers;
  #listenerToken = NO_TOKEN;
  #isAccepted = false;
  #idlePolls = 0;
  #nowMs = 1_000;

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
    let count = 0;
    if (!this.#isAccepted && this.#listenerToken !== NO_TOKEN) {
      this.#isAccepted = true;
      tellReadable(words, count++, this.#listenerToken);
    }
    for (let index = 0; index < this.#streams.length; index++) {
      const stream = this.#streams[index]!;
      if (stream.token === NO_TOKEN || !this.#asks(stream)) continue;
      tellReadable(words, count++, stream.token);
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

  /** Without questions, for ever. */
  park(): Promise<void> {
    const isAsked = this.#peers.exchange.depth > 0;
    return isAsked ? this.yieldToDeno() : new Promise(() => {});
  }

  /** As the native system does it: what it takes is the reactor's to pay. */
  yieldToDeno(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  reregister(): void {}
  ref(): void {}
  rest(): void {}
  wake(): void {}
  close(): void {}

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

function tellReadable(words: Uint32Array, place: number, token: number): void {
  words[CLOCK_WORDS + EVENT_WORDS * place] = token;
  words[CLOCK_WORDS + EVENT_WORDS * place + 1] = Readiness.READABLE;
}
