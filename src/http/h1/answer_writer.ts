/**
 * Writes answers with a whole body: the head, and the body behind it. Short
 * bodies are copied; a long body is sent by its own call.
 *
 * @module
 */

import { type AnswerPlan, Framing } from "../answer_plan.ts";
import { ASCII_ROOM, writeAscii } from "../latin1.ts";
import { type HttpTransport, roomFor, sendOwn } from "../transport.ts";
import { isCopiedBehind } from "../../stream/copying.ts";
import { fieldBytes, HEAD_BYTES_FIXED, type Heads } from "./heads.ts";

const encoder = new TextEncoder();

/**
 * Writes a 200 of ASCII text with no field but its type, on a connection of
 * HTTP/1.1 that is used again. It has four parameters, since an object would be
 * allocated for each answer.
 *
 * @returns Whether the answer was written: false when the text is not ASCII, or
 * is longer than the shared buffer.
 */
export function writePlain(
  transport: HttpTransport,
  heads: Heads,
  type: string | undefined,
  text: string,
): boolean {
  const { length } = text;
  const room = HEAD_BYTES_FIXED + (type?.length ?? 0) + length + ASCII_ROOM;
  const output = transport.reserve?.(room);
  if (output === undefined) return false;
  return heads.writePlain(output, transport.nowMs, type, text);
}

/**
 * Writes an answer with a whole body or without a body.
 *
 * @param connection One of `ConnectionField`.
 * @returns The length of the body in bytes.
 * @throws {TypeError} when a field cannot be sent; nothing is written then.
 */
export function writeWhole(
  transport: HttpTransport,
  heads: Heads,
  plan: AnswerPlan,
  connection: number,
): number {
  const { body } = plan;
  if (typeof body === "string") {
    if (writeText(transport, heads, plan, connection)) return body.length;
    const bytes = encoder.encode(body);
    return writeBytes(transport, heads, { plan, bytes, connection });
  }
  const bytes = body as Uint8Array<ArrayBuffer> | null;
  return writeBytes(transport, heads, { plan, bytes, connection });
}

/** Writes a text, if it fits and is ASCII: then a character is one byte. */
function writeText(
  transport: HttpTransport,
  heads: Heads,
  plan: AnswerPlan,
  connection: number,
): boolean {
  const body = plan.body as string;
  const { length } = body;
  const room = headRoom(plan) + length + ASCII_ROOM;
  const output = transport.reserve?.(room);
  if (output === undefined) return false;
  const start = output.length;
  const framing = plan.framing === Framing.MEASURED ? length : plan.framing;
  heads.refresh(transport.nowMs);
  heads.write(output, plan, framing, connection);
  const end = writeAscii(output.bytes, output.length, body);
  output.length = end < 0 ? start : end;
  return end >= 0;
}

function writeBytes(
  transport: HttpTransport,
  heads: Heads,
  { plan, bytes, connection }: {
    plan: AnswerPlan;
    bytes: Uint8Array<ArrayBuffer> | null;
    connection: number;
  },
): number {
  const length = bytes?.byteLength ?? 0;
  const framing = plan.framing === Framing.MEASURED ? length : plan.framing;
  const isBehind = isCopiedBehind(length);
  const room = headRoom(plan) + (isBehind ? length : 0);
  const output = roomFor(transport, room);
  heads.refresh(transport.nowMs);
  heads.write(output, plan, framing, connection);
  if (bytes !== null && isBehind) {
    output.bytes.set(bytes, output.length);
    output.length += length;
  }
  sendOwn(transport, output);
  // The bytes belong to the response, which is used up.
  if (bytes !== null && !isBehind) transport.writeOwned(bytes);
  return length;
}

/** Returns the most bytes that the head of an answer can take. */
export function headRoom(plan: AnswerPlan): number {
  return HEAD_BYTES_FIXED + plan.statusText.length +
    (plan.contentType?.length ?? 0) + fieldBytes(plan.fields);
}
