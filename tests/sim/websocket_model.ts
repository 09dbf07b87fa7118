/**
 * What must hold of one WebSocket of a server: the model that each call of a
 * handler, and each result of a method, is compared with.
 *
 * @module
 */

import { BINARY, FIN, PING, PONG, TEXT } from "../../src/websocket/frames.ts";
import type { WebSocketLimits } from "../../src/websocket/limits.ts";
import type {
  Message,
  SendOptions,
  SendResult,
  ServerWebSocket,
} from "../../src/websocket/socket.ts";
import type { SocketRecord } from "../../src/websocket/state.ts";
import { sameBytes } from "../util/random.ts";
import type { Client, Sent } from "./websocket_client.ts";
import type { Delivery } from "./websocket_script.ts";
import type { World } from "./world.ts";

/** The marks between which unsent bytes are many. */
const HIGH_WATER_BYTES = 65_536;
const LOW_WATER_BYTES = 16_384;
/** What one read may leave, with its rows, and what compression keeps. */
const HELD_BYTES = 210_000;
/** The length of a turn: its time is that of its begin. */
const TURN_MS = 30;

/** What the models of a world share. */
export interface Surroundings {
  readonly world: World;
  readonly limits: WebSocketLimits;
  /** Whether the program hears pings and pongs. */
  readonly hearsPings: boolean;
  /** Whether the server's reactor was closed. */
  readonly isClosed: () => boolean;
}

/** The model of one WebSocket. */
export class Model {
  readonly client: Client;
  /** How many messages have come. */
  received = 0;
  /** Whether `close` was called. */
  hasClosed = false;
  /** Whether the program, or a limit of time, has ended the WebSocket. */
  isEndedByUs = false;
  /** Whether `drain` must be called. */
  owesDrain = false;
  /** Whether the program loops over the messages. */
  isLooping = false;
  /** The WebSocket, once it is open. */
  maybeSocket: ServerWebSocket | undefined;
  readonly #around: Surroundings;
  readonly #world: World;
  readonly #topics = new Set<string>();
  /** How many deliveries of the client's script have come. */
  #next = 0;
  /** Promises of handlers that hold messages. */
  #holding = 0;
  /** Whether `message` runs. */
  #isIn = false;
  #isReset = false;
  #closedMs = Infinity;
  /** Since when messages may come, as far as the program is concerned. */
  #freeMs = -Infinity;

  constructor(around: Surroundings, client: Client) {
    this.#around = around;
    this.#world = around.world;
    this.client = client;
  }

  /** The WebSocket, which must be open or closed. */
  get socket(): ServerWebSocket {
    return this.maybeSocket!;
  }

  // Calls of handlers.

  /** `open` is called. */
  opened(socket: ServerWebSocket): void {
    this.expect(this.maybeSocket === undefined, () => "is opened twice");
    this.maybeSocket = socket;
    this.#expectState(1);
  }

  /** Calls the handler `message`. */
  message(message: Message, handler: () => unknown): unknown {
    this.#called("message");
    this.expect(!this.#isIn, () => "gets a message inside of another");
    this.expect(this.#holding === 0, () => "gets a message while it works");
    this.expect(!this.socket.isPaused, () => "gets a message while paused");
    this.#expectState(1);
    this.expect(!this.isLooping, () => "gets the message of a loop");
    this.#isIn = true;
    try {
      this.take(message);
      return handler();
    } finally {
      this.#isIn = false;
    }
  }

  /** `ping` or `pong` is called. */
  control(kind: "ping" | "pong", bytes: Uint8Array<ArrayBuffer>): void {
    this.#called(kind);
    const isFree = this.#holding === 0 || this.isLooping;
    this.expect(isFree, () => `gets a ${kind} while it works`);
    this.#notice(kind, bytes);
  }

  /** `drain` is called. */
  drain(): void {
    this.#called("drain");
    this.#expectState(1);
    const { bufferedBytes } = this.socket;
    this.expect(
      bufferedBytes <= LOW_WATER_BYTES,
      () => `drains with ${bufferedBytes} unsent bytes`,
    );
    this.owesDrain = false;
  }

  /** `error` is called. */
  error({ message }: Error): void {
    this.#called("error");
    this.log(`error: ${message}`);
    const { limits } = this.#around;
    switch (message) {
      case "The connection has failed":
        return this.expect(this.#isGone, () => "fails for nothing");
      case "The peer has not answered the close frame in time": {
        this.#isReset = true;
        const ms = this.#world.nowMs - this.#closedMs + TURN_MS;
        return this.expect(ms >= limits.closeMs, () => "gets too little time");
      }
      case "The peer has taken no byte in time": {
        const { isStuck } = this.client.peer;
        this.isReset();
        return this.expect(isStuck, () => "is reset, and the client reads");
      }
      case "The peer has given no sign of life": {
        this.isReset();
        // A ping is sent at half of the time, and waits for the other half.
        const ms = this.#world.nowMs - this.#freeMs + TURN_MS;
        const isLong = ms >= limits.webSocketIdleMs / 2;
        return this.expect(isLong, () => `is idle after ${ms} ms`);
      }
    }
    const { closing } = this.client.script;
    // Messages that come after `close` are not decompressed.
    if (closing?.isHidden && this.isEndedByUs) return;
    this.expect(
      closing?.isClean === false && message.endsWith(`(${closing.code})`),
      () => `gets the error ${message}`,
    );
  }

  /** `close` is called. */
  closed(code: number, reason: string, wasClean: boolean): void {
    this.#called("close");
    this.log(`closed: ${code} ${reason}`);
    this.hasClosed = true;
    this.#expectState(3);
    const { heldBytes } = (this.socket as SocketRecord).transport;
    this.expect(heldBytes === 0, () => `holds ${heldBytes} bytes when closed`);
    this.expect(
      this.#isRightEnd(code, reason, wasClean),
      () => `closes with ${code} "${reason}", ${wasClean}`,
    );
  }

  #called(what: string): void {
    const { maybeSocket, hasClosed } = this;
    this.expect(maybeSocket !== undefined, () => `gets ${what} before open`);
    this.expect(!hasClosed, () => `gets ${what} after close`);
    const { heldBytes } = (maybeSocket as SocketRecord).transport;
    const most = 2 * this.#around.limits.messageBytesMax + HELD_BYTES;
    this.expect(heldBytes <= most, () => `holds ${heldBytes} bytes`);
  }

  get #isGone(): boolean {
    const { peer } = this.client;
    return peer.isGone || peer.isBroken;
  }

  #isRightEnd(code: number, reason: string, wasClean: boolean): boolean {
    const { script, hasClosed, mayHaveClosed, peer } = this.client;
    const { closing } = script;
    if (closing?.isHidden && this.isEndedByUs) return !wasClean;
    if (code !== 1006) {
      return closing !== undefined && mayHaveClosed &&
        closing.code === code && closing.isClean === wasClean &&
        (closing.reason ?? reason) === reason;
    }
    const isEnd = peer.hasEnded && !hasClosed;
    return !wasClean && reason === "" &&
      (isEnd || this.#isGone || this.#isReset || this.#around.isClosed());
  }

  /** Takes a message, and checks that it is the next one. */
  take(message: Message): void {
    this.received++;
    if (typeof message !== "string") return this.#notice("binary", message);
    this.#notice("text", new TextEncoder().encode(message));
  }

  #notice(kind: Delivery["kind"], bytes: Uint8Array<ArrayBuffer>): void {
    const { script, peer } = this.client;
    const { deliveries } = script;
    const isUnheard = (delivery: Delivery | undefined) =>
      delivery?.kind === "ping" || delivery?.kind === "pong";
    while (!this.#around.hearsPings && isUnheard(deliveries[this.#next])) {
      this.#next++;
    }
    const expected = deliveries[this.#next++];
    this.expect(
      expected?.kind === kind && sameBytes(expected.bytes, bytes) &&
        peer.sent >= expected.end,
      () => `gets a ${kind} that is not number ${this.#next} of what was sent`,
    );
  }

  // What the program does.

  /** Sends a message, and checks the result. */
  send(message: Message, options?: SendOptions): SendResult {
    const { sent } = this.client;
    const { backpressureBytesMax } = this.#around.limits;
    const { socket } = this;
    const isOpen = socket.readyState === 1;
    const before = socket.bufferedBytes;
    const frame = frameOf(message);
    const size = frame.payload.byteLength;
    const takes = isOpen &&
      (before < HIGH_WATER_BYTES || before + size <= backpressureBytesMax);
    // First: when `send` returns, the client may have read it already.
    if (takes) sent.push(frame);
    const result = socket.send(message, options);
    const isMuch = socket.bufferedBytes >= HIGH_WATER_BYTES;
    // What was published before is sent first, and may fill the room.
    const isFilled = takes && isMuch && this.#topics.size > 0 &&
      result === "refused";
    if (isFilled) sent.splice(sent.lastIndexOf(frame), 1);
    const right = takes && !isFilled ? isMuch ? "queued" : "sent" : "refused";
    this.expect(result === right, () => `says ${result}, and not ${right}`);
    if (isOpen && result !== "sent") this.owesDrain = true;
    return result;
  }

  /** Sends a ping or a pong. */
  sendControl(kind: "ping" | "pong", payload: Uint8Array<ArrayBuffer>): void {
    const { sent } = this.client;
    sent.push({ first: FIN | (kind === "ping" ? PING : PONG), payload });
    // A client that hears it although it was refused fails then.
    if (this.socket[kind](payload) === "refused") sent.pop();
  }

  /** Subscribes to a topic. */
  subscribe(topic: string): void {
    const isOpen = this.socket.readyState === 1;
    if (isOpen) this.#topics.add(topic);
    const hears = this.socket.subscribe(topic);
    this.expect(hears === isOpen, () => `subscribes, which says ${hears}`);
  }

  /** Leaves a topic. */
  unsubscribe(topic: string): void {
    const heard = this.hears(topic);
    this.#topics.delete(topic);
    const left = this.socket.unsubscribe(topic);
    this.expect(left === heard, () => `leaves a topic, which says ${left}`);
  }

  /** Whether it gets what is published to a topic. */
  hears(topic: string): boolean {
    return this.#topics.has(topic) && this.socket.readyState === 1;
  }

  /** Publishes a message to the others. */
  publish(topic: string, message: Message, others: Iterable<Model>): void {
    let count = 0;
    for (const other of others) {
      if (other === this || !other.hears(topic)) continue;
      other.client.sent.push({ ...frameOf(message), isLossy: true });
      count++;
    }
    const reached = this.socket.publish(topic, message);
    this.expect(reached === count, () => `reaches ${reached}, not ${count}`);
  }

  /** Closes. */
  close(code: number, reason: string): void {
    this.ends(`${code} ${reason}`);
    this.socket.close(code, reason);
    const { readyState, isPaused } = this.socket;
    this.expect(readyState > 1, () => "is open after close");
    this.expect(!isPaused, () => "is paused after close");
  }

  /** Terminates. */
  terminate(): void {
    this.isReset();
    this.socket.terminate();
    this.expect(this.socket.readyState > 1, () => "is open after terminate");
  }

  /** Resumes, after a pause. */
  resume(): void {
    this.#freeMs = this.#world.nowMs;
    this.socket.resume();
  }

  /** Counts a promise that holds messages. */
  async holds(promise: Promise<void>): Promise<void> {
    this.#holding++;
    try {
      await promise;
    } catch (error) {
      if (!this.hasClosed) this.ends("1011 ");
      throw error;
    } finally {
      this.#holding--;
      if (!this.isLooping) this.#freeMs = this.#world.nowMs;
    }
  }

  /** The WebSocket is reset from now on. */
  isReset(): void {
    this.#isReset = this.isEndedByUs = true;
    this.client.peer.excuse();
  }

  /** The WebSocket ends, by this close frame if it is open. */
  ends(closing: string): void {
    this.isEndedByUs = true;
    this.#closedMs = Math.min(this.#closedMs, this.#world.nowMs);
    const { closings } = this.client;
    if (this.maybeSocket?.readyState !== 2) closings.add(closing);
  }

  /** The WebSocket may end by this close frame at any time. */
  mayEnd(closing: string): void {
    this.#closedMs = -Infinity;
    this.client.closings.add(closing);
  }

  /** Traces an event. */
  log(what: string): void {
    this.#world.log(this.client.peer.name, what);
  }

  /** Ends the run unless a condition holds. */
  expect(isSo: boolean, message: () => string): void {
    if (!isSo) this.#world.fail(`${this.client.peer.name}: it ${message()}`);
  }

  #expectState(state: number): void {
    const { readyState } = this.socket;
    this.expect(readyState === state, () => `has the state ${readyState}`);
  }
}

/** Returns the frame of a message. */
export function frameOf(message: Message): Sent {
  return typeof message === "string"
    ? { first: FIN | TEXT, payload: new TextEncoder().encode(message) }
    : { first: FIN | BINARY, payload: message };
}
