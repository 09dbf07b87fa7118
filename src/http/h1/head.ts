/**
 * Request heads: native code parses a head into a table of positions; a value
 * is decoded when it is read.
 *
 * @module
 */

import { native } from "../../native/library.ts";
import { decodeLatin1, encodeLatin1 } from "../latin1.ts";
import { RequestFlag } from "../answer_plan.ts";
import type { HttpLimits } from "../http_limits.ts";
import { KeptParts } from "./kept_parts.ts";
import { beginsKnown, copyOfKnown, offerKnown } from "./known_head.ts";
import { textOf, urlTextOf } from "./known_texts.ts";

/**
 * Bits of {@linkcode RequestHead.flags}, below those of `RequestFlag` and the
 * method's number, as `http1.rs` sets them.
 */
export const HeadFlag = {
  /** The connection may be used again. */
  KEEP_ALIVE: 1,
  /** The body comes in chunks. */
  CHUNKED: 2,
  /** There is a `Content-Length`. */
  HAS_LENGTH: 4,
  /** The client waits for `100 Continue`. */
  EXPECT_CONTINUE: 8,
  /** There is an expectation that the server cannot meet. */
  EXPECT_OTHER: 16,
  /** The client offers to change the protocol. */
  UPGRADE: 32,
  /** There is a `Host`. */
  HAS_HOST: 64,
} as const;

/** Where the four bits of the method's number begin in the flags. */
const METHOD_SHIFT = 10;
const METHOD_MASK = 15;
/** Where the number of fields begins in the flags. */
const COUNT_SHIFT = 14;

/** Words of the table, as `http1.rs` lays them out. */
const METHOD = 0;
const METHOD_START = 1;
const METHOD_END = 2;
const TARGET_START = 3;
const TARGET_END = 4;
const MINOR = 5;
const FLAGS = 6;
const LENGTH_LOW = 7;
const LENGTH_HIGH = 8;
const HOST_START = 9;
const HOST_END = 10;
const HEADER_COUNT = 11;
const FIXED = 12;
const PER_HEADER = 4;
const HEADERS_MAX = 100;

/** Methods by number, in the order of `http1.rs`. */
const METHODS = [
  "",
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "OPTIONS",
  "PATCH",
  "CONNECT",
  "TRACE",
] as const;

const METHOD_HEAD = 2;
const METHOD_CONNECT = 8;
const COOKIE = "cookie";
/** The parser's modes: RFC 9112 alone, or all that `Deno.serve` takes. */
const STRICT = 0;
const LENIENT = 1;
/** The number of a detached head: never the one in the table. */
const NOT_PARSED = -1;
/** Numbers of heads wrap to 0, so that none is negative. */
const NUMBER_MASK = 0x7fff_ffff;

const LF = 10;
const CR = 13;
const SPACE = 32;
const SLASH = 47;
const UPPER_A = 65;
const UPPER_Z = 90;
const TO_LOWER = 32;

/** The table of the head that was parsed last. */
const table = new Uint32Array(FIXED + PER_HEADER * HEADERS_MAX);
/**
 * The number of the head that the table describes. A reference to the head
 * would cost a GC write barrier for each head.
 */
let parsed = 0;

/** The head whose bytes are known, and whether it was parsed strictly. */
let known: RequestHead | undefined;
let knownIsStrict = false;

/**
 * Parses the head that starts at `start`.
 *
 * @param scanned The first bytes that were parsed before, and were partial.
 * @param requireHost Whether to refuse heads that `Deno.serve` takes and RFC
 * 9112 does not: without `Host`, with lines that end in a bare LF, CONNECT.
 * @returns The head; 0 while it is partial; the negative status of a refusal.
 */
export function parseHead(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
  scanned: number,
  requireHost: boolean,
): RequestHead | number {
  if (
    known !== undefined && knownIsStrict === requireHost &&
    beginsKnown(bytes, start, end)
  ) return RequestHead.repeat(known);
  const length = native().denio_http1_parse(
    bytes,
    start,
    end - start,
    scanned,
    requireHost ? STRICT : LENIENT,
    table,
  );
  if (length === 0) return 0;
  // A refused head may have changed the table too.
  parsed = parsed + 1 & NUMBER_MASK;
  if (length < 0) return length;
  const head = new RequestHead(bytes, start, length);
  if (offerKnown(bytes, start, start + length)) {
    known = head;
    knownIsStrict = requireHost;
  }
  return head;
}

/**
 * Returns the status for a partial head that is too long: 501 for its method,
 * 414 for its target (RFC 9112 section 3), 431 otherwise.
 *
 * @param end Where the longest allowed head ends.
 */
export function tooLongStatus(
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let at = requestStart(bytes, start, end);
  if (at === end) return 431;
  let status = 501;
  for (; at < end; at++) {
    if (bytes[at] === LF) return 431;
    if (bytes[at] === SPACE) status = 414;
  }
  return status;
}

/**
 * Returns where the empty lines before a head end: RFC 9112 section 2.2.
 *
 * @param start Where they begin, or where an earlier call stopped.
 * @param requireHost As for {@linkcode parseHead}: a bare LF ends no line.
 */
export function emptyLinesEnd(
  bytes: Uint8Array,
  start: number,
  end: number,
  requireHost: boolean,
): number {
  let at = start;
  while (at < end) {
    if (bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF) at += 2;
    else if (bytes[at] === LF && !requireHost) at++;
    else break;
  }
  return at;
}

/** Whether there is a bare LF at `at`. */
export function isBareLineEnd(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === LF;
}

/** Returns the bit of `RequestFlag` for the method of a partial or bad head. */
export function methodFlag(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): number {
  const at = requestStart(bytes, start, end);
  const isHead = decodeLatin1(bytes, at, Math.min(end, at + 5)) === "HEAD ";
  return isHead ? RequestFlag.HEAD_METHOD : 0;
}

/** Returns the status for a head that exceeds a limit; 0 for any other. */
export function excessOf(head: RequestHead, limits: HttpLimits): number {
  const { headBytesMax, headerCountMax, urlBytesMax } = limits;
  const { byteLength } = head;
  if (byteLength > urlBytesMax && head.targetByteLength > urlBytesMax) {
    return 414;
  }
  const isTooMuch = byteLength > headBytesMax ||
    head.fieldCount > headerCountMax;
  return isTooMuch ? 431 : 0;
}

/** Where the request line begins, behind empty lines: RFC 9112 section 2.2. */
function requestStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] === CR || bytes[at] === LF)) at++;
  return at;
}

/**
 * A parsed request head, which refers to the buffer that it was read into.
 * Requests with the same head may share it.
 */
export class RequestHead {
  /** The length of the head in bytes. */
  readonly byteLength: number;
  /**
   * The bits of {@linkcode HeadFlag}, `RequestFlag`, the method's number and
   * the number of fields.
   */
  readonly flags: number;
  /** The buffer that it was read into; a copy as text, once it is detached. */
  #source: Uint8Array<ArrayBuffer> | string;
  #start: number;
  #number: number;
  #kept: KeptParts | undefined = undefined;

  /** Made by {@linkcode parseHead}, which has just filled the table. */
  constructor(bytes: Uint8Array<ArrayBuffer>, start: number, length: number) {
    this.#source = bytes;
    this.#start = start;
    this.byteLength = length;
    this.#number = parsed;
    const method = table[METHOD]!;
    this.flags = table[FLAGS]! |
      (table[MINOR] === 0 ? RequestFlag.HTTP_1_0 : 0) |
      (method === METHOD_HEAD ? RequestFlag.HEAD_METHOD : 0) |
      (method === METHOD_CONNECT ? RequestFlag.CONNECT_METHOD : 0) |
      method << METHOD_SHIFT | table[HEADER_COUNT]! << COUNT_SHIFT;
  }

  /**
   * Whether an earlier request had it too. Then it refers to bytes of its own,
   * not to those of the read buffer.
   */
  get isRepeated(): boolean {
    return this.#kept !== undefined;
  }

  /** Returns the known head, for a request that repeats it. */
  static repeat(head: RequestHead): RequestHead {
    if (head.#kept !== undefined) return head;
    head.#kept = new KeptParts();
    head.#source = copyOfKnown();
    head.#start = 0;
    head.#number = NOT_PARSED;
    return head;
  }

  /** The length of the request target in bytes. */
  get targetByteLength(): number {
    const words = RequestHead.#table(this);
    return words[TARGET_END]! - words[TARGET_START]!;
  }

  /** The number of fields. */
  get fieldCount(): number {
    return this.flags >> COUNT_SHIFT;
  }

  /** The method as sent: methods are case-sensitive. */
  get method(): string {
    const number = this.flags >> METHOD_SHIFT & METHOD_MASK;
    return METHODS[number] ||
      RequestHead.#slice(this, METHOD_START, METHOD_END);
  }

  /**
   * Whether a `Request` of this method has no body: a received body is thrown
   * away, as by `Deno.serve`.
   */
  get hasNoBody(): boolean {
    const { method } = this;
    return method === "GET" || method === "HEAD";
  }

  /** The request target as sent. */
  get target(): string {
    return RequestHead.#slice(this, TARGET_START, TARGET_END);
  }

  /**
   * Returns the URL for a target that begins with a slash, unless it is long.
   *
   * @param authority That of the server, for a head without one.
   */
  pathUrl(scheme: string, authority: string): string | undefined {
    const words = RequestHead.#table(this);
    const bytes = this.#source as Uint8Array<ArrayBuffer>;
    const start = words[TARGET_START]!;
    if (bytes[start] !== SLASH) return undefined;
    return urlTextOf(scheme, authority, bytes, start, words[TARGET_END]!);
  }

  /** The value of `Host`; empty without the field. */
  get host(): string {
    return RequestHead.#slice(this, HOST_START, HOST_END);
  }

  /** The value of `Content-Length`; 0 without the field. */
  get contentLength(): number {
    const words = RequestHead.#table(this);
    return words[LENGTH_HIGH]! * 2 ** 32 + words[LENGTH_LOW]!;
  }

  /**
   * Returns a field's value, or `undefined`. Several values are joined by a
   * comma, as by fetch; cookies by a semicolon, as by `Deno.serve`.
   *
   * @param name The name in lower case.
   */
  get(name: string): string | undefined {
    const kept = this.#kept?.value(name);
    if (kept !== undefined) return kept ?? undefined;
    const value = RequestHead.#find(this, name);
    this.#kept?.keepValue(name, value ?? null);
    return value;
  }

  /** Returns the URL that was kept for this head and a scheme. */
  keptUrl(scheme: string): string | undefined {
    return this.#kept?.url(scheme);
  }

  /**
   * Keeps a URL that only the head and the scheme decide, if the head is
   * repeated.
   */
  keepUrl(scheme: string, url: string): void {
    this.#kept?.keepUrl(scheme, url);
  }

  /** Returns all fields as sent, in order, with all cookies in one field. */
  fields(): [string, string][] {
    const words = RequestHead.#table(this);
    const bytes = this.#source as Uint8Array<ArrayBuffer>;
    const fields: [string, string][] = [];
    let cookie: [string, string] | undefined;
    const end = FIXED + PER_HEADER * words[HEADER_COUNT]!;
    for (let row = FIXED; row < end; row += PER_HEADER) {
      const start = words[row]!;
      const nameEnd = words[row + 1]!;
      const value = decodeLatin1(bytes, words[row + 2]!, words[row + 3]!);
      const isCookie = nameEquals(bytes, start, nameEnd, COOKIE);
      if (isCookie && cookie !== undefined) {
        cookie[1] = joined(COOKIE, cookie[1], value);
        continue;
      }
      const field: [string, string] = [
        decodeLatin1(bytes, start, nameEnd),
        value,
      ];
      if (isCookie) cookie = field;
      fields.push(field);
    }
    return fields;
  }

  /**
   * Copies the head as text, for a handler that is still pending at the end of
   * its turn: the buffer is used again. A string lies in V8's own heap, where
   * small objects cost least.
   */
  detach(): void {
    const source = this.#source;
    if (typeof source === "string" || this.isRepeated) return;
    this.#source = decodeLatin1(
      source,
      this.#start,
      this.#start + this.byteLength,
    );
    // The positions in the table are those in the buffer, not in the text.
    this.#number = NOT_PARSED;
  }

  // Static, since private methods would cost each instance a field.

  static #find(head: RequestHead, name: string): string | undefined {
    const words = RequestHead.#table(head);
    const bytes = head.#source as Uint8Array<ArrayBuffer>;
    let found: string | undefined;
    const end = FIXED + PER_HEADER * words[HEADER_COUNT]!;
    for (let row = FIXED; row < end; row += PER_HEADER) {
      if (!nameEquals(bytes, words[row]!, words[row + 1]!, name)) continue;
      const value = textOf(bytes, words[row + 2]!, words[row + 3]!);
      found = found === undefined ? value : joined(name, found, value);
    }
    return found;
  }

  static #slice(head: RequestHead, start: number, end: number): string {
    const words = RequestHead.#table(head);
    const bytes = head.#source as Uint8Array<ArrayBuffer>;
    return textOf(bytes, words[start]!, words[end]!);
  }

  /**
   * Returns the table of this head. When it describes another head by now, this
   * one is parsed again, and its source is bytes from then on.
   */
  static #table(head: RequestHead): Uint32Array {
    if (head.#number === parsed) return table;
    let source = head.#source;
    if (typeof source === "string") {
      source = head.#source = encodeLatin1(source);
      head.#start = 0;
    }
    const length = source.byteLength - head.#start;
    // Lenient is right for all: it parses what strict accepts in the same way.
    native().denio_http1_parse(
      source,
      head.#start,
      length,
      0,
      LENIENT,
      table,
    );
    head.#number = parsed = parsed + 1 & NUMBER_MASK;
    return table;
  }
}

/** RFC 9113 section 8.2.3: a comma would belong to a cookie's value. */
function joined(name: string, left: string, right: string): string {
  return name === COOKIE ? `${left}; ${right}` : `${left}, ${right}`;
}

/** RFC 9110 section 5.1: field names are case-insensitive. */
function nameEquals(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: string,
): boolean {
  if (end - start !== name.length) return false;
  for (let index = 0; index < name.length; index++) {
    const byte = bytes[start + index]!;
    const lower = byte >= UPPER_A && byte <= UPPER_Z ? byte + TO_LOWER : byte;
    if (lower !== name.charCodeAt(index)) return false;
  }
  return true;
}
