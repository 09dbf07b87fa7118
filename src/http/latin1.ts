/**
 * Bytes as text and back: a header field is bytes, not UTF-8 (RFC 9110
 * section 5.5), and fetch shows each byte as one character.
 *
 * @module
 */

/** What node's `Buffer` has and the web has not, at a call's price. */
interface Calls {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  utf8Write(
    this: Uint8Array,
    text: string,
    offset: number,
    bytesMax: number,
  ): number;
}

// TextDecoder's "latin1" is Windows-1252, and a subarray costs as much as this.
let latin1Slice: Calls["latin1Slice"] | undefined;
let utf8Write: Calls["utf8Write"] | undefined;
/**
 * After so many loops node's module is loaded, which takes Deno 2 to 3
 * milliseconds: not before, since the first client would wait for it.
 */
const LOOPS_MAX = 32;
let loops = 0;

/** Counts a loop that node's calls would do faster. */
function countLoop(): void {
  if (++loops !== LOOPS_MAX) return;
  import("node:buffer").then(({ Buffer }) => {
    const calls = Buffer.prototype as unknown as Calls;
    latin1Slice = calls.latin1Slice;
    utf8Write = calls.utf8Write;
  });
}

/**
 * Texts up to this length are written faster by a loop, at 1.4 nanoseconds a
 * character, than by a call, at 90 in all.
 */
const LOOP_MAX = 64;
/**
 * Room beyond a text's length that tells whether it was ASCII: a text that is
 * not takes more bytes than it has characters, and what is left out of it for
 * want of room is one character of three bytes at the most.
 */
export const ASCII_ROOM = 4;

/** Returns the bytes from `start` to `end`, one character each. */
export function decodeLatin1(
  bytes: Uint8Array,
  start: number,
  end: number,
): string {
  if (start === end) return "";
  return latin1Slice === undefined
    ? decodeByLoop(bytes, start, end)
    : latin1Slice.call(bytes, start, end);
}

function decodeByLoop(bytes: Uint8Array, start: number, end: number): string {
  countLoop();
  let text = "";
  for (let index = start; index < end; index++) {
    text += String.fromCharCode(bytes[index]!);
  }
  return text;
}

/**
 * Writes one byte a character and returns where the next goes. There must be
 * room; characters above 255 lose their upper bits.
 */
export function writeLatin1(
  bytes: Uint8Array,
  offset: number,
  text: string,
): number {
  const { length } = text;
  for (let index = 0; index < length; index++) {
    bytes[offset + index] = text.charCodeAt(index);
  }
  return offset + length;
}

/** Returns a text's characters as bytes. */
export function encodeLatin1(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  writeLatin1(bytes, 0, text);
  return bytes;
}

/**
 * Writes a text that is all ASCII and returns where the next byte goes, or -1
 * when it is not. There must be room for it and {@linkcode ASCII_ROOM}.
 */
export function writeAscii(
  bytes: Uint8Array,
  offset: number,
  text: string,
): number {
  const { length } = text;
  if (length > LOOP_MAX && hasCalls()) {
    const written = utf8Write!.call(bytes, text, offset, length + ASCII_ROOM);
    return written === length ? offset + length : -1;
  }
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 127) return -1;
    bytes[offset + index] = code;
  }
  return offset + length;
}

function hasCalls(): boolean {
  if (utf8Write !== undefined) return true;
  countLoop();
  return false;
}

/** Writes a whole number in decimal and returns where the next byte goes. */
export function writeDecimal(
  bytes: Uint8Array,
  offset: number,
  value: number,
): number {
  if (value > 0x7fff_ffff) return writeLatin1(bytes, offset, String(value));
  let end = offset + 1;
  for (let rest = value; rest > 9; rest = rest / 10 | 0) end++;
  let rest = value;
  for (let place = end - 1; place >= offset; place--) {
    const quotient = rest / 10 | 0;
    bytes[place] = 48 + rest - 10 * quotient;
    rest = quotient;
  }
  return end;
}
