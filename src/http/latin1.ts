/**
 * Bytes to text and back. A header field is bytes, not UTF-8 (RFC 9110 section
 * 5.5), and fetch shows each byte as one character.
 *
 * @module
 */

/** Methods of node's `Buffer` that the web does not have. */
interface Calls {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  utf8Write(
    this: Uint8Array,
    text: string,
    start: number,
    bytesMax: number,
  ): number;
}

// TextDecoder's "latin1" is Windows-1252, and would need a subarray, which
// costs as much as these calls.
let latin1Slice: Calls["latin1Slice"] | undefined;
let utf8Write: Calls["utf8Write"] | undefined;
/**
 * Node's module is loaded after so many loops: loading takes 2 to 3
 * milliseconds, for which the first client would wait.
 */
const LOOPS_MAX = 32;
let loops = 0;

/** Counts a loop that a call of node's would do faster. */
function countLoop(): void {
  if (++loops !== LOOPS_MAX) return;
  import("node:buffer").then(({ Buffer }) => {
    const calls = Buffer.prototype as unknown as Calls;
    latin1Slice = calls.latin1Slice;
    utf8Write = calls.utf8Write;
  });
}

/**
 * A loop writes texts up to this length faster, at 1 to 2 nanoseconds a
 * character, than a call, at 100 nanoseconds.
 */
const LOOP_MAX = 48;
/**
 * Room beyond a text's length that shows whether the text was ASCII: any other
 * text takes more bytes than it has characters. A character takes three bytes
 * at the most, so one always fits.
 */
export const ASCII_ROOM = 4;

/** Returns the bytes from `start` to `end` as one character each. */
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
 * Writes one byte a character and returns where the next byte goes. The caller
 * provides the room; characters above 255 lose their upper bits.
 */
export function writeLatin1(
  bytes: Uint8Array,
  start: number,
  text: string,
): number {
  const { length } = text;
  for (let index = 0; index < length; index++) {
    bytes[start + index] = text.charCodeAt(index);
  }
  return start + length;
}

/** Returns the characters of a text as bytes. */
export function encodeLatin1(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  writeLatin1(bytes, 0, text);
  return bytes;
}

/**
 * Writes an ASCII text and returns where the next byte goes, or -1 when the
 * text is not ASCII. The caller provides the room, and {@linkcode ASCII_ROOM}.
 */
export function writeAscii(
  bytes: Uint8Array,
  start: number,
  text: string,
): number {
  const { length } = text;
  if (length > LOOP_MAX && hasCalls()) {
    const written = utf8Write!.call(bytes, text, start, length + ASCII_ROOM);
    return written === length ? start + length : -1;
  }
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 127) return -1;
    bytes[start + index] = code;
  }
  return start + length;
}

function hasCalls(): boolean {
  if (utf8Write !== undefined) return true;
  countLoop();
  return false;
}

/** Writes a whole number in decimal and returns where the next byte goes. */
export function writeDecimal(
  bytes: Uint8Array,
  start: number,
  value: number,
): number {
  if (value > 0x7fff_ffff) return writeLatin1(bytes, start, String(value));
  let end = start + 1;
  for (let rest = value; rest > 9; rest = rest / 10 | 0) end++;
  let rest = value;
  for (let place = end - 1; place >= start; place--) {
    const quotient = rest / 10 | 0;
    bytes[place] = 48 + rest - 10 * quotient;
    rest = quotient;
  }
  return end;
}
