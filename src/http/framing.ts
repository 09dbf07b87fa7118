/**
 * How the end of an answer's body is told, and which of the handler's own
 * fields have a say in it.
 *
 * @module
 */

import { Framing } from "./h1/heads.ts";
import { HeadFlag } from "./h1/head.ts";
import type { ResponseParts } from "./response.ts";

/** Has no body, and says so: RFC 9110 section 15.3.6. */
const RESET_CONTENT = 205;

/** A handler's own fields, in its order. */
export type Fields = readonly [string, string][];

/**
 * Returns how a streamed body is framed: RFC 9112 section 6.3.
 *
 * @param flags The request's bits of `HeadFlag`.
 * @param declared The length that the handler says the stream has.
 */
export function streamFraming(
  flags: number,
  { status }: ResponseParts,
  declared: number | undefined,
): number {
  if (status === 204 || status === 304) return Framing.NONE;
  if (isTunnel(flags, status)) return Framing.NONE;
  if (status === RESET_CONTENT) return 0;
  if (declared !== undefined) return declared;
  // RFC 9112 section 6.1: HTTP/1.0 knows no chunks.
  return flags & HeadFlag.HTTP_1_0 ? Framing.UNTIL_CLOSE : Framing.CHUNKED;
}

/**
 * Returns how a body of known length is framed: RFC 9110 section 8.6 and RFC
 * 9112 section 6.3.
 *
 * @param flags The request's bits of `HeadFlag`.
 */
export function staticFraming(
  flags: number,
  { status, body }: ResponseParts,
  fields: Fields,
  length: number,
): number {
  if (status === 204 || isTunnel(flags, status)) return Framing.NONE;
  if (status === RESET_CONTENT) return 0;
  // It may have one, of the 200 that the client knows. Deno has none.
  if (status === 304) return Framing.NONE;
  const isHead = (flags & HeadFlag.HEAD_METHOD) !== 0;
  if (body !== null || !isHead) return length;
  // How long the body of a GET would be only the handler can say.
  return declaredLength(fields) ?? Framing.NONE;
}

/** Whether a body may follow the head of an answer. */
export function mayHaveBody(flags: number, status: number): boolean {
  return (flags & HeadFlag.HEAD_METHOD) === 0 && status !== 204 &&
    status !== RESET_CONTENT && status !== 304 && !isTunnel(flags, status);
}

/** RFC 9110 section 9.3.6: what follows a success is the tunnel's. */
function isTunnel(flags: number, status: number): boolean {
  return (flags & HeadFlag.CONNECT_METHOD) !== 0 && status < 300;
}

/** Returns the handler's own fields. */
export function fieldList(parts: ResponseParts): Fields {
  const { headers } = parts;
  if (headers === undefined) return [];
  return Array.isArray(headers) ? headers : [...headers];
}

/** Whether the handler's own `Connection` says that this answer is the last. */
export function saysClose(fields: Fields): boolean {
  return fields.some(([name, value]) =>
    name.length === 10 && name.toLowerCase() === "connection" &&
    /(^|,)\s*close\s*(,|$)/i.test(value)
  );
}

/** The handler's own `Content-Length`, when it is one number. */
export function declaredLength(
  fields: Fields,
): number | undefined {
  const lengths = fields.filter(([name]) =>
    name.length === 14 && name.toLowerCase() === "content-length"
  );
  const value = lengths[0]?.[1];
  if (value === undefined || !/^\d{1,15}$/.test(value)) return undefined;
  const isSame = lengths.every((field) => field[1] === value);
  return isSame ? Number(value) : undefined;
}
