/**
 * Topics across the Workers of a group. Each Worker announces the topics that
 * have subscribers on it, and sends what is published on it to the group, which
 * passes it on to the Workers that have subscribers.
 *
 * A Worker that does not read loses messages: they are counted, and no other
 * Worker waits for it.
 *
 * @module
 */

import type { Connection } from "../../reactor/connection.ts";
import type { Reactor } from "../../reactor/reactor.ts";
import { bytesOf } from "../../websocket/text.ts";
import type { Sendable } from "../../websocket/socket.ts";
import { type Frame, FrameKind, topicFrame, topicOf } from "./frames.ts";

/**
 * Unsent bytes for one Worker beyond which its messages are lost. A Worker that
 * works, and reads a thousand times a second, has room for 4 GB a second.
 */
export const RELAY_BYTES_MAX = 4_194_304;

/**
 * Turns that a message waits for at the most. One that ends early goes on with
 * the connections that it has left, so more are needed where hundreds are busy.
 */
const TURNS_MAX = 8;

/** Frames up to this are copied, for one write of all frames of a turn. */
const SMALL_BYTES_MAX = 2_048;

/** Counts of the messages between Workers. */
export interface RelayCounts {
  /** Messages that went to a Worker, counted for each Worker. */
  relayed: number;
  /** Messages that a Worker lost, since it does not read. */
  lost: number;
}

/** Whether so few bytes wait that a frame of `size` bytes may wait too. */
export function hasRoom({ bufferedBytes }: Connection, size: number): boolean {
  return bufferedBytes === 0 || bufferedBytes + size <= RELAY_BYTES_MAX;
}

/** A message that has come and is not passed on yet. */
interface Pending {
  readonly topic: string;
  readonly frame: Uint8Array<ArrayBuffer>;
  /** The Worker that it is from; `undefined` for the group. */
  readonly from: Connection | undefined;
}

/** Passes messages on between the Workers of a group. */
export class TopicRelay {
  /** Counts of messages. */
  readonly counts: RelayCounts = { relayed: 0, lost: 0 };
  readonly #reactor: Reactor;
  /** Workers by the topics that they have subscribers of. */
  readonly #workers = new Map<string, Set<Connection>>();
  /** Workers that reach other machines. */
  readonly #forwarders = new Set<Connection>();
  #pending: Pending[] = [];
  /** Turns that they have waited for. */
  #turns = 0;

  /** @param reactor The group's reactor. */
  constructor(reactor: Reactor) {
    this.#reactor = reactor;
  }

  /** Acts on a frame of the Worker at the other end of `from`. */
  receive(from: Connection, frame: Frame): void {
    const { topic } = topicOf(frame);
    if (frame.kind === FrameKind.FORWARDS) this.#forwarders.add(from);
    else if (frame.kind === FrameKind.SUBSCRIBED) this.#add(topic, from);
    else if (frame.kind === FrameKind.UNSUBSCRIBED) this.#remove(topic, from);
    else {
      const { bytes, start, end } = frame;
      this.#pass({ topic, frame: bytes.slice(start, end), from });
    }
  }

  /**
   * Publishes a message to the subscribers on all Workers.
   *
   * @throws {TypeError} when `message` is neither text nor bytes.
   */
  publish(topic: string, message: Sendable): void {
    const isText = typeof message === "string";
    const bytes = bytesOf(message);
    const { TEXT, BINARY, FORWARD_TEXT, FORWARD_BINARY } = FrameKind;
    const frame = topicFrame(isText ? TEXT : BINARY, topic, bytes);
    this.#pass({ topic, frame, from: undefined });
    // Each Worker reaches the other machines: one of them has to.
    for (const worker of this.#forwarders) {
      const kind = isText ? FORWARD_TEXT : FORWARD_BINARY;
      return this.#sendIfRoom(worker, topicFrame(kind, topic, bytes));
    }
  }

  /** Forgets a Worker that has ended. */
  leave(worker: Connection): void {
    this.#forwarders.delete(worker);
    for (const topic of this.#workers.keys()) this.#remove(topic, worker);
  }

  #add(topic: string, worker: Connection): void {
    const workers = this.#workers.get(topic);
    if (workers === undefined) this.#workers.set(topic, new Set([worker]));
    else workers.add(worker);
  }

  #remove(topic: string, worker: Connection): void {
    const workers = this.#workers.get(topic);
    if (workers?.delete(worker) && workers.size === 0) {
      this.#workers.delete(topic);
    }
  }

  /**
   * Passes a message on when a turn has read all that came before, such as the
   * announcement of a subscriber that the publisher knows of.
   */
  #pass(message: Pending): void {
    if (this.#pending.length === 0) {
      this.#turns = 0;
      this.#reactor.setTimer(0, this.#passOn);
    }
    this.#pending.push(message);
  }

  readonly #passOn = (): void => {
    if (this.#reactor.isBehind && ++this.#turns < TURNS_MAX) {
      return void this.#reactor.setTimer(0, this.#passOn);
    }
    const pending = this.#pending;
    this.#pending = [];
    for (const { topic, frame, from } of pending) {
      for (const worker of this.#workers.get(topic) ?? []) {
        if (worker !== from) this.#sendIfRoom(worker, frame);
      }
    }
  };

  #sendIfRoom(worker: Connection, frame: Uint8Array<ArrayBuffer>): void {
    if (!hasRoom(worker, frame.byteLength)) return void this.counts.lost++;
    this.counts.relayed++;
    // Small frames leave together; a large one is kept once for all Workers.
    if (frame.byteLength <= SMALL_BYTES_MAX) worker.write(frame);
    else worker.writeOwned(frame);
  }
}
