/**
 * The plan of an answer: what a server sends for a response, as a value.
 *
 * Planning is a pure function of the request's flags and the response's parts:
 * it writes nothing and knows no connection. So each rule about fields and
 * bodies is tested as a row of a table.
 *
 * @module
 */

import { notSendable, REASONS } from "./errors.ts";
import { type BodyInit, type ResponseParts, TEXT_TYPE } from "./response.ts";

// Deno's globals are getters, which cost a call.
const { ReadableStream } = globalThis;

/**
 * The properties of a request that decide the framing of its answer, as bits of
 * one number. The bits below are those of `HeadFlag`.
 */
export const RequestFlag = {
  /** The version is HTTP/1.0, which has no chunks. */
  HTTP_1_0: 128,
  /** The method is HEAD: the answer has no body. */
  HEAD_METHOD: 256,
  /** The method is CONNECT: an answer of success has no body. */
  CONNECT_METHOD: 512,
} as const;

/** RFC 9110 section 15.3.5. */
const NO_CONTENT = 204;
/** Its answer has a length, which is 0: RFC 9110 section 15.3.6. */
const RESET_CONTENT = 205;
/** RFC 9110 section 15.4.5. */
const NOT_MODIFIED = 304;

/** The fields of the handler's response, in their order. */
export type Fields = readonly [string, string][];

/** How the peer finds the end of a body without a known length. */
export const Framing = {
  /** There is no body, and the head has no field about one. */
  NONE: -1,
  /** The last chunk ends the body: HTTP/1.1. */
  CHUNKED: -2,
  /** The end of the connection ends the body: HTTP/1.0. */
  UNTIL_CLOSE: -3,
  /** The length of a text, which is measured while the text is encoded. */
  MEASURED: -4,
} as const;

/** The answer that is sent for a response. */
export interface AnswerPlan {
  /** From 200 to 599. */
  readonly status: number;
  /** The reason phrase; empty for the usual phrase of the status. */
  readonly statusText: string;
  /** The type of a response without other fields. */
  readonly contentType: string | undefined;
  /** The response's fields; some are not sent: see `Heads`. */
  readonly fields: Fields;
  /** The content length, or one of {@linkcode Framing}. */
  readonly framing: number;
  /** The body that is sent behind the head; null when there is none. */
  readonly body: BodyInit;
}

const NO_FIELDS: Fields = [];
const encoder = new TextEncoder();

/**
 * Whether a response is the common one: 200, a text and no field but its type,
 * for a request that allows a body. All such plans are alike, so no plan is
 * made.
 *
 * @param flags The request's bits of {@linkcode RequestFlag}.
 */
export function isPlain(flags: number, parts: ResponseParts): boolean {
  return parts.headers === undefined && parts.status === 200 &&
    typeof parts.body === "string" &&
    (flags & (RequestFlag.HEAD_METHOD | RequestFlag.CONNECT_METHOD)) === 0;
}

/**
 * Returns the answer to send for a response.
 *
 * @param flags The request's bits of {@linkcode RequestFlag}.
 * @throws {TypeError} when the status is below 200: 101 needs a protocol that takes
 * over (`takeover.ts`), and 0 is `Response.error()`.
 */
export function planAnswer(flags: number, parts: ResponseParts): AnswerPlan {
  const { status, statusText, contentType, body } = parts;
  if (status < 200) throw notSendable(status);
  const fields = fieldList(parts);
  return {
    status,
    statusText,
    contentType,
    fields,
    framing: body instanceof ReadableStream
      ? streamFraming(flags, parts, fields)
      : wholeFraming(flags, parts, fields),
    body: mayHaveBody(flags, status) ? body : null,
  };
}

/**
 * Returns the answer behind which another protocol takes over.
 *
 * @param fields The answer's, when they are not in the response.
 */
export function planSwitch(
  parts: ResponseParts,
  fields: Fields = fieldList(parts),
): AnswerPlan {
  const { status, statusText } = parts;
  return {
    status,
    statusText,
    contentType: undefined,
    fields,
    framing: Framing.NONE,
    body: null,
  };
}

/**
 * Returns the answer that refuses a request: its body is the status in words.
 *
 * @param flags The request's known bits of {@linkcode RequestFlag}.
 */
export function planRefusal(flags: number, status: number): AnswerPlan {
  const text = `${REASONS[status] ?? "Error"}\n`;
  const isHead = (flags & RequestFlag.HEAD_METHOD) !== 0;
  return {
    status,
    statusText: "",
    contentType: TEXT_TYPE,
    fields: NO_FIELDS,
    framing: text.length,
    body: isHead ? null : text,
  };
}

/** Returns how a streamed body is framed: RFC 9112 section 6.3. */
function streamFraming(
  flags: number,
  { status, length }: ResponseParts,
  fields: Fields,
): number {
  if (status === NO_CONTENT || status === NOT_MODIFIED) return Framing.NONE;
  if (isTunnel(flags, status)) return Framing.NONE;
  if (status === RESET_CONTENT) return 0;
  const declared = declaredLength(fields) ?? length;
  if (declared !== undefined) return declared;
  // RFC 9112 section 6.1: HTTP/1.0 has no chunks.
  return flags & RequestFlag.HTTP_1_0 ? Framing.UNTIL_CLOSE : Framing.CHUNKED;
}

/**
 * Returns how a whole body is framed: RFC 9110 section 8.6 and RFC 9112 section
 * 6.3.
 */
function wholeFraming(
  flags: number,
  { status, body }: ResponseParts,
  fields: Fields,
): number {
  if (status === NO_CONTENT || isTunnel(flags, status)) return Framing.NONE;
  if (status === RESET_CONTENT) return 0;
  // A 304 may have the length of the 200 that the client knows. Deno sends
  // none.
  if (status === NOT_MODIFIED) return Framing.NONE;
  const isHead = (flags & RequestFlag.HEAD_METHOD) !== 0;
  // Only the handler knows the length of the body for GET.
  if (body === null) {
    return isHead ? declaredLength(fields) ?? Framing.NONE : 0;
  }
  if (typeof body !== "string") return (body as Uint8Array).byteLength;
  return isHead ? encoder.encode(body).byteLength : Framing.MEASURED;
}

/** Whether a body may follow the head of an answer. */
function mayHaveBody(flags: number, status: number): boolean {
  return (flags & RequestFlag.HEAD_METHOD) === 0 && status !== NO_CONTENT &&
    status !== RESET_CONTENT && status !== NOT_MODIFIED &&
    !isTunnel(flags, status);
}

/** RFC 9110 section 9.3.6: the bytes behind a success belong to the tunnel. */
function isTunnel(flags: number, status: number): boolean {
  return (flags & RequestFlag.CONNECT_METHOD) !== 0 && status < 300;
}

/** Returns the fields of the handler's response. */
function fieldList({ headers }: ResponseParts): Fields {
  if (headers === undefined) return NO_FIELDS;
  return Array.isArray(headers) ? headers : [...headers];
}

/** The `Content-Length` of the handler's response, when it is one number. */
function declaredLength(fields: Fields): number | undefined {
  const lengths = fields.filter(([name]) =>
    name.length === 14 && name.toLowerCase() === "content-length"
  );
  const value = lengths[0]?.[1];
  if (value === undefined || !/^\d{1,15}$/.test(value)) return undefined;
  const isSame = lengths.every((field) => field[1] === value);
  return isSame ? Number(value) : undefined;
}
