/**
 * Serialises the heads of answers: status line, fields, framing.
 *
 * What repeats is kept as bytes: a status line for ever, a status line with
 * type and date for the second that the date lasts.
 *
 * @module
 */

import { utcText, wallMs as wallNowMs } from "../../base/own.ts";
import { REASONS } from "../errors.ts";
import { encodeLatin1, writeDecimal, writeLatin1 } from "../latin1.ts";
import { type AnswerPlan, Framing } from "../answer_plan.ts";
import type { Output } from "../../stream/shared.ts";

const SECOND_MS = 1_000;
/** Types whose heads are kept; an application has a handful. */
const TYPES_MAX = 64;
/** Bytes of everything in a head but the handler's own fields. */
export const HEAD_BYTES_FIXED = 512;

const CRLF_CRLF = encodeLatin1("\r\n\r\n");
const CLOSE = encodeLatin1("\r\nconnection: close");
const UPGRADE = encodeLatin1("\r\nconnection: upgrade");
const KEEP_ALIVE = "\r\nconnection: keep-alive";
const CONTENT_TYPE = encodeLatin1("\r\ncontent-type: ");
const CONTENT_LENGTH = encodeLatin1("\r\ncontent-length: ");
const CHUNKED = encodeLatin1("\r\ntransfer-encoding: chunked");

/** What the connection says in the head of an answer. */
export const ConnectionField = {
  /** HTTP/1.1 goes on by itself; how long it does is said. */
  NONE: 0,
  /** `Connection: close`. */
  CLOSE: 1,
  /** `Connection: keep-alive`, for HTTP/1.0. */
  KEEP_ALIVE: 2,
} as const;

/** What the server does with a field of the handler's. */
const FieldKind = {
  /** Nothing. */
  PLAIN: 0,
  /** The connection decides, whatever the handler says. */
  HOP_BY_HOP: 1,
  /** The same, but in one answer. */
  UPGRADE: 2,
  /** Ours is left out. */
  DATE: 3,
} as const;

/** The fields that mean something, in lower case. */
const FIELD_KINDS: Readonly<Record<string, number>> = {
  "connection": FieldKind.HOP_BY_HOP,
  "keep-alive": FieldKind.HOP_BY_HOP,
  "transfer-encoding": FieldKind.HOP_BY_HOP,
  "content-length": FieldKind.HOP_BY_HOP,
  "upgrade": FieldKind.UPGRADE,
  "date": FieldKind.DATE,
};

/** A field name that was written before. */
interface FieldName {
  /** The name as handlers write it, with what stands around it. */
  readonly line: Uint8Array<ArrayBuffer>;
  /** One of `FieldKind`. */
  readonly kind: number;
}

/** Names that are kept; an application has a few dozen. */
const NAMES_MAX = 256;
const names = new Map<string, FieldName>();

/** The one status whose answer offers protocols: RFC 9110 section 15.5.22. */
const UPGRADE_REQUIRED = 426;
/** Texts up to this length are written faster by a loop than by a call. */
const LOOP_MAX = 256;
/** What RFC 9110 section 5.5 has in no field and no phrase. */
const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/;

/** What a plan says of the head. */
type Head = Pick<
  AnswerPlan,
  "status" | "statusText" | "contentType" | "fields"
>;

/** Heads that are kept as bytes while their date lasts. */
export class Heads {
  readonly #statusLines = new Map<number, Uint8Array<ArrayBuffer>>();
  #untilMs = -Infinity;
  #date: Uint8Array<ArrayBuffer> = encodeLatin1("");
  #plainType: string | undefined;
  #plain: Uint8Array<ArrayBuffer> | undefined;
  readonly #typed = new Map<string, Uint8Array<ArrayBuffer>>();
  /** How long the connection is kept: RFC 2068 section 19.7.1.1. */
  readonly #alive: string;

  /**
   * Makes heads.
   *
   * @param keepAliveMs How long connections are kept, which is advertised in
   * whole seconds, if there are any.
   */
  constructor(keepAliveMs: number = Infinity) {
    const seconds = Math.floor(keepAliveMs / SECOND_MS);
    const isTold = seconds >= 1 && seconds < Infinity;
    this.#alive = isTold
      ? `${KEEP_ALIVE}\r\nkeep-alive: timeout=${seconds}`
      : "";
  }

  /**
   * Writes the head of a 200 with no field but its type, on a connection of
   * HTTP/1.1 that goes on: the common answer, in one copy and a number. Four
   * parameters, since an object of two would be made for each answer.
   */
  writePlain(
    output: Output,
    nowMs: number,
    type: string | undefined,
    length: number,
  ): void {
    this.refresh(nowMs);
    const kept = type === this.#plainType && this.#plain !== undefined
      ? this.#plain
      : this.#keep(type);
    const { bytes } = output;
    bytes.set(kept, output.length);
    let at = output.length + kept.byteLength;
    at = writeDecimal(bytes, at, length);
    bytes[at] = 13;
    bytes[at + 1] = 10;
    bytes[at + 2] = 13;
    bytes[at + 3] = 10;
    output.length = at + 4;
  }

  /**
   * Writes any head, dated as {@linkcode Heads.refresh} was told. There must be
   * {@linkcode HEAD_BYTES_FIXED} bytes of room and those of
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
    let offersUpgrade = false;
    if (plan.contentType !== undefined) {
      at = append(bytes, at, CONTENT_TYPE);
      at = writeText(bytes, at, plan.contentType);
    }
    const { fields } = plan;
    // By index here and below: iterators are objects.
    for (let index = 0; index < fields.length; index++) {
      const field = fields[index]!;
      const { line, kind } = nameOf(field[0]);
      if (kind !== FieldKind.PLAIN) {
        if (kind === FieldKind.HOP_BY_HOP) continue;
        if (kind === FieldKind.DATE) hasDate = true;
        else if (plan.status !== UPGRADE_REQUIRED) continue;
        else offersUpgrade = true;
      }
      at = writeText(bytes, append(bytes, at, line), field[1]);
    }
    if (!hasDate) at = append(bytes, at, this.#date);
    if (offersUpgrade) at = append(bytes, at, UPGRADE);
    at = this.#writeConnection(bytes, at, connection);
    at = writeFraming(bytes, at, framing);
    output.length = append(bytes, at, CRLF_CRLF);
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
      const date = String.fromCharCode(...this.#date);
      const fields = `${line}${date}${this.#alive}\r\ncontent-length: `;
      kept = encodeLatin1(`HTTP/1.1 200 OK${fields}`);
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
    const isOld = connection === ConnectionField.KEEP_ALIVE;
    const alive = isOld && this.#alive === "" ? KEEP_ALIVE : this.#alive;
    return writeLatin1(bytes, at, alive);
  }

  /** Has heads be dated `nowMs`, by the transport's clock. */
  refresh(nowMs: number): void {
    if (nowMs >= this.#untilMs) this.#renew(nowMs);
  }

  #renew(nowMs: number): void {
    const wallMs = wallNowMs();
    this.#untilMs = nowMs + SECOND_MS - wallMs % SECOND_MS;
    // RFC 9110 section 6.6.1, in the form of section 5.6.7.
    this.#date = encodeLatin1(`\r\ndate: ${utcText(wallMs)}`);
    this.#typed.clear();
    this.#plain = undefined;
  }
}

/** Returns the bytes that fields take in a head, at the most. */
export function fieldBytes(fields: readonly [string, string][]): number {
  let bytes = 0;
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    bytes += field[0].length + field[1].length + 4;
  }
  return bytes;
}

/** Looks a name up, which costs less than writing it by its letters. */
function nameOf(name: string): FieldName {
  const known = names.get(name);
  if (known !== undefined) return known;
  checkText(name);
  // A handler may make names up without end.
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
 * Writes text that must not end its line. `Headers` refuses such a value, but a
 * `Blob` may say that it is of any type, and Deno takes that as it is.
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
    // Negative from the first that is not printable ASCII: no branch a byte.
    outside |= code - 0x20 | 0x7e - code;
    bytes[at + index] = code;
  }
  if (outside < 0) checkText(text);
  return at + length;
}

function checkText(text: string): void {
  if (!UNSENDABLE.test(text)) return;
  throw new TypeError(
    `Cannot send ${JSON.stringify(text)} in a head: it must be bytes, and ` +
      "none a control character",
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

function append(
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  part: Uint8Array<ArrayBuffer>,
): number {
  bytes.set(part, at);
  return at + part.byteLength;
}
