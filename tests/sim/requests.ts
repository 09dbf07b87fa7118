/**
 * The requests of a client of a simulated HTTP server: their bytes, what the
 * handler does, and the answers that must come.
 *
 * @module
 */

import { concat, latin1 } from "../util/http_bytes.ts";
import { taggedBytes } from "./bytes.ts";
import type { World } from "./world.ts";

/** What a handler does. */
export type Manner =
  | "text"
  | "bytes"
  | "late"
  | "stream"
  | "counted stream"
  | "echo"
  | "echo stream"
  | "read part"
  | "throw"
  | "reject"
  | "break";

/** One request, and what happens to it. */
export interface Exchange {
  /** The number of its stream of bytes, which no other request has. */
  readonly tag: number;
  readonly method: "GET" | "POST" | "HEAD";
  readonly manner: Manner;
  /** The length of its body. */
  readonly bodyBytes: number;
  readonly isChunked: boolean;
  /** The length of the answer's body, unless the handler echoes. */
  readonly answerBytes: number;
  /** How long the handler takes at the most. */
  readonly delayMs: number;
  /** Whether the client asks to close after this request. */
  readonly isLast: boolean;
  /** How often the handler was called. */
  calls: number;
}

/** What the client must read. */
export interface Expected {
  readonly status: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The answer when a handler fails. */
export const FAILURE_TEXT = "It failed";

const BODILESS: readonly Manner[] = [
  "text",
  "text",
  "bytes",
  "late",
  "stream",
  "counted stream",
  "throw",
  "reject",
];
const WITH_BODY: readonly Manner[] = [
  ...BODILESS,
  "echo",
  "echo",
  "echo stream",
  "read part",
];
const BYTES_MAX = 30_000;
/** Less than the server reads of an unwanted body: 256 KiB. */
const LARGE_BYTES_MAX = 200_000;

/** Returns a client's requests, in order. */
export function exchangesOf(world: World, client: number): Exchange[] {
  const count = world.size(12);
  return Array.from({ length: count }, (_, index) => {
    const hasBody = world.chance(0.4);
    const isLast = index === count - 1;
    return {
      tag: client * 100 + index,
      method: hasBody ? "POST" : world.pick(["GET", "GET", "HEAD"] as const),
      manner: isLast && world.chance(0.1)
        ? "break"
        : world.pick(hasBody ? WITH_BODY : BODILESS),
      bodyBytes: hasBody ? sizeOf(world) - 1 : 0,
      isChunked: world.chance(0.5),
      answerBytes: sizeOf(world),
      delayMs: world.pick([0, 0, 1, 20]),
      isLast: isLast && world.chance(0.3),
      calls: 0,
    };
  });
}

/** Sometimes more than any buffer of denio holds. */
function sizeOf(world: World): number {
  return world.chance(0.07)
    ? world.whole(BYTES_MAX, LARGE_BYTES_MAX)
    : world.size(BYTES_MAX);
}

/** Returns the bytes of a request. */
export function encodeExchange(
  world: World,
  exchange: Exchange,
): Uint8Array<ArrayBuffer> {
  const { method, tag, isLast, isChunked } = exchange;
  const head = `${method} /${tag} HTTP/1.1\r\nHost: a.test\r\n` +
    (isLast ? "Connection: close\r\n" : "");
  if (method !== "POST") return latin1(`${head}\r\n`);
  const body = sentBody(exchange);
  if (!isChunked) {
    const length = `Content-Length: ${body.byteLength}\r\n\r\n`;
    return concat([latin1(head + length), body]);
  }
  const parts: Uint8Array[] = [
    latin1(`${head}Transfer-Encoding: chunked\r\n\r\n`),
  ];
  for (let start = 0; start < body.byteLength;) {
    const size = Math.min(world.size(BYTES_MAX), body.byteLength - start);
    parts.push(latin1(`${size.toString(16)}\r\n`));
    parts.push(body.subarray(start, start + size), latin1("\r\n"));
    start += size;
  }
  return concat([...parts, latin1("0\r\n\r\n")]);
}

/** Returns the body of a request. */
export function sentBody(
  { tag, bodyBytes }: Exchange,
): Uint8Array<ArrayBuffer> {
  return taggedBytes(tag, 0, bodyBytes);
}

/** Returns the answer that must come; for "break" it is not whole. */
export function expectedOf(exchange: Exchange): Expected {
  const { method, manner, tag, answerBytes } = exchange;
  const hasFailed = manner === "throw" || manner === "reject";
  const status = hasFailed ? 500 : 200;
  if (method === "HEAD") return { status, body: new Uint8Array(0) };
  if (hasFailed) return { status, body: latin1(FAILURE_TEXT) };
  if (manner.startsWith("echo")) return { status, body: sentBody(exchange) };
  if (manner === "text") return { status, body: latin1(textOf(exchange)) };
  return { status, body: taggedBytes(~tag & 0xffff, 0, answerBytes) };
}

/** Returns the text of an answer. */
export function textOf({ tag, answerBytes }: Exchange): string {
  return `${tag} `.repeat(Math.ceil(answerBytes / 100));
}
