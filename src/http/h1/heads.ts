/**
 * Serialises the heads of answers: status line, fields, framing.
 *
 * Repeated parts are kept as bytes: status lines always, a status line with
 * type and date for the second in which the date is valid.
 *
 * @module
 */

import { utcText, wallMs as wallNowMs } from "../../base/own.ts";
import { REASONS } from "../errors.ts";
import {
  encodeLatin1,
  writeAscii,
  writeDecimal,
  writeLatin1,
} from "../latin1.ts";
import { type AnswerPlan, type Fields, Framing } from "../answer_plan.ts";
import type { Output } from "../../stream/shared.ts";

const SECOND_MS = 1_000;
/**
 * Which common answers are compared with an earlier one: comparing all would
 * cost a tenth of an answer where each has another text.
 */
const SAMPLE_MASK = 15;
/** Longer answers are not kept. */
const REPEATED_TEXT_MAX = 1_024;
/** Types with a kept head; a program has a handful. */
const TYPES_MAX = 64;
/** The most bytes of a head without the fields of the response. */
export const HEAD_BYTES_FIXED = 512;

const CLOSE = encodeLatin1("\r\nconnection: close");
const UPGRADE = encodeLatin1("\r\nconnection: Upgrade");
const KEEP_ALIVE = "\r\nconnection: keep-alive";
const CONTENT_TYPE = encodeLatin1("\r\ncontent-type: ");
const CONTENT_LENGTH = encodeLatin1("\r\ncontent-length: ");
const CHUNKED = encodeLatin1("\r\ntransfer-encoding: chunked");

/** What the head of an answer says of its connection. */
export const ConnectionField = {
  /** HTTP/1.1 is kept alive: only `Keep-Alive: timeout` is sent. */
  NONE: 0,
  /** `Connection: close`. */
  CLOSE: 1,
  /** `Connection: keep-alive`, for HTTP/1.0. */
  KEEP_ALIVE: 2,
  /** `Connection: Upgrade` alone, for a 101. */
  UPGRADE: 3,
} as const;

/** What the server does with a field of the response. */
const FieldKind = {
  /** It sends the field. */
  PLAIN: 0,
  /** It leaves the field out: the connection decides. */
  HOP_BY_HOP: 1,
  /** It leaves the field out, but in an answer with 101 or 426. */
  UPGRADE: 2,
  /** It sends the field instead of its own date. */
  DATE: 3,
} as const;

/** The fields that are not plain, in lower case. */
const FIELD_KINDS: Readonly<Record<string, number>> = {
  "connection": FieldKind.HOP_BY_HOP,
  "keep-alive": FieldKind.HOP_BY_HOP,
  "transfer-encoding": FieldKind.HOP_BY_HOP,
  "content-length": FieldKind.HOP_BY_HOP,
  "upgrade": FieldKind.UPGRADE,
  "date": FieldKind.DATE,
};

/** A serialised field name. */
interface FieldName {
  /** A line end, the name as the response has it, and a colon. */
  readonly line: Uint8Array<ArrayBuffer>;
  /** One of `FieldKind`. */
  readonly kind: number;
}

/** Names that are kept; a program has a few dozen. */
const NAMES_MAX = 256;
const names = new Map<string, FieldName>();

/** Only these name protocols: RFC 9110 sections 15.2.2 and 15.5.22. */
const NAMES_PROTOCOLS: ReadonlySet<number> = new Set([101, 426]);
/** A loop writes texts up to this length faster than a call. */
const LOOP_MAX = 256;
/** Characters that no field and no phrase may have: RFC 9110 section 5.5. */
const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/;

/** The part of a plan that is in the head. */
type Head = Pick<
  AnswerPlan,
  "status" | "statusText" | "contentType" | "fields"
>;

/** Serialises heads, and keeps them while their date is valid. */
export class Heads {
  readonly #statusLines = new Map<number, Uint8Array<ArrayBuffer>>();
  #untilMs = -Infinity;
  #date: Uint8Array<ArrayBuffer> = encodeLatin1("");
  /** The end of most heads: the date, and the fields behind it. */
  #tailText = "";
  #tail: Uint8Array<ArrayBuffer> = encodeLatin1("");
  #plainType: string | undefined;
  #plain: Uint8Array<ArrayBuffer> | undefined;
  /** The text of one common answer in sixteen. */
  #sampleText: string | undefined;
  #sampleType: string | undefined;
  #count = 0;
  /** The whole answer with that text, while all common answers have it. */
  #repeated: Uint8Array<ArrayBuffer> | undefined;
  readonly #typed = new Map<string, Uint8Array<ArrayBuffer>>();
  /** `Keep-Alive: timeout`: RFC 2068 section 19.7.1.1. */
  readonly #alive: string;

  /**
   * Makes heads.
   *
   * @param keepAliveMs How long idle connections are kept. Clients get it in
   * whole seconds, when it is at least one second.
   */
  constructor(keepAliveMs: number = Infinity) {
    const seconds = Math.floor(keepAliveMs / SECOND_MS);
    const isSent = seconds >= 1 && seconds < Infinity;
    this.#alive = isSent
      ? `${KEEP_ALIVE}\r\nkeep-alive: timeout=${seconds}`
      : "";
  }

  /**
   * Writes the common answer: a 200 of ASCII text with no field but its type,
   * on a connection of HTTP/1.1 that is used again. It has four parameters,
   * since an object would be allocated for each answer. The caller provides
   * room for {@linkcode HEAD_BYTES_FIXED} bytes, both texts and `ASCII_ROOM`.
   *
   * @returns Whether the text is ASCII; nothing is written otherwise.
   */
  writePlain(
    output: Output,
    nowMs: number,
    type: string | undefined,
    text: string,
  ): boolean {
    this.refresh(nowMs);
    const { bytes, length } = output;
    const answer = this.#repeated;
    if (answer !== undefined) {
      if (text === this.#sampleText && type === this.#sampleType) {
        bytes.set(answer, length);
        output.length = length + answer.byteLength;
        return true;
      }
      this.#repeated = undefined;
    }
    const kept = type === this.#plainType && this.#plain !== undefined
      ? this.#plain
      : this.#keep(type);
    bytes.set(kept, length);
    let at = length + kept.byteLength;
    at = writeDecimal(bytes, at, text.length);
    const end = writeAscii(bytes, writeHeadEnd(bytes, at), text);
    if (end < 0) return false;
    output.length = end;
    this.#count = this.#count + 1 & SAMPLE_MASK;
    if (this.#count === 0) this.#sample(type, text, bytes.slice(length, end));
    return true;
  }

  /** Keeps a common answer, when it repeats the last sample. */
  #sample(
    type: string | undefined,
    text: string,
    answer: Uint8Array<ArrayBuffer>,
  ): void {
    if (text.length > REPEATED_TEXT_MAX) return;
    const isSame = text === this.#sampleText && type === this.#sampleType;
    if (isSame) this.#repeated = answer;
    this.#sampleText = text;
    this.#sampleType = type;
  }

  /**
   * Writes any head, with the date of the last {@linkcode Heads.refresh}. The
   * caller provides room for {@linkcode HEAD_BYTES_FIXED} bytes and
   * {@linkcode fieldBytes}.
   *
   * @param framing A content length, or one of `Framing`.
   * @param connection One of {@linkcode ConnectionField}.
   * @throws {TypeError} when a text would break its line; nothing is written.
   */
  write(
    output: Output,
    plan: Head,
    framing: number,
    connection: number,
  ): void {
    const { bytes } = output;
    let at = this.#writeStatus(bytes, output.length, plan);
    let hasDate = false;
    let namesProtocol = false;
    if (plan.contentType !== undefined) {
      at = append(bytes, at, CONTENT_TYPE);
      at = writeText(bytes, at, plan.contentType);
    }
    const { fields } = plan;
    // By index here and below: an iterator would be allocated.
    for (let index = 0; index < fields.length; index++) {
      const field = fields[index]!;
      const { line, kind } = nameOf(field[0]);
      if (kind !== FieldKind.PLAIN) {
        if (kind === FieldKind.HOP_BY_HOP) continue;
        if (kind === FieldKind.DATE) hasDate = true;
        else if (!NAMES_PROTOCOLS.has(plan.status)) continue;
        else namesProtocol = true;
      }
      at = writeText(bytes, append(bytes, at, line), field[1]);
    }
    const isCommon = !hasDate && !namesProtocol && framing >= 0 &&
      connection === ConnectionField.NONE;
    if (isCommon) {
      at = writeDecimal(bytes, append(bytes, at, this.#tail), framing);
    } else {
      if (!hasDate) at = append(bytes, at, this.#date);
      if (namesProtocol) at = append(bytes, at, UPGRADE);
      at = this.#writeConnection(bytes, at, connection);
      at = writeFraming(bytes, at, framing);
    }
    output.length = writeHeadEnd(bytes, at);
  }

  #writeStatus(
    bytes: Uint8Array<ArrayBuffer>,
    at: number,
    { status, statusText }: Head,
  ): number {
    if (statusText !== "") {
      return writeText(bytes, at, `HTTP/1.1 ${status} ${statusText}`);
    }
    return append(bytes, at, this.#statusLine(status));
  }

  #statusLine(status: number): Uint8Array<ArrayBuffer> {
    let line = this.#statusLines.get(status);
    if (line === undefined) {
      line = encodeLatin1(`HTTP/1.1 ${status} ${REASONS[status] ?? ""}`);
      this.#statusLines.set(status, line);
    }
    return line;
  }

  #keep(type: string | undefined): Uint8Array<ArrayBuffer> {
    const key = type ?? "";
    let kept = this.#typed.get(key);
    if (kept === undefined) {
      checkText(key);
      if (this.#typed.size >= TYPES_MAX) this.#typed.clear();
      const line = type === undefined ? "" : `\r\ncontent-type: ${type}`;
      kept = encodeLatin1(`HTTP/1.1 200 OK${line}${this.#tailText}`);
      this.#typed.set(key, kept);
    }
    this.#plainType = type;
    return this.#plain = kept;
  }

  #writeConnection(
    bytes: Uint8Array<ArrayBuffer>,
    at: number,
    connection: number,
  ): number {
    if (connection === ConnectionField.CLOSE) return append(bytes, at, CLOSE);
    if (connection === ConnectionField.UPGRADE) return at;
    const isOld = connection === ConnectionField.KEEP_ALIVE;
    const alive = isOld && this.#alive === "" ? KEEP_ALIVE : this.#alive;
    return writeLatin1(bytes, at, alive);
  }

  /** Renews the date of heads if needed; `nowMs` is the transport's clock. */
  refresh(nowMs: number): void {
    if (nowMs >= this.#untilMs) this.#renew(nowMs);
  }

  #renew(nowMs: number): void {
    const wallMs = wallNowMs();
    this.#untilMs = nowMs + SECOND_MS - wallMs % SECOND_MS;
    // RFC 9110 section 6.6.1, in the form of section 5.6.7.
    const date = `\r\ndate: ${utcText(wallMs)}`;
    this.#date = encodeLatin1(date);
    this.#tailText = `${date}${this.#alive}\r\ncontent-length: `;
    this.#tail = encodeLatin1(this.#tailText);
    this.#typed.clear();
    this.#plain = undefined;
    this.#repeated = undefined;
  }
}

/** Returns the most bytes that fields take in a head. */
export function fieldBytes(fields: readonly [string, string][]): number {
  let bytes = 0;
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    bytes += field[0].length + field[1].length + 4;
  }
  return bytes;
}

/**
 * Whether the response's own `Connection` closes the connection behind this
 * answer: RFC 9112 section 9.3.
 */
export function saysClose(fields: Fields): boolean {
  // By index: this runs for each answer.
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    const name = field[0];
    const isConnection = name.length === 10 &&
      name.toLowerCase() === "connection";
    if (isConnection && /(^|,)\s*close\s*(,|$)/i.test(field[1])) return true;
  }
  return false;
}

/** Returns a serialised name; a look-up costs less than writing the name. */
function nameOf(name: string): FieldName {
  const known = names.get(name);
  if (known !== undefined) return known;
  checkText(name);
  // A handler may use any number of names.
  if (names.size >= NAMES_MAX) names.clear();
  const lower = name.toLowerCase();
  const kind = Object.hasOwn(FIELD_KINDS, lower)
    ? FIELD_KINDS[lower]!
    : FieldKind.PLAIN;
  const made = { line: encodeLatin1(`\r\n${name}: `), kind };
  names.set(name, made);
  return made;
}

/**
 * Writes text that must not contain a line end. `Headers` refuses line ends,
 * but the type of a `Blob` may contain one, and Deno does not check it.
 */
function writeText(
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  text: string,
): number {
  const { length } = text;
  if (length > LOOP_MAX) {
    checkText(text);
    return writeLatin1(bytes, at, text);
  }
  let outside = 0;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    // Negative after a character that is not printable ASCII: no branch a byte.
    outside |= code - 0x20 | 0x7e - code;
    bytes[at + index] = code;
  }
  if (outside < 0) checkText(text);
  return at + length;
}

function checkText(text: string): void {
  if (!UNSENDABLE.test(text)) return;
  throw new TypeError(
    `Cannot send ${JSON.stringify(text)} in a head: it must be bytes without ` +
      "control characters",
  );
}

function writeFraming(
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  framing: number,
): number {
  if (framing >= 0) {
    return writeDecimal(bytes, append(bytes, at, CONTENT_LENGTH), framing);
  }
  return framing === Framing.CHUNKED ? append(bytes, at, CHUNKED) : at;
}

/** Writes the end of the last line, and the empty line behind it. */
function writeHeadEnd(bytes: Uint8Array<ArrayBuffer>, at: number): number {
  bytes[at] = bytes[at + 2] = 13;
  bytes[at + 1] = bytes[at + 3] = 10;
  return at + 4;
}

function append(
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  part: Uint8Array<ArrayBuffer>,
): number {
  bytes.set(part, at);
  return at + part.byteLength;
}
