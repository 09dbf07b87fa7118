/**
 * The handlers of WebSockets: the fast face.
 *
 * @module
 */

import { allowFunction, wrongType } from "../base/checks.ts";
import type { ServeHandlerInfo } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import type { CompressionOptions } from "./extension.ts";
import type { OriginCheck, ProtocolChoice } from "./handshake.ts";
import type { WebSocketLimitOptions } from "./limits.ts";
import type { Receiver } from "./receiver.ts";
import type { Message, ServerWebSocket } from "./socket.ts";
import type { SlowSubscribers } from "./topic.ts";

/**
 * What an upgrade gives its WebSocket.
 *
 * @typeParam Data What the program keeps for each WebSocket.
 */
export interface UpgradeOptions<Data = unknown> {
  /** The WebSocket's `data`. */
  data?: Data;
  /**
   * The subprotocol, which the client must have offered, or a function that
   * chooses one of those offered; none when left out.
   */
  protocol?: string | ProtocolChoice;
  /**
   * Further fields of the answer, such as `Set-Cookie`. None of the handshake:
   * `protocol` and `compression` decide about those.
   */
  headers?: HeadersInit;
}

/**
 * The handlers of WebSockets, and their limits.
 *
 * An error that a handler throws, or with which its promise rejects, is printed
 * and closes its WebSocket with 1011.
 *
 * @typeParam Data What the program keeps for each WebSocket.
 */
export interface WebSocketHandlers<Data = unknown>
  extends WebSocketLimitOptions {
  /**
   * The origins whose pages may connect, such as `https://example.com` without a
   * path, or a function that decides; all may when left out. A page of any origin
   * can connect with the user's cookies, so a server that uses cookies needs
   * this. A list lets clients pass that send no origin: they are no browsers.
   */
  origins?: readonly string[] | OriginCheck;
  /**
   * Whether to compress messages (permessage-deflate, RFC 7692) for peers that
   * offer it, and how; `true` takes all defaults. No message is compressed when
   * left out: a KiB takes 10 microseconds, more than all else for it.
   */
  compression?: boolean | CompressionOptions;
  /**
   * Whether the bytes of a binary message belong to the handler, `"own"`, or are
   * `"lent"`: they lie in the buffer that they were read into, and are valid
   * only until `message` returns, also when it returns a promise. A lent message
   * is not copied: of 64 bytes it costs a third. Never pass on the `buffer` of
   * one, which has bytes of other peers. `"own"` when left out; loops and streams
   * always get such bytes.
   */
  binary?: "own" | "lent";
  /**
   * What becomes of a message of a topic, when `backpressureBytesMax` are
   * unsent: `"drop"` drops it for this WebSocket, `"close"` also closes the
   * WebSocket with 1013. `"drop"` when left out. Both are counted.
   */
  slowSubscribers?: SlowSubscribers;
  /**
   * Decides about a request for a WebSocket: returns what the WebSocket begins
   * with, or a `Response` that refuses it, or a promise of one. `undefined`
   * accepts it without data.
   */
  upgrade?(
    request: Request,
    info: ServeHandlerInfo<ServeAddress>,
  ):
    | UpgradeOptions<Data>
    | Response
    | undefined
    | Promise<UpgradeOptions<Data> | Response | undefined>;
  /**
   * The WebSocket is open. A returned promise holds its messages until it
   * settles.
   */
  open?(socket: ServerWebSocket<Data>): unknown;
  /**
   * A whole message has come. When this returns a promise, the WebSocket is not
   * read from until the promise settles: messages stay in order, and a peer that
   * sends faster than the handler works waits in its own buffers.
   */
  message?(socket: ServerWebSocket<Data>, message: Message): unknown;
  /** A ping has come; its pong is sent already. */
  ping?(
    socket: ServerWebSocket<Data>,
    bytes: Uint8Array<ArrayBuffer>,
  ): unknown;
  /** A pong has come. */
  pong?(
    socket: ServerWebSocket<Data>,
    bytes: Uint8Array<ArrayBuffer>,
  ): unknown;
  /**
   * Unsent bytes have fallen to 16 KiB: `send` takes more. This follows each
   * `"queued"`, and each `"refused"` of an open WebSocket, unless it closes
   * first. Its promise holds no messages.
   */
  drain?(socket: ServerWebSocket<Data>): unknown;
  /**
   * The peer has broken the protocol, the connection has failed, or a limit of
   * time or memory has ended it; `close` follows, and does not wait for a promise.
   * A peer that ends without a close frame is no error: `close` gets 1006.
   */
  error?(socket: ServerWebSocket<Data>, error: Error): unknown;
  /**
   * The WebSocket is closed.
   *
   * @param code What the peer's close frame said, 1005 when it said nothing;
   * this side's code when the peer broke the protocol; 1006 without any.
   * @param reason The text that came with the code.
   * @param wasClean Whether both sides sent a close frame.
   */
  close?(
    socket: ServerWebSocket<Data>,
    code: number,
    reason: string,
    wasClean: boolean,
  ): unknown;
}

const NAMES = [
  "upgrade",
  "open",
  "message",
  "ping",
  "pong",
  "drain",
  "error",
  "close",
] as const;

/**
 * Limits by their names in Bun, uWebSockets.js and ws, and their names here.
 * Types refuse them, but a program without types would have no limit.
 */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  maxPayloadLength: "messageBytesMax",
  maxPayload: "messageBytesMax",
  backpressureLimit: "backpressureBytesMax",
  maxBackpressure: "backpressureBytesMax",
  idleTimeout: "webSocketIdleMs",
  perMessageDeflate: "compression",
};

/** An origin as browsers send it: without a path, and lower-case. */
const ORIGIN = /^(?:null|[a-z][a-z0-9+.-]*:\/\/[^/?#A-Z]+)$/;

/**
 * Throws unless `value` has the form of handlers.
 *
 * @throws {TypeError} when it is no object, a handler is no function, an origin
 * is none, or an option has the name that it has elsewhere.
 */
export function checkHandlers(value: unknown): void {
  if (typeof value !== "object" || value === null) {
    throw wrongType("websocket", value, "an object of handlers");
  }
  const handlers = value as Record<string, unknown>;
  // By index, since a program may have replaced the iterator of arrays.
  for (let index = 0; index < NAMES.length; index++) {
    const name = NAMES[index]!;
    allowFunction(`websocket.${name}`, handlers[name]);
  }
  for (const name in OTHER_NAMES) {
    if (handlers[name] === undefined) continue;
    const wanted = `called ${OTHER_NAMES[name]} here`;
    throw wrongType(`websocket.${name}`, handlers[name], wanted);
  }
  const { origins, binary = "own", slowSubscribers = "drop" } = handlers;
  if (typeof origins !== "function") checkOrigins(origins);
  if (binary !== "own" && binary !== "lent") {
    throw wrongType("websocket.binary", binary, '"own" or "lent"');
  }
  if (slowSubscribers !== "drop" && slowSubscribers !== "close") {
    throw wrongType(
      "websocket.slowSubscribers",
      slowSubscribers,
      '"drop" or "close"',
    );
  }
}

/** Throws for an origin that no page can have: it would refuse all pages. */
function checkOrigins(origins: unknown): void {
  if (origins === undefined) return;
  // A string has `includes`, too: it would let parts of the origin pass.
  if (!Array.isArray(origins)) {
    throw wrongType("websocket.origins", origins, "an array or a function");
  }
  for (let index = 0; index < origins.length; index++) {
    const origin: unknown = origins[index];
    if (typeof origin === "string" && isOrigin(origin)) continue;
    throw wrongType(
      `websocket.origins[${index}]`,
      origin,
      'an origin without a path, such as "https://example.com"',
    );
  }
}

function isOrigin(text: string): boolean {
  if (!ORIGIN.test(text)) return false;
  // Browsers leave out a default port.
  return !/^https?:/.test(text) || URL.parse(text)?.origin === text;
}

/** Calls handlers; those that are missing do nothing. */
export class HandlersReceiver implements Receiver {
  readonly hearsPings: boolean;
  readonly takesLent: boolean;
  readonly spacesMessages = false;
  readonly #handlers: WebSocketHandlers;

  /** @param handlers Checked handlers. */
  constructor(handlers: WebSocketHandlers) {
    this.#handlers = handlers;
    const { ping, pong, binary } = handlers;
    this.takesLent = binary === "lent";
    this.hearsPings = ping !== undefined || pong !== undefined;
  }

  open(socket: ServerWebSocket): unknown {
    return this.#handlers.open?.(socket);
  }

  message(socket: ServerWebSocket, message: Message): unknown {
    return this.#handlers.message?.(socket, message);
  }

  ping(socket: ServerWebSocket, bytes: Uint8Array<ArrayBuffer>): unknown {
    return this.#handlers.ping?.(socket, bytes);
  }

  pong(socket: ServerWebSocket, bytes: Uint8Array<ArrayBuffer>): unknown {
    return this.#handlers.pong?.(socket, bytes);
  }

  drain(socket: ServerWebSocket): unknown {
    return this.#handlers.drain?.(socket);
  }

  error(socket: ServerWebSocket, error: Error): unknown {
    return this.#handlers.error?.(socket, error);
  }

  close(
    socket: ServerWebSocket,
    code: number,
    reason: string,
    wasClean: boolean,
  ): unknown {
    return this.#handlers.close?.(socket, code, reason, wasClean);
  }
}
