/**
 * A server's WebSocket in the form of the class `WebSocket`: an `EventTarget`
 * that dispatches `open`, `message`, `error` and `close`.
 *
 * It behaves as the sockets of Deno's own `upgradeWebSocket` do; where Deno is
 * silent or wrong, as the WHATWG's standard has it.
 *
 * @module
 */

import { defer } from "../base/own.ts";
import { maySend, REASON_BYTES_MAX } from "./close_codes.ts";
import { closeWithoutCode } from "./closing.ts";
import type { WebSocketConnection } from "./connection.ts";
import type { Receiver } from "./receiver.ts";
import type { Message, Sendable } from "./socket.ts";
import { Phase } from "./state.ts";
import { encodeText } from "./text.ts";

// Deno's globals are getters, which cost a call.
const { Blob, EventTarget, MessageEvent } = globalThis;

/** The largest number of WebIDL's `unsigned short`. */
const SHORT_MAX = 65_535;
const LOST = "The connection was lost";
/** The symbol of an event's `isTrusted` in Deno, which is true for messages. */
const TRUSTED = Object.getOwnPropertySymbols(new MessageEvent("message"))
  .find(({ description }) => description === "[[isTrusted]]");

/** What `close` was called with. */
interface Closing {
  readonly code: number | undefined;
  readonly reason: string;
}

let isWebSocket = false;

/** A server's WebSocket: see `Deno.upgradeWebSocket`. */
export class EventSocket extends EventTarget {
  #connection: WebSocketConnection | undefined = undefined;
  #phase: number = Phase.CONNECTING;
  #binaryType: BinaryType = "arraybuffer";
  /** Messages that wait until the blob before them was read. */
  #waiting: (Sendable | Blob)[] | undefined = undefined;
  /** The program has closed, and messages still wait. */
  #closing: Closing | undefined = undefined;
  readonly #protocol: string;

  /** @param protocol The subprotocol; empty for none. */
  constructor(protocol: string) {
    becomeWebSocket();
    super();
    this.#protocol = protocol;
  }

  /** Notifies these sockets; each is the `data` of its connection. */
  static readonly receiver: Receiver = {
    hearsPings: false,
    takesLent: false,
    // `await` of one event must be able to listen for the next one.
    spacesMessages: true,
    open: (connection) => {
      const socket = connection.data as EventSocket;
      socket.#connection = connection as WebSocketConnection;
      // As with Deno, the program has a round of its loop to add listeners.
      return new Promise<void>((resolve) => {
        defer(() => {
          socket.#open();
          resolve();
        });
      });
    },
    message: ({ data }, message) => (data as EventSocket).#message(message),
    ping() {},
    pong() {},
    drain() {},
    error: ({ data }, error) => (data as EventSocket).#fail(error),
    close: ({ data }, ...how) => (data as EventSocket).#closed(...how),
  };

  /** Ends a socket whose handshake did not succeed. */
  static lose(socket: EventSocket, message = LOST): void {
    // Later: the program has not got the socket yet.
    defer(() => {
      socket.#fail(new Deno.errors.ConnectionReset(message));
      socket.#closed(1006, "", false);
    });
  }

  /** One of the four constants below. */
  get readyState(): number {
    const isOpen = this.#phase === Phase.OPEN;
    // A server that shuts down has begun the closing handshake by itself.
    return isOpen ? this.#connection!.readyState : this.#phase;
  }

  /** 0: the handshake is not over. */
  get CONNECTING(): number {
    return Phase.CONNECTING;
  }

  /** 1: messages go both ways. */
  get OPEN(): number {
    return Phase.OPEN;
  }

  /** 2: the closing handshake has begun. */
  get CLOSING(): number {
    return Phase.CLOSING;
  }

  /** 3: the connection is closed. */
  get CLOSED(): number {
    return Phase.CLOSED;
  }

  /** Empty: a server's socket has none. */
  get url(): string {
    return "";
  }

  /** The extensions that were agreed; empty before `open`. */
  get extensions(): string {
    return this.#connection?.extensions ?? "";
  }

  /** The subprotocol that was agreed; empty for none. */
  get protocol(): string {
    return this.#protocol;
  }

  /** What the `data` of binary messages is: `blob` or `arraybuffer`. */
  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(type: BinaryType) {
    const text = `${type}`;
    if (text === "blob" || text === "arraybuffer") this.#binaryType = text;
  }

  /** Bytes that wait to be sent, without those of this turn. */
  get bufferedAmount(): number {
    if (this.readyState !== Phase.OPEN) return 0;
    let bytes = this.#connection!.bufferedBytes;
    for (const message of this.#waiting ?? []) bytes += sizeOf(message);
    return bytes;
  }

  /**
   * Sends a message; drops it silently once the closing handshake has begun.
   *
   * @throws {DOMException} `InvalidStateError` before `open`.
   */
  send(data: string | Blob | BufferSource): void {
    if (arguments.length === 0) {
      throw new TypeError(
        "Failed to execute 'send' on 'WebSocket': 1 argument required, but " +
          "only 0 present",
      );
    }
    const message = messageOf(data);
    if (this.#phase === Phase.CONNECTING) {
      throw new DOMException("'readyState' not OPEN", "InvalidStateError");
    }
    if (this.#phase !== Phase.OPEN) return;
    if (this.#waiting !== undefined) this.#waiting.push(own(message));
    else if (message instanceof Blob) this.#sendWaiting(message);
    else this.#send(message);
  }

  /**
   * Begins the closing handshake, behind all messages.
   *
   * @throws {DOMException} `InvalidAccessError` for a code that may not be
   * sent, `SyntaxError` for a reason of more than 123 bytes.
   */
  close(code?: number, reason?: string): void {
    const closing = closingOf(code, reason);
    const { CONNECTING, OPEN, CLOSING } = Phase;
    if (this.#phase !== CONNECTING && this.#phase !== OPEN) return;
    const mustWait = this.#phase === CONNECTING || this.#waiting !== undefined;
    this.#phase = CLOSING;
    this.#closing = closing;
    if (!mustWait) this.#sendClose(closing);
  }

  #open(): void {
    // The connection has gone meanwhile, or the program has closed.
    if (this.#closing !== undefined) return this.#sendClose(this.#closing);
    if (this.#phase !== Phase.CONNECTING) return;
    this.#phase = Phase.OPEN;
    this.dispatchEvent(new Event("open"));
  }

  #message(message: Message): void {
    if (this.#phase !== Phase.OPEN) return;
    const data = typeof message === "string" ? message : this.#binary(message);
    const event = new MessageEvent("message", { data });
    if (TRUSTED !== undefined) Reflect.set(event, TRUSTED, true);
    this.dispatchEvent(event);
  }

  #binary(message: Uint8Array<ArrayBuffer>): Blob | ArrayBuffer {
    if (this.#binaryType === "blob") return new Blob([message]);
    const { buffer, byteLength } = message;
    return byteLength === buffer.byteLength ? buffer : message.slice().buffer;
  }

  #fail(error: Error): void {
    // A peer that does not answer a close frame is no error of the program's.
    const isClosing = this.#phase >= Phase.CLOSING;
    this.#phase = Phase.CLOSED;
    if (isClosing) return;
    const { message } = error;
    this.dispatchEvent(new ErrorEvent("error", { error, message }));
  }

  #closed(code: number, reason: string, wasClean: boolean): void {
    if (!wasClean) {
      this.#fail(new Deno.errors.ConnectionReset(LOST));
    }
    this.#phase = Phase.CLOSED;
    this.#closing = undefined;
    const event = new CloseEvent("close", { code, reason, wasClean });
    // Later: a program that ends its server now would cut the handshake off.
    defer(() => this.dispatchEvent(event));
  }

  #send(message: Sendable): void {
    const connection = this.#connection!;
    if (connection.readyState !== Phase.OPEN) return;
    // `WebSocket` has no way to refuse a message: without one, those behind it
    // would make no sense.
    if (connection.send(message) === "refused") connection.terminate();
  }

  #sendClose({ code, reason }: Closing): void {
    const connection = this.#connection!;
    if (connection.readyState !== Phase.OPEN) return;
    if (code === undefined) closeWithoutCode(connection);
    else connection.close(code, reason);
  }

  /** Sends a blob, which is read first, and then what was sent meanwhile. */
  async #sendWaiting(blob: Blob): Promise<void> {
    const waiting = this.#waiting = [own(blob)];
    const { host } = this.#connection!.service;
    host.beginWork();
    try {
      while (waiting.length > 0) {
        const [message] = waiting;
        const isBlob = message instanceof Blob;
        this.#send(isBlob ? await message.arrayBuffer() : message!);
        waiting.shift();
      }
    } catch (error) {
      host.report(error);
      this.#connection!.terminate();
    } finally {
      host.endWork();
      this.#waiting = undefined;
    }
    if (this.#closing !== undefined) this.#sendClose(this.#closing);
  }
}

/**
 * Lets the sockets be of the class `WebSocket`, whose accessors of `onopen` and
 * so on, tag and inspection they inherit. Not before the first socket: loading
 * that class takes Deno some milliseconds.
 */
function becomeWebSocket(): void {
  if (isWebSocket) return;
  isWebSocket = true;
  const { prototype } = EventSocket;
  const { WebSocket } = globalThis;
  Object.setPrototypeOf(prototype, WebSocket.prototype);
  // Members of a class are hidden from loops, and would hide those of Deno's.
  for (const name of Object.keys(WebSocket.prototype)) {
    if (!Object.hasOwn(prototype, name)) continue;
    Object.defineProperty(prototype, name, { enumerable: true });
  }
  Object.defineProperty(prototype, "constructor", {
    configurable: true,
    writable: true,
    value: WebSocket,
  });
}

/**
 * Converts as WebIDL does: what is no bytes is text.
 *
 * @throws {TypeError} when it cannot be made text, or is memory that threads
 * share.
 */
function messageOf(data: unknown): Sendable | Blob {
  if (typeof data === "string") return data;
  if (data instanceof Blob || data instanceof ArrayBuffer) return data;
  if (ArrayBuffer.isView(data)) return data as ArrayBufferView<ArrayBuffer>;
  if (!(data instanceof SharedArrayBuffer)) return `${data}`;
  throw new TypeError(
    "Failed to execute 'send' on 'WebSocket': Argument 1 is not an ArrayBuffer",
  );
}

/** Returns a message that the program cannot change while it waits. */
function own(message: Sendable | Blob): Sendable | Blob {
  if (typeof message === "string" || message instanceof Blob) return message;
  if (message instanceof ArrayBuffer) return message.slice(0);
  const { buffer, byteOffset, byteLength } = message;
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

function sizeOf(message: Sendable | Blob): number {
  if (typeof message === "string") return encodeText(message).byteLength;
  return message instanceof Blob ? message.size : message.byteLength;
}

/** Checks the arguments of `close`. */
function closingOf(code?: number, reason?: string): Closing {
  const number = code === undefined ? undefined : shortOf(code);
  const text = reason === undefined ? "" : `${reason}`.toWellFormed();
  // A browser may send 1000 and its own codes alone; Deno lets a server send
  // the others too.
  if (number !== undefined && !maySend(number)) {
    throw new DOMException(
      "The close code must be from 3000 to 4999, from 1000 to 1003, or from " +
        `1007 to 1014: received ${number}`,
      "InvalidAccessError",
    );
  }
  if (encodeText(text).byteLength > REASON_BYTES_MAX) {
    throw new DOMException(
      `The close reason may not be longer than ${REASON_BYTES_MAX} bytes`,
      "SyntaxError",
    );
  }
  // A close frame has no reason without a code.
  return { code: number ?? (text === "" ? undefined : 1000), reason: text };
}

/** Converts to an `unsigned short` as WebIDL does with `[Clamp]`. */
function shortOf(code: unknown): number {
  const number = Math.min(Math.max(Number(code) || 0, 0), SHORT_MAX);
  const rounded = Math.round(number);
  // Halves go to the even number.
  return rounded - number === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
