/**
 * Receiving: native code parses the bytes of a read into rows, and this acts on
 * the rows in order.
 *
 * A WebSocket that is paused, or whose handler works, gets no message. The rows
 * that one read has given by then are kept, with their bytes; no further read
 * is made until they were handed over. So the peer of a slow handler waits in
 * its own system's buffers, and at most one read of it is held.
 *
 * @module
 */

import { closeFailed, fail, peerCloses } from "./closing.ts";
import { Inflation, type Outcome } from "./deflate.ts";
import {
  ASCII,
  BEGIN,
  BINARY,
  CLOSE,
  COMPRESSED,
  CORRUPT,
  END,
  KIND_MASK,
  parseFrames,
  PING,
  PONG,
  PROGRESS_WORDS,
  ROW_CODE,
  ROW_END,
  ROW_START,
  ROW_WORDS,
  STATE_CONSUMED,
  STATE_PROGRESS,
  TEXT,
  TOO_LONG,
} from "./frames.ts";
import { countHeld, hold } from "./holding.ts";
import { inflateLater } from "./inflating.ts";
import { call, spaceOut, waitFor } from "./notifying.ts";
import { sendPong } from "./sending.ts";
import {
  ACTING,
  DEAF,
  extrasOf,
  HELD,
  type PartialMessage,
  Phase,
  PHASE_MASK,
  phaseOf,
  PINGED,
  type SocketRecord,
} from "./state.ts";
import {
  SMALL_PAYLOAD_MAX,
  smallFrameBytes,
  smallMessage,
  smallPayload,
} from "./small_read.ts";
import { current, decodeText } from "./text.ts";

/**
 * Rows of one call: fewer where the transport wants to be asked earlier whether
 * the turn may end. Rows cannot be given back.
 */
const ROWS_MAX = 16;
/** The least room for a message that comes in parts. */
const PARTIAL_BYTES_MIN = 1_024;

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * The rows of earlier calls, by how many there may be. Not shared while in use:
 * handlers may nest.
 */
const spares: (Uint32Array<ArrayBuffer> | undefined)[] = [];

/** Takes bytes from the peer; they are valid until this returns. */
export function receive(
  socket: SocketRecord,
  bytes: Bytes,
  start: number,
  end: number,
): void {
  // The connection lingers: what still comes is of no interest.
  if (socket.state & DEAF) return;
  socket.state &= ~PINGED;
  const at = receiveSmall(socket, bytes, start, end);
  if (at === end || socket.state & DEAF) return;
  const { extras } = socket;
  const rest = extras?.rest;
  if (rest === undefined) return parse(socket, bytes, at, end, false);
  extras!.rest = undefined;
  const all = new Uint8Array(rest.byteLength + end - at);
  all.set(rest);
  all.set(bytes.subarray(at, end), rest.byteLength);
  parse(socket, all, 0, all.byteLength, true);
}

/**
 * Takes small messages up to the first other frame.
 *
 * @returns Where that begins.
 */
function receiveSmall(
  socket: SocketRecord,
  bytes: Bytes,
  start: number,
  end: number,
): number {
  const { takesLent: isLent, spacesMessages } = socket.service.receiver;
  let at = start;
  while (at < end && takesSmall(socket)) {
    if (at > start && socket.transport.postpone?.(bytes, at, end)) return end;
    const message = smallMessage(bytes, at, end, isLent);
    if (message === undefined) break;
    at += smallFrameBytes(bytes, at);
    if (typeof message === "string") {
      const { length } = message;
      deliverText(socket, message, smallPayload(length), 0, length);
    } else deliver(socket, message);
    if (spacesMessages && at < end) spaceOut(socket);
  }
  return at;
}

/** Whether a small message may go to the program without native code. */
function takesSmall({ state, extras, service }: SocketRecord): boolean {
  return extras === undefined &&
    (state & (PHASE_MASK | HELD | DEAF)) === Phase.OPEN &&
    service.limits.messageBytesMax >= SMALL_PAYLOAD_MAX;
}

/** Goes on with what was held, and then with reading. */
export function goOn(socket: SocketRecord): void {
  const held = socket.extras?.held;
  if (held !== undefined) {
    const { bytes, rows, rest, calls } = held;
    held.at = act(socket, bytes, rows, held.at, rows.length);
    if (socket.state & HELD) return countHeld(socket);
    if (socket.state & DEAF) return;
    if (socket.extras !== undefined) socket.extras.held = undefined;
    const end = bytes.byteLength;
    if (socket.transport.postpone?.(bytes, rest, end, calls)) countHeld(socket);
    else {
      if (rest < end) spaceOut(socket);
      parse(socket, bytes, rest, end, true);
    }
  }
  if (!(socket.state & HELD)) socket.transport.resume();
}

/**
 * Parses bytes, and acts on what they contain.
 *
 * @param isOwned Whether the bytes stay valid when this returns.
 */
function parse(
  socket: SocketRecord,
  bytes: Bytes,
  start: number,
  end: number,
  isOwned: boolean,
): void {
  const { transport } = socket;
  let at = start;
  let calls = 0;
  while (at < end) {
    // A peer that sends many small messages must not keep others waiting.
    if (calls > 0 && transport.postpone?.(bytes, at, end, calls)) break;
    const rowsMax = rowsFor(socket);
    const table = spares[rowsMax] ?? new Uint32Array(rowsMax * ROW_WORDS);
    spares[rowsMax] = undefined;
    const count = parseOnce(socket, bytes, at, end, table);
    at += parsed.consumed;
    const rowsEnd = count * ROW_WORDS;
    const stop = act(socket, bytes, table, 0, rowsEnd);
    spares[rowsMax] = table;
    if (socket.state & DEAF) return;
    if (count === rowsMax && at < end) spaceOut(socket);
    calls = callsFor(socket, count);
    if (socket.state & HELD) {
      if (stop === rowsEnd && at === end) break;
      const rows = table.slice(stop, rowsEnd);
      hold(socket, { bytes, rows, at: 0, rest: at, calls }, end, isOwned);
      break;
    }
    if (count < rowsMax) {
      // What is left is the beginning of a frame.
      if (at < end) extrasOf(socket).rest = bytes.slice(at, end);
      break;
    }
  }
  countHeld(socket);
}

/** Returns how many rows may be acted on before the turn may end. */
function rowsFor({ codec, transport }: SocketRecord): number {
  // Each may take as long as a turn: a read of 64 KiB may contain 64 MiB.
  if (codec !== undefined) return 1;
  return Math.min(ROWS_MAX, transport.callsLeft ?? ROWS_MAX);
}

/** Returns for how many calls of handlers rows count. */
function callsFor({ codec }: SocketRecord, rows: number): number {
  return codec === undefined ? rows : ROWS_MAX;
}

/** What {@linkcode parseOnce} found beside its rows. */
const parsed = { consumed: 0 };

/** Parses as many frames as the table has rows for. */
function parseOnce(
  socket: SocketRecord,
  bytes: Bytes,
  start: number,
  end: number,
  table: Uint32Array<ArrayBuffer>,
): number {
  const words = socket.service.words(socket.codec !== undefined);
  const { extras } = socket;
  const progress = extras?.progress;
  if (progress !== undefined) words.set(progress, STATE_PROGRESS);
  const count = parseFrames(bytes, start, end, words, table);
  parsed.consumed = words[STATE_CONSUMED]!;
  if (words[STATE_PROGRESS] !== 0) {
    const kept = progress ??
      (extrasOf(socket).progress = new Uint32Array(PROGRESS_WORDS));
    for (let index = 0; index < kept.length; index++) {
      kept[index] = words[STATE_PROGRESS + index]!;
      words[STATE_PROGRESS + index] = 0;
    }
  } else if (progress !== undefined) {
    extras!.progress = undefined;
  }
  return count;
}

/**
 * Acts on rows, until messages are held.
 *
 * @returns The first word of the next row.
 */
function act(
  socket: SocketRecord,
  bytes: Bytes,
  rows: Uint32Array<ArrayBuffer>,
  at: number,
  end: number,
): number {
  const { counts, receiver: { spacesMessages } } = socket.service;
  const acting = socket.state & ACTING;
  socket.state |= ACTING;
  try {
    while (at < end && !(socket.state & (HELD | DEAF))) {
      const before = counts.received;
      actOn(socket, bytes, rows, at);
      at += ROW_WORDS;
      const isMessage = spacesMessages && counts.received > before;
      if (isMessage && at < end) spaceOut(socket);
    }
  } finally {
    if (acting === 0) socket.state &= ~ACTING;
  }
  return at;
}

const WHOLE = BEGIN | END;
const WHOLE_TEXT = TEXT | WHOLE;
const WHOLE_ASCII = TEXT | WHOLE | ASCII;

function actOn(
  socket: SocketRecord,
  bytes: Bytes,
  rows: Uint32Array<ArrayBuffer>,
  at: number,
): void {
  const kind = rows[at]!;
  const start = rows[at + ROW_START]!;
  const end = rows[at + ROW_END]!;
  if (kind === WHOLE_ASCII || kind === WHOLE_TEXT) {
    const text = decodeText(bytes, start, end, kind === WHOLE_ASCII);
    return deliverText(socket, text, bytes, start, end);
  }
  switch (kind & KIND_MASK) {
    case TEXT:
    case BINARY:
      return takePiece(socket, bytes, kind, start, end);
    case PING:
      sendPong(socket, bytes, start, end);
      return takeControl(socket, "ping", bytes, start, end);
    case PONG:
      return takeControl(socket, "pong", bytes, start, end);
    case CLOSE:
      return peerCloses(
        socket,
        rows[at + ROW_CODE]!,
        decodeText(bytes, start, end, false),
      );
    default:
      return fail(socket, rows[at + ROW_CODE]!, start);
  }
}

/** Notifies of a ping or a pong. */
function takeControl(
  socket: SocketRecord,
  name: "ping" | "pong",
  bytes: Bytes,
  start: number,
  end: number,
): void {
  const { receiver } = socket.service;
  if (!receiver.hearsPings || phaseOf(socket) !== Phase.OPEN) return;
  const own = bytes.slice(start, end);
  // Its promise is not that of the loop.
  const holds = socket.extras?.reader === undefined;
  call(socket, holds, () => receiver[name](socket, own));
}

/** Takes a message that is not a whole frame of text, or a part of one. */
function takePiece(
  socket: SocketRecord,
  bytes: Bytes,
  kind: number,
  start: number,
  end: number,
): void {
  // After `close` messages are of no interest to the program.
  if (phaseOf(socket) !== Phase.OPEN) return;
  const isText = (kind & KIND_MASK) === TEXT;
  const isCompressed = (kind & COMPRESSED) !== 0;
  if ((kind & WHOLE) === WHOLE) {
    if (isCompressed) {
      const message = inflate(socket, bytes, start, end, isText);
      // The bytes lie in the read buffer, or in what is held.
      if (message instanceof Inflation) message.own();
      return takeInflated(socket, message);
    }
    const isLent = socket.service.receiver.takesLent &&
      socket.extras?.reader === undefined;
    return deliver(
      socket,
      isLent ? bytes.subarray(start, end) : bytes.slice(start, end),
    );
  }
  const extras = extrasOf(socket);
  if (kind & BEGIN) {
    const room = Math.max(PARTIAL_BYTES_MIN, end - start);
    const array = new Uint8Array(room);
    extras.partial = { isText, isCompressed, bytes: array, length: 0 };
  }
  const partial = extras.partial;
  // The program has closed, and has opened nothing since.
  if (partial === undefined) return;
  append(partial, bytes, start, end);
  if (!(kind & END)) return;
  extras.partial = undefined;
  finish(socket, partial);
}

function finish(socket: SocketRecord, partial: PartialMessage): void {
  const { bytes, length, isText } = partial;
  if (partial.isCompressed) {
    return takeInflated(socket, inflate(socket, bytes, 0, length, isText));
  }
  if (isText) return deliver(socket, decodeText(bytes, 0, length, false));
  // The program may keep a message for long: no array of twice its size.
  const isTight = length > bytes.byteLength / 2;
  deliver(socket, isTight ? bytes.subarray(0, length) : bytes.slice(0, length));
}

/**
 * Adds bytes. The array grows by doubling with the bytes that have come: a peer
 * that only announces a long frame takes no memory.
 */
function append(
  partial: PartialMessage,
  bytes: Bytes,
  start: number,
  end: number,
): void {
  const length = partial.length + end - start;
  if (length > partial.bytes.byteLength) {
    const grown = new Uint8Array(
      Math.max(length, 2 * partial.bytes.byteLength),
    );
    grown.set(partial.bytes.subarray(0, partial.length));
    partial.bytes = grown;
  }
  partial.bytes.set(bytes.subarray(start, end), partial.length);
  partial.length = length;
}

/** Decompresses a message, at once unless that takes long. */
function inflate(
  socket: SocketRecord,
  bytes: Bytes,
  start: number,
  end: number,
  isText: boolean,
): Outcome | Inflation {
  const { messageBytesMax } = socket.service.limits;
  const options = { bytesMax: messageBytesMax, isText };
  return socket.codec!.inflate(bytes, start, end, options);
}

/** Hands over what was decompressed. */
function takeInflated(
  socket: SocketRecord,
  message: Outcome | Inflation,
): void {
  if (message instanceof Inflation) {
    inflateLater(socket, message, takeInflated);
  } else if (typeof message !== "number") deliver(socket, message);
  else fail(socket, message, message === 1009 ? TOO_LONG : CORRUPT);
}

/** Hands a text to the program, which need not encode it to pass it on. */
function deliverText(
  socket: SocketRecord,
  text: string,
  bytes: Bytes,
  start: number,
  end: number,
): void {
  current.text = text;
  current.bytes = bytes;
  current.start = start;
  current.end = end;
  try {
    deliver(socket, text);
  } finally {
    // Also behind an error: the bytes are replaced by those of other peers.
    current.text = undefined;
  }
}

/** Hands a message to the program, and holds further ones while it works. */
function deliver(socket: SocketRecord, message: string | Bytes): void {
  if (phaseOf(socket) !== Phase.OPEN) return;
  const { service, extras } = socket;
  service.counts.received++;
  const reader = extras?.reader;
  try {
    if (reader !== undefined) return reader.push(message);
    waitFor(socket, service.receiver.message(socket, message), true);
  } catch (error) {
    closeFailed(socket, error);
  }
}
