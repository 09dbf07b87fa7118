/**
 * Sending: frames are written into the reactor's shared buffer, so that all
 * frames of a turn leave in one write.
 *
 * @module
 */

import {
  BINARY,
  CLOSE,
  CONTROL_BYTES_MAX,
  FIN,
  HEAD_BYTES_MAX,
  headBytes,
  PING,
  PONG,
  RSV1,
  TEXT,
  writeHead,
} from "./frames.ts";
import type { Codec } from "./codec.ts";
import { countHeld } from "./holding.ts";
import { HIGH_WATER_BYTES, mayWait } from "./limits.ts";
import type { Sendable, SendOptions, SendResult } from "./socket.ts";
import { CLOSE_SENT, Phase, phaseOf, type SocketRecord } from "./state.ts";
import {
  ASCII_ROOM,
  BYTES_A_CHARACTER,
  bytesOf,
  current,
  encodeText,
  viewOf,
  writeTextFrame,
} from "./text.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Payloads up to this go to the shared buffer, whatever characters they have. */
const SHARED_BYTES_MAX = 20_480;
const NO_BYTES = new Uint8Array(0);

/** Sends a message: see `ServerWebSocket.send`. */
export function send(
  socket: SocketRecord,
  message: Sendable,
  options: SendOptions | undefined,
): SendResult {
  const isText = typeof message === "string";
  const bytes = isText ? undefined : viewOf(message);
  const { service, codec } = socket;
  // First: a write that fails may close the connection.
  if (socket.joined !== undefined) service.hub.settle(socket);
  if (phaseOf(socket) !== Phase.OPEN) return "refused";
  const size = isText ? message.length : bytes!.byteLength;
  if (!(isText ? takesText(socket, message) : takes(socket, size))) {
    service.counts.refused++;
    return "refused";
  }
  service.counts.sent++;
  const kind = isText ? TEXT : BINARY;
  if (codec !== undefined && codec.wants(size, options?.compress)) {
    const whole = bytes ?? encodeText(message as string);
    writeCompressed(socket, codec, kind | FIN, whole);
  } else if (isText) sendText(socket, message);
  else writeFrame(socket, kind | FIN, bytes!);
  return resultOf(socket);
}

/** Returns what became of a message that was written. */
function resultOf({ transport }: SocketRecord): SendResult {
  return transport.bufferedBytes < HIGH_WATER_BYTES ? "sent" : "queued";
}

/** Writes a message compressed, unless it gets no smaller. */
function writeCompressed(
  socket: SocketRecord,
  codec: Codec,
  first: number,
  bytes: Bytes,
): void {
  // Now: making room may run handlers, which compress other messages.
  socket.transport.reserve?.(HEAD_BYTES_MAX + SHARED_BYTES_MAX);
  if (phaseOf(socket) !== Phase.OPEN) return;
  const { memoryBytes } = codec;
  const small = codec.deflate(bytes, 0, bytes.byteLength);
  if (small === undefined) return writeFrame(socket, first, bytes);
  writeFrame(socket, first | RSV1, small);
  // Not more often: it would look as if the peer had made progress.
  if (codec.memoryBytes !== memoryBytes) countHeld(socket);
}

/** Whether so few bytes wait that a message of `size` bytes may wait too. */
export function takes(
  { transport, service }: SocketRecord,
  size: number,
): boolean {
  const { backpressureBytesMax } = service.limits;
  return mayWait(size, transport.bufferedBytes, backpressureBytesMax);
}

/** The same for a text, which is measured in UTF-8 only where it matters. */
function takesText(socket: SocketRecord, text: string): boolean {
  if (takes(socket, text.length * BYTES_A_CHARACTER)) return true;
  return takes(socket, text.length) &&
    takes(socket, encodeText(text).byteLength);
}

/** Sends a ping or a pong of the program. */
export function sendControl(
  socket: SocketRecord,
  kind: number,
  message: Sendable,
): SendResult {
  const bytes = bytesOf(message);
  if (bytes.byteLength > CONTROL_BYTES_MAX) {
    throw new RangeError(
      `Cannot send a control frame of "${bytes.byteLength}" bytes: it has ` +
        `at most ${CONTROL_BYTES_MAX}`,
    );
  }
  socket.service.hub.settle(socket);
  if (phaseOf(socket) !== Phase.OPEN || !takes(socket, bytes.byteLength)) {
    return "refused";
  }
  writeFrame(socket, kind | FIN, bytes);
  return resultOf(socket);
}

/** Sends a ping of the idle time. */
export function sendPing(socket: SocketRecord): void {
  writeFrame(socket, PING | FIN, NO_BYTES);
}

/** Answers a ping: RFC 6455 section 5.5.3. */
export function sendPong(
  socket: SocketRecord,
  bytes: Bytes,
  start: number,
  end: number,
): void {
  if (socket.state & CLOSE_SENT) return;
  writeFrame(socket, PONG | FIN, bytes, start, end);
}

/** Sends what was published so far, and then nothing of topics any more. */
export function leaveTopics(socket: SocketRecord): void {
  const { hub } = socket.service;
  hub.settle(socket);
  hub.leave(socket);
}

/**
 * Sends a close frame, unless one was sent or the connection is gone. Writes may
 * run handlers: the phase is no longer that of an open WebSocket.
 *
 * @param code 1005 for a frame without a code.
 */
export function sendClose(
  socket: SocketRecord,
  code: number,
  reason: string,
): void {
  if (socket.state & CLOSE_SENT || phaseOf(socket) === Phase.CLOSED) return;
  socket.state |= CLOSE_SENT;
  leaveTopics(socket);
  const text = encodeText(reason);
  const bytes = new Uint8Array(code === 1005 ? 0 : 2 + text.byteLength);
  if (code !== 1005) {
    bytes[0] = code >> 8;
    bytes[1] = code & 255;
    bytes.set(text, 2);
  }
  writeFrame(socket, CLOSE | FIN, bytes);
}

/** Writes a frame; the bytes may be used again when this returns. */
function writeFrame(
  { transport }: SocketRecord,
  first: number,
  bytes: Bytes,
  start: number = 0,
  end: number = bytes.byteLength,
): void {
  const size = end - start;
  const output = size <= SHARED_BYTES_MAX
    ? transport.reserve?.(HEAD_BYTES_MAX + size)
    : undefined;
  if (output !== undefined) {
    const at = writeHead(output.bytes, output.length, first, size);
    copy(output.bytes, at, bytes, start, end);
    output.length = at + size;
    return;
  }
  const head = new Uint8Array(headBytes(size));
  writeHead(head, 0, first, size);
  transport.writeVectored([head, bytes.subarray(start, end)]);
}

/** Up to this length a loop copies faster than `set`, which needs a view. */
const LOOP_BYTES_MAX = 24;

function copy(
  to: Bytes,
  at: number,
  from: Bytes,
  start: number,
  end: number,
): void {
  const size = end - start;
  if (size === from.byteLength) return to.set(from, at);
  if (size > LOOP_BYTES_MAX) {
    const view = new Uint8Array(from.buffer, from.byteOffset + start, size);
    return to.set(view, at);
  }
  for (let index = start; index < end; index++) to[at++] = from[index]!;
}

/** Writes a text without an array between the string and the buffer. */
function sendText(socket: SocketRecord, text: string): void {
  if (text === current.text) {
    const { bytes, start, end } = current;
    return writeFrame(socket, TEXT | FIN, bytes, start, end);
  }
  const { length } = text;
  if (length > SHARED_BYTES_MAX || !writeShared(socket, text, false)) {
    const bytes = encodeText(text);
    const { transport } = socket;
    const head = new Uint8Array(headBytes(bytes.byteLength));
    writeHead(head, 0, TEXT | FIN, bytes.byteLength);
    transport.write(head);
    // The reactor may keep these bytes: nobody else has them.
    transport.writeOwned(bytes);
  }
}

/**
 * Writes a text into the shared buffer, as ASCII first.
 *
 * @param isWide Whether to make room for any characters.
 * @returns Whether there was room.
 */
function writeShared(
  socket: SocketRecord,
  text: string,
  isWide: boolean,
): boolean {
  const { length } = text;
  const most = isWide ? length * BYTES_A_CHARACTER : length + ASCII_ROOM;
  const output = socket.transport.reserve?.(HEAD_BYTES_MAX + most);
  if (output === undefined) return false;
  const end = writeTextFrame(output.bytes, output.length, text, isWide);
  if (end < 0) return writeShared(socket, text, true);
  output.length = end;
  return true;
}
