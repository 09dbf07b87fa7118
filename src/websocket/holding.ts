/**
 * What a WebSocket holds for its peer: rows that wait for the program, messages
 * and frames that have come in part, and a long message that is decompressed
 * step by step. All of it counts towards the reactor's `memoryBytesMax`.
 *
 * @module
 */

import { FAILURE, KIND_MASK, ROW_END, ROW_START, ROW_WORDS } from "./frames.ts";
import { extrasOf, type HeldRows, type SocketRecord } from "./state.ts";

/**
 * Keeps rows until the program goes on.
 *
 * @param end Where the bytes end that came.
 * @param isOwned Whether the bytes stay valid; otherwise they are copied.
 */
export function hold(
  socket: SocketRecord,
  held: HeldRows,
  end: number,
  isOwned: boolean,
): void {
  extrasOf(socket).held = isOwned ? held : copyOf(held, end);
}

function copyOf(held: HeldRows, end: number): HeldRows {
  const { bytes, rows, rest } = held;
  const from = firstOf(rows) ?? rest;
  for (let at = 0; at < rows.length; at += ROW_WORDS) {
    if (isFailure(rows, at)) continue;
    rows[at + ROW_START]! -= from;
    rows[at + ROW_END]! -= from;
  }
  return { ...held, bytes: bytes.slice(from, end), rest: rest - from };
}

/** Returns where the bytes of the first row begin. */
function firstOf(rows: Uint32Array<ArrayBuffer>): number | undefined {
  return rows.length === 0 || isFailure(rows, 0) ? undefined : rows[ROW_START];
}

/** Whether a row has no bytes, but the number of a reason. */
function isFailure(rows: Uint32Array<ArrayBuffer>, at: number): boolean {
  return (rows[at]! & KIND_MASK) === FAILURE;
}

/**
 * Counts the memory that is held for the peer. Also when the amount is the
 * same: it shows that the peer makes progress.
 */
export function countHeld(socket: SocketRecord): void {
  const { extras, codec, transport } = socket;
  let bytes = codec === undefined ? 0 : codec.memoryBytes;
  if (extras !== undefined) {
    const { held, partial, inflation, rest } = extras;
    if (held !== undefined) {
      bytes += held.bytes.byteLength + held.rows.byteLength;
    }
    if (partial !== undefined) bytes += partial.bytes.byteLength;
    if (inflation !== undefined) bytes += inflation.memoryBytes;
    if (rest !== undefined) bytes += rest.byteLength;
    const { progress, closeCode, reader } = extras;
    const isIdle = (held ?? partial ?? inflation ?? rest) === undefined &&
      (progress ?? reader) === undefined && closeCode === 0;
    if (isIdle) socket.extras = undefined;
  }
  if (bytes > 0 || transport.heldBytes > 0) transport.heldBytes = bytes;
}
