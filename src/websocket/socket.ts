/**
 * A WebSocket of a server, as its handlers see it.
 *
 * @module
 */

import type { ServeAddress } from "../http/transport.ts";

/**
 * A message: text as a string, anything else as bytes, which are the program's
 * own unless its handlers ask for `binary: "lent"`.
 */
export type Message = string | Uint8Array<ArrayBuffer>;

/** What `send` takes: text, or bytes that are sent as a binary message. */
export type Sendable = string | ArrayBuffer | ArrayBufferView<ArrayBuffer>;

/**
 * What became of a message.
 *
 * - `"sent"`: it leaves at the end of this turn.
 * - `"queued"`: it leaves too, but 64 KiB or more wait for the peer by now.
 *   Wait for `drain` before you send more.
 * - `"refused"`: nothing was sent. `backpressureBytesMax` is reached, which
 *   `drain` follows, or the WebSocket is not open.
 */
export type SendResult = "sent" | "queued" | "refused";

/** Options of {@linkcode ServerWebSocket.send}. */
export interface SendOptions {
  /**
   * Whether to compress the message, where the peer has agreed to that. When
   * left out, messages from `thresholdBytes` on are compressed.
   */
  compress?: boolean;
}

/**
 * A WebSocket of a server: RFC 6455.
 *
 * @typeParam Data What the program keeps for each WebSocket.
 */
export interface ServerWebSocket<Data = unknown> {
  /** The program's own data, from the upgrade. */
  data: Data;
  /** 1 while open, 2 while closing, 3 when closed: as `WebSocket` has it. */
  readonly readyState: number;
  /** The subprotocol that was agreed; empty for none. */
  readonly protocol: string;
  /** The extensions that were agreed, as the header has them; or empty. */
  readonly extensions: string;
  /**
   * Bytes that the system has not taken yet. What leaves at the end of this turn
   * does not count.
   */
  readonly bufferedBytes: number;
  /**
   * The peer's address. The system does not know it once the connection is gone:
   * a program that needs it in `close` keeps it in `data`.
   *
   * @throws {Deno.errors.BadResource} when the connection is gone.
   */
  readonly remoteAddr: ServeAddress;

  /**
   * Sends a message. All messages of one turn leave in one write. Bytes are
   * copied, so the program may use them again.
   *
   * @returns What became of the message: see {@linkcode SendResult}.
   * @throws {TypeError} when `message` is neither text nor bytes.
   */
  send(message: Sendable, options?: SendOptions): SendResult;
  /**
   * Sends a ping, which the peer answers by a pong.
   *
   * @param message At most 125 bytes for the pong to repeat; none when left out.
   * @returns What became of it: see {@linkcode SendResult}.
   * @throws {TypeError} when `message` is neither text nor bytes.
   * @throws {RangeError} when there are more than 125 bytes.
   */
  ping(message?: Sendable): SendResult;
  /**
   * Sends a pong that no ping asked for: a sign of life.
   *
   * @param message At most 125 bytes; none when left out.
   * @returns What became of it: see {@linkcode SendResult}.
   * @throws {TypeError} when `message` is neither text nor bytes.
   * @throws {RangeError} when there are more than 125 bytes.
   */
  pong(message?: Sendable): SendResult;
  /**
   * Sends a close frame behind all messages, and waits up to `closeMs` for the
   * peer's. Messages that come meanwhile are dropped. A second call does
   * nothing.
   *
   * @param code 1000 when left out; otherwise from 3000 to 4999, or one of
   * RFC 6455 section 7.4.1 that may be sent: 1000 to 1003 and 1007 to 1014.
   * @param reason A text of at most 123 bytes in UTF-8.
   * @throws {TypeError} when `code` is no number, or `reason` no string.
   * @throws {RangeError} when `code` may not be sent, or `reason` is too long.
   */
  close(code?: number, reason?: string): void;
  /** Resets the connection at once, without a close frame. */
  terminate(): void;

  /** Whether {@linkcode ServerWebSocket.pause} holds messages. */
  readonly isPaused: boolean;
  /**
   * Stops reading: no message is handed over, and further ones wait in the
   * systems of both sides. Pings are not answered meanwhile.
   */
  pause(): void;
  /** Reads again. */
  resume(): void;

  /** The topics that it is subscribed to. */
  readonly topics: readonly string[];
  /** Returns whether it is subscribed to a topic. */
  isSubscribed(topic: string): boolean;
  /**
   * Subscribes to a topic: from now on the peer gets each message that is
   * published there. Topics belong to a server, with all its Workers. A closing
   * WebSocket leaves its topics.
   *
   * @param topic From 1 to 255 characters.
   * @returns Whether it is subscribed: false when it has `topicsMax` topics, or
   * is not open.
   * @throws {TypeError} when `topic` is no string.
   * @throws {RangeError} when `topic` is empty or too long.
   */
  subscribe(topic: string): boolean;
  /**
   * Leaves a topic.
   *
   * @returns Whether it was subscribed.
   */
  unsubscribe(topic: string): boolean;
  /**
   * Publishes a message to all other subscribers of a topic. The message is
   * framed and compressed once for all of them. It is in order with what `send`
   * sends to each, and with what is published here. It leaves at the end of this
   * turn.
   *
   * At most once: a subscriber whose peer reads too slowly does not get it (see
   * `slowSubscribers`), nor do those of a Worker that does not read.
   *
   * @returns How many other WebSockets of this thread are subscribed.
   * @throws {TypeError} when `topic` is no string, or `message` is neither text
   * nor bytes.
   * @throws {RangeError} when `topic` is empty or too long.
   */
  publish(topic: string, message: Sendable, options?: SendOptions): number;

  /**
   * Returns the messages from now on, for `for await`. They go to the loop, not
   * to the handler; the next one is read when the loop wants it. The loop ends
   * when the WebSocket has closed. Leaving it closes the WebSocket in the next
   * round of Deno's loop, with 1000 unless the program has closed by then, or
   * with 1011 for an error. Begin in `open`, before messages come.
   *
   * @throws {TypeError} when another loop or stream has the messages.
   * @throws {Deno.errors.ConnectionReset} from the loop, when the WebSocket has
   * ended without a closing handshake.
   */
  [Symbol.asyncIterator](): AsyncIterator<Message>;
  /**
   * Returns the WebSocket as a pair of streams, which obey both sides'
   * backpressure. Otherwise as the loop over messages.
   *
   * @throws {TypeError} when another loop or stream has the messages.
   */
  streams(): WebSocketStreams;
}

/** A WebSocket as a pair of streams. */
export interface WebSocketStreams {
  /** The messages; closes when the WebSocket has closed with close frames. */
  readonly readable: ReadableStream<Message>;
  /** Sends each chunk as a message; closing it closes the WebSocket. */
  readonly writable: WritableStream<Sendable>;
}
