/**
 * The state of a WebSocket, on which the files of this folder work.
 *
 * A WebSocket is one small object: most are idle. What only a few have at a
 * time is kept apart, in {@linkcode SocketExtras}.
 *
 * @module
 */

import type { SharedTransport } from "../stream/shared.ts";
import type { Transport } from "../stream/transport.ts";
import type { Codec } from "./codec.ts";
import type { WebSocketService } from "./service.ts";
import type { Message, ServerWebSocket } from "./socket.ts";
import type { TopicMember } from "./topic.ts";

/** The transport of a WebSocket, which may have shared buffers. */
export type WebSocketTransport =
  & Transport<unknown>
  & Partial<SharedTransport<unknown>>;

/** The values of `readyState`: the lower two bits of the state. */
export const Phase = {
  /** The transport is not open yet. */
  CONNECTING: 0,
  /** Messages go both ways. */
  OPEN: 1,
  /** A close frame was sent or received. */
  CLOSING: 2,
  /** The connection is gone. */
  CLOSED: 3,
} as const;

/** The bits of {@linkcode Phase}. */
export const PHASE_MASK = 3;
/** The program has paused reading. */
export const PAUSED = 1 << 2;
/** A promise of a handler has not settled. */
export const BUSY = 1 << 3;
/** Our close frame was sent. */
export const CLOSE_SENT = 1 << 4;
/** The peer's close frame has come, or it broke the protocol: nothing is read. */
export const DEAF = 1 << 5;
/** A ping of the idle time was sent, and no byte has come since. */
export const PINGED = 1 << 6;
/** The peer's close frame has come. */
export const CLOSE_RECEIVED = 1 << 7;
/** Rows are being acted on: `resume` must not begin again inside. */
export const ACTING = 1 << 8;
/** A message waits for the program's loop: see `messages.ts`. */
export const UNCLAIMED = 1 << 9;
/** A long message is decompressed step by step: see `inflating.ts`. */
export const INFLATING = 1 << 10;
/** States in which no message is handed over. */
export const HELD = PAUSED | BUSY | UNCLAIMED | INFLATING;

/** A message that has come in part. */
export interface PartialMessage {
  /** Whether it is text. */
  readonly isText: boolean;
  /** Whether it is compressed. */
  readonly isCompressed: boolean;
  /** Its bytes so far, from the array's beginning on. */
  bytes: Uint8Array<ArrayBuffer>;
  /** How many bytes have come. */
  length: number;
}

/** A message that is decompressed step by step: see `inflating.ts`. */
export interface LongMessage {
  /** Memory, in bytes. */
  readonly memoryBytes: number;
  /** Gives it up. */
  end(): void;
}

/** Rows that wait while messages are held: see `holding.ts`. */
export interface HeldRows {
  /** The bytes to which the rows refer; the WebSocket's own. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The rows, in the layout of `frames.ts`. */
  readonly rows: Uint32Array<ArrayBuffer>;
  /** The first word of the next row. */
  at: number;
  /** Where the bytes begin that were not parsed yet; they go to the end. */
  readonly rest: number;
  /** For how many calls of handlers the read's rows count: see `postpone`. */
  readonly calls: number;
}

/** What only a few WebSockets have at a time. */
export interface SocketExtras {
  /** The parser's words between two calls; `undefined` at rest. */
  progress: Uint32Array<ArrayBuffer> | undefined;
  /** Bytes before the next ones: a frame's head, or a control frame, in part. */
  rest: Uint8Array<ArrayBuffer> | undefined;
  /** The message that has come in part. */
  partial: PartialMessage | undefined;
  /** The message that is being decompressed. */
  inflation: LongMessage | undefined;
  /** What waits while messages are held. */
  held: HeldRows | undefined;
  /** The code that `close` gets, when it is known. */
  closeCode: number;
  /** The reason that `close` gets. */
  closeReason: string;
  /** Gets messages in the receiver's place: see `messages.ts`. */
  reader: MessageReader | undefined;
}

/** Gets messages in the receiver's place. */
export interface MessageReader {
  /** Takes a message; holds further ones until the program wants the next. */
  push(message: Message): void;
  /** Unsent bytes have fallen to the low-water mark. */
  drained(): void;
  /** The WebSocket has closed. */
  end(code: number, wasClean: boolean): void;
  /** The promise of the loop's handler is pending. */
  awaited(): void;
  /** That promise has settled. */
  done(): void;
}

/** What the files of this folder keep for one WebSocket. */
export interface SocketRecord extends ServerWebSocket, TopicMember {
  /** Sends to the peer. */
  readonly transport: WebSocketTransport;
  /** What it shares with other WebSockets. */
  readonly service: WebSocketService;
  /** The bits above. */
  state: number;
  /** Compresses messages; `undefined` when that was not agreed. */
  readonly codec: Codec | undefined;
  /** See {@linkcode SocketExtras}; `undefined` until needed. */
  extras: SocketExtras | undefined;
  /** Goes on with what was held, and then with reading. */
  goOn(): void;
}

/** Returns the extras; makes them when there are none. */
export function extrasOf(socket: SocketRecord): SocketExtras {
  return socket.extras ??= {
    progress: undefined,
    rest: undefined,
    partial: undefined,
    inflation: undefined,
    held: undefined,
    closeCode: 0,
    closeReason: "",
    reader: undefined,
  };
}

/** Returns one of {@linkcode Phase}. */
export function phaseOf(socket: SocketRecord): number {
  return socket.state & PHASE_MASK;
}

/** Sets one of {@linkcode Phase}. */
export function setPhase(socket: SocketRecord, phase: number): void {
  socket.state = socket.state & ~PHASE_MASK | phase;
}
