/**
 * What a WebSocket notifies: the handlers of the fast face, or the events of the
 * drop-in.
 *
 * @module
 */

import type { Message, ServerWebSocket } from "./socket.ts";

/**
 * Is notified of what happens to WebSockets. An error that one of these throws,
 * or with which its promise rejects, closes the WebSocket with 1011.
 */
export interface Receiver {
  /** The handshake is over. A returned promise holds reading until it settles. */
  open(socket: ServerWebSocket): unknown;
  /**
   * A whole message has come. A returned promise holds reading until it
   * settles: the next message is handed over after that.
   */
  message(socket: ServerWebSocket, message: Message): unknown;
  /** A ping has come; its pong is sent already. */
  ping(socket: ServerWebSocket, bytes: Uint8Array<ArrayBuffer>): unknown;
  /** A pong has come. */
  pong(socket: ServerWebSocket, bytes: Uint8Array<ArrayBuffer>): unknown;
  /** Whether `message` gets bytes that are valid only until it returns. */
  readonly takesLent: boolean;
  /**
   * Whether microtasks run between two messages of one read, as they do between
   * two events. That takes about 2 microseconds.
   */
  readonly spacesMessages: boolean;
  /** Whether `ping` and `pong` are to be called: each copies its bytes. */
  readonly hearsPings: boolean;
  /** Unsent bytes have fallen to the low-water mark: `send` takes more. */
  drain(socket: ServerWebSocket): unknown;
  /** The peer has broken the protocol, or the connection has failed. */
  error(socket: ServerWebSocket, error: Error): unknown;
  /**
   * The connection is gone.
   *
   * @param code What the peer's close frame said, 1005 when it said nothing;
   * the code of this side's when the peer broke the protocol; 1006 without any.
   * @param wasClean Whether both sides sent a close frame.
   */
  close(
    socket: ServerWebSocket,
    code: number,
    reason: string,
    wasClean: boolean,
  ): unknown;
}
