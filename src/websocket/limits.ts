/**
 * The limits of a WebSocket: sizes, counts and times, with their defaults and
 * ranges. The table of the server's options takes both from here.
 *
 * @module
 */

import { checkRange, MS_MAX } from "../http/http_limits.ts";

/** The limits of WebSockets, all optional. */
export interface WebSocketLimitOptions {
  /**
   * Bytes of a message, also after it was decompressed; more closes the
   * WebSocket with 1009. 16 MiB when left out, as in Bun. From 1 to 2147483647.
   */
  messageBytesMax?: number;
  /**
   * Frames of one message; more closes the WebSocket with 1008. 131,072 when
   * left out: 16 MiB in fragments of 128 bytes. Empty fragments would otherwise
   * never end. From 1 to 2147483647.
   */
  fragmentsMax?: number;
  /**
   * Unsent bytes beyond which `send` refuses a message. While fewer than 64 KiB
   * wait, a message of any size is taken, so this is what may wait besides one
   * message. 1 MiB when left out. From 65536 to 2147483647.
   */
  backpressureBytesMax?: number;
  /**
   * Milliseconds in which the peer must give a sign of life. The server sends a
   * ping when no byte has moved for half of that. Without an answer in the other
   * half the WebSocket ends, with code 1006. Time in which the WebSocket is not
   * read from, because it is paused or a handler works, does not count; and
   * while the server sends, `writeMs` bounds how long the peer takes nothing. 60
   * seconds when left out: many proxies close connections that are silent for
   * that long. From 2 to 2147483647, or `Infinity`.
   */
  webSocketIdleMs?: number;
  /**
   * Milliseconds in which the peer must answer a close frame. Then the
   * connection is reset. 5 seconds when left out: the frame is one round trip,
   * and waits behind unsent messages. From 1 to 2147483647, or `Infinity`.
   */
  closeMs?: number;
  /**
   * Topics that one WebSocket may subscribe to; `subscribe` returns false for
   * more. 1,024 when left out: each takes some 30 to 500 bytes, and peers often
   * choose the topics. From 0 to 2147483647.
   */
  topicsMax?: number;
}

/** Checked limits, with the defaults for those that were left out. */
export type WebSocketLimits = Readonly<Required<WebSocketLimitOptions>>;

/** Unsent bytes from which `send` says "queued": the reactor's own mark. */
export const HIGH_WATER_BYTES = 65_536;

/**
 * Whether a message of `size` bytes may wait behind `waiting` bytes: any message
 * below the high-water mark, otherwise up to `bytesMax` in all.
 */
export function mayWait(
  size: number,
  waiting: number,
  bytesMax: number,
): boolean {
  return waiting < HIGH_WATER_BYTES || waiting + size <= bytesMax;
}

/** The most bytes of a message, and of what waits. */
const BYTES_MAX = 0x7fff_ffff;

/** The default of each limit, its least and its most. */
export const WEB_SOCKET_LIMITS = {
  messageBytesMax: { initial: 16_777_216, range: [1, BYTES_MAX] },
  fragmentsMax: { initial: 131_072, range: [1, BYTES_MAX] },
  backpressureBytesMax: {
    initial: 1_048_576,
    range: [HIGH_WATER_BYTES, BYTES_MAX],
  },
  webSocketIdleMs: { initial: 60_000, range: [2, MS_MAX] },
  closeMs: { initial: 5_000, range: [1, MS_MAX] },
  topicsMax: { initial: 1_024, range: [0, BYTES_MAX] },
} as const satisfies Record<keyof WebSocketLimitOptions, LimitRow>;

interface LimitRow {
  readonly initial: number;
  readonly range: readonly [min: number, max: number];
}

/**
 * Throws unless the limits that are given are in their ranges.
 *
 * @throws {RangeError} when a limit is out of its range.
 */
export function checkLimits(given: WebSocketLimitOptions): void {
  for (const [name, { range: [min, max] }] of entries()) {
    const value = given[name];
    if (value !== undefined) checkRange(name, value, min, max);
  }
}

/**
 * Returns all limits: those of the handlers before those of the server, and the
 * defaults for the others.
 */
export function limitsOf(
  own: WebSocketLimitOptions,
  servers: WebSocketLimitOptions,
): WebSocketLimits {
  const limits: Record<string, number> = {};
  for (const [name, { initial }] of entries()) {
    limits[name] = own[name] ?? servers[name] ?? initial;
  }
  return limits as unknown as WebSocketLimits;
}

function entries(): [keyof WebSocketLimitOptions, LimitRow][] {
  return Object.entries(WEB_SOCKET_LIMITS) as [
    keyof WebSocketLimitOptions,
    LimitRow,
  ][];
}
