/**
 * The limits of a server, in one table. The checks, the options of Workers, the
 * options of the command line and the table in the README follow from it.
 *
 * To add a limit, add its option to {@linkcode LimitedOptions} and its row to
 * {@linkcode TABLE}, and use its value. The compiler compares the two, and a
 * test checks that Workers get the value.
 *
 * @module
 */

import { checkRange, type LimitOptions, MS_MAX } from "../http/http_limits.ts";
import type { Keepalive } from "../net/keepalive.ts";
import {
  WEB_SOCKET_LIMITS,
  type WebSocketLimitOptions,
} from "../websocket/limits.ts";
import type { AdmissionOptions } from "./admission.ts";

/** Options of a server that limit what clients may do, and for how long. */
export interface LimitedOptions
  extends LimitOptions, AdmissionOptions, WebSocketLimitOptions {
  /**
   * Milliseconds in which a handler's promise must settle; later the answer is
   * 503, and `request.signal` aborts. No limit when left out: only the program
   * knows how long its work may take. From 1 to 2147483647, or `Infinity`.
   */
  handlerMs?: number;
  /**
   * Milliseconds for which a client may take none of the bytes that are sent to
   * it; then it is reset. 60 seconds when left out, as in nginx: a phone in a
   * tunnel is back by then. From 1 to 2147483647, or `Infinity`. The same limit
   * holds for bytes that the client's system does not acknowledge, where the
   * system has `TCP_USER_TIMEOUT`.
   */
  writeMs?: number;
  /**
   * Connections that may wait to be accepted; 511 when left out, and 511 for
   * each Worker where Workers share a socket. An integer from 0 to 2147483647.
   */
  tcpBacklog?: number;
  /**
   * How the system probes silent clients: see `ListenOptions.keepalive`. On
   * when left out: the connection of a client that has vanished ends, also when
   * nothing is written to it.
   */
  tcpKeepalive?: boolean | Partial<Keepalive>;
  /**
   * Whether requests must obey RFC 9112; true when left out. With `false` the
   * server also takes what `Deno.serve` takes: a request of HTTP/1.1 without
   * `Host` or with an empty one, lines of a head that end in a bare LF, and
   * CONNECT, which is 501 otherwise, since there is no tunnel behind it. The
   * framing of bodies stays strict. A head that is too large is then answered
   * with 400, as by `Deno.serve`, instead of 431.
   *
   * Do not use `false` behind a proxy: a proxy that ends lines or chooses hosts
   * in another way than this server may pass on requests that it never checked.
   */
  requireHost?: boolean;
}

/** One option. */
export interface OptionRow {
  /** The default; with `undefined` the system decides. */
  readonly initial: number | boolean | undefined;
  /**
   * The least and the most of a number; `Infinity` is no limit. Missing for an
   * option that is no number.
   */
  readonly range?: readonly [min: number, max: number];
  /** Whether the number must be an integer; then `null` counts as left out. */
  readonly isWhole?: true;
  /** The unit of the number, on the command line. */
  readonly unit?: "MS" | "BYTES" | "N";
  /** The description, a line of `--help`. */
  readonly text: string;
  /** The default, in words of the README. */
  readonly shown: string;
  /** What happens to a client beyond the limit, in words of the README. */
  readonly beyond: string;
}

const TIME = [1, MS_MAX] as const;
const COUNT = [1, Infinity] as const;
const SIZE = [0, Infinity] as const;
/** The most that `listen(2)` takes. */
const BACKLOG_MAX = 0x7fff_ffff;
/** The fields that fit the parser's table. */
const HEADERS_MAX = 100;

/** All limits, in the order of the README. */
export const TABLE = {
  headMs: {
    initial: 20_000,
    range: TIME,
    unit: "MS",
    text: "Time in which a head must come",
    shown: "20 s from the first byte",
    beyond: "408",
  },
  keepAliveMs: {
    initial: 75_000,
    range: TIME,
    unit: "MS",
    text: "Time kept without a request",
    shown: "75 s, sent to clients",
    beyond: "closed",
  },
  bodyBytesPerSecondMin: {
    initial: 240,
    range: SIZE,
    unit: "BYTES",
    text: "Least that a body brings a second",
    shown: "240, over each 10 s",
    beyond: "408",
  },
  writeMs: {
    initial: 60_000,
    range: TIME,
    unit: "MS",
    text: "Time for which nothing is taken",
    shown: "60 s without a byte read",
    beyond: "reset",
  },
  tcpKeepalive: {
    initial: true,
    text: "Whether silent clients are asked for",
    shown: "asked after 15 s silence",
    beyond: "given up when nothing answers",
  },
  handlerMs: {
    initial: Infinity,
    range: TIME,
    unit: "MS",
    text: "Time in which a handler answers",
    shown: "none",
    beyond: "503, and `request.signal` aborts",
  },
  headBytesMax: {
    initial: 32_768,
    range: SIZE,
    unit: "BYTES",
    text: "Size of a head",
    shown: "32 KiB",
    beyond: "431",
  },
  headerCountMax: {
    initial: 100,
    range: [0, HEADERS_MAX],
    unit: "N",
    text: "Fields of a head",
    shown: "100 fields",
    beyond: "431",
  },
  urlBytesMax: {
    initial: 8_192,
    range: COUNT,
    unit: "BYTES",
    text: "Size of a target",
    shown: "8 KiB",
    beyond: "414",
  },
  bodyBytesMax: {
    initial: 134_217_728,
    range: SIZE,
    unit: "BYTES",
    text: "Size of a body",
    shown: "128 MiB",
    beyond: "413",
  },
  requestsMax: {
    initial: 100_000,
    range: COUNT,
    unit: "N",
    text: "Requests on one connection",
    shown: "100,000 a connection",
    beyond: "closed after the answer",
  },
  connectionsMax: {
    initial: 65_536,
    range: COUNT,
    unit: "N",
    text: "Connections, of each Worker",
    shown: "65,536",
    beyond: "the longest idle one is closed",
  },
  connectionsPerAddressMax: {
    initial: 16_384,
    range: COUNT,
    unit: "N",
    text: "The same, from one address",
    shown: "16,384",
    beyond: "closed",
  },
  tcpBacklog: {
    initial: undefined,
    range: [0, BACKLOG_MAX],
    isWhole: true,
    unit: "N",
    text: "Connections that may wait to be accepted",
    shown: "511 that wait",
    beyond: "they try again",
  },
  messageBytesMax: {
    ...WEB_SOCKET_LIMITS.messageBytesMax,
    unit: "BYTES",
    text: "Size of a WebSocket's message",
    shown: "16 MiB, decompressed",
    beyond: "closed with 1009",
  },
  fragmentsMax: {
    ...WEB_SOCKET_LIMITS.fragmentsMax,
    unit: "N",
    text: "Frames of a WebSocket's message",
    shown: "131,072",
    beyond: "closed with 1008",
  },
  backpressureBytesMax: {
    ...WEB_SOCKET_LIMITS.backpressureBytesMax,
    unit: "BYTES",
    text: "Unsent bytes of a WebSocket",
    shown: "1 MiB",
    beyond: '`send` says "refused"',
  },
  webSocketIdleMs: {
    ...WEB_SOCKET_LIMITS.webSocketIdleMs,
    unit: "MS",
    text: "Time a WebSocket may be silent",
    shown: "60 s, a ping after 30 s",
    beyond: "closed, code 1006",
  },
  closeMs: {
    ...WEB_SOCKET_LIMITS.closeMs,
    unit: "MS",
    text: "Time to answer a WebSocket's close frame",
    shown: "5 s",
    beyond: "reset",
  },
  topicsMax: {
    ...WEB_SOCKET_LIMITS.topicsMax,
    unit: "N",
    text: "Topics of a WebSocket",
    shown: "1,024",
    beyond: "`subscribe` returns false",
  },
  requireHost: {
    initial: true,
    text: "Whether requests must be as RFC 9112 has them",
    shown: "RFC 9112, strictly",
    beyond: "400",
  },
} as const satisfies Record<keyof LimitedOptions, OptionRow>;

/** The name of a limit. */
export type LimitName = keyof typeof TABLE;

/** The values of all limits: from the options, or the defaults. */
export type Settings =
  & Readonly<Required<Omit<LimitedOptions, "tcpBacklog">>>
  & { readonly tcpBacklog: number | undefined };

/**
 * Returns all limits, with the defaults for those that are left out.
 *
 * @throws {RangeError} when a number is out of its range.
 */
export function settingsOf(options: LimitedOptions): Settings {
  const settings: Record<string, unknown> = {};
  const given = options as Readonly<Record<string, unknown>>;
  // No iterator of an array, since a program may have changed it.
  for (const name in TABLE) {
    const row: OptionRow = TABLE[name as LimitName];
    settings[name] = valueOf(name as LimitName, row, given[name]);
  }
  return settings as unknown as Settings;
}

function valueOf(name: LimitName, row: OptionRow, value: unknown): unknown {
  if (value === undefined) return row.initial;
  // As with Deno.serve, null counts as left out.
  if (value === null && (row.isWhole || !row.range)) return row.initial;
  if (row.range === undefined) return value;
  // The function is called for each request.
  if (name === "bodyBytesMax" && typeof value === "function") return value;
  const [min, max] = row.range;
  if (!row.isWhole) checkRange(name, value as number, min, max);
  else if (!Number.isInteger(value) || value as number < min) {
    throw notWhole(name, value, row.range);
  } else if (value as number > max) throw notWhole(name, value, row.range);
  return value;
}

function notWhole(
  name: string,
  value: unknown,
  [min, max]: readonly [number, number],
): RangeError {
  return new RangeError(
    `Cannot use ${name} "${String(value)}": it must be an integer from ` +
      `${min} to ${max}`,
  );
}

/** Returns the limits that the options contain. */
export function givenLimits(options: LimitedOptions): LimitedOptions {
  const given: Record<string, unknown> = {};
  for (const name in TABLE) {
    const value = options[name as LimitName];
    if (value !== undefined) given[name] = value;
  }
  return given as LimitedOptions;
}
