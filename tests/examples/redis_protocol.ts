/**
 * RESP2, the protocol of Redis: commands in, replies out.
 *
 * This file does no I/O: bytes come in and replies go out as arrays.
 *
 * @module
 */

/** Redis' `proto-max-bulk-len`. */
const BULK_BYTES_MAX = 512 * 1024 * 1024;
/** Redis' limit of arguments in one command. */
const ARGUMENTS_MAX = 1024 * 1024;
/** Redis' `PROTO_INLINE_MAX_SIZE`. */
const INLINE_BYTES_MAX = 64 * 1024;

const CR = 13;
const LF = 10;
const ASTERISK = 42;
const DOLLAR = 36;
const ENCODER = new TextEncoder();

/** A command: its name in capitals, and all its arguments, the name first. */
export type Command = Uint8Array<ArrayBuffer>[];

/** An error that Redis answers with before it closes the connection. */
export class ProtocolError extends Error {
  /** The name of the class. */
  override name = "ProtocolError";
}

/** Reads commands out of bytes. */
export class CommandReader {
  /** The bytes; those from `#at` on are not read yet. */
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #at = 0;
  /** The memory of `#bytes`, with room to grow. */
  #buffer: Uint8Array<ArrayBuffer> = this.#bytes;

  /** Adds bytes and keeps their array; overwrites commands returned before. */
  push(chunk: Uint8Array<ArrayBuffer>): void {
    const rest = this.#bytes.subarray(this.#at);
    const start = rest.byteOffset;
    const end = start + rest.byteLength + chunk.byteLength;
    if (rest.byteLength === 0) {
      this.#buffer = this.#bytes = chunk;
    } else {
      if (end > this.#buffer.byteLength) {
        this.#buffer = new Uint8Array(2 * (end - start));
        this.#buffer.set(rest);
        this.#bytes = this.#buffer.subarray(0, rest.byteLength);
      } else this.#bytes = rest;
      const at = this.#bytes.byteOffset + rest.byteLength;
      this.#buffer.set(chunk, at);
      this.#bytes = this.#buffer.subarray(
        this.#bytes.byteOffset,
        at + chunk.byteLength,
      );
    }
    this.#at = 0;
  }

  /**
   * Returns the next command; `undefined` until more bytes have come. Skips
   * commands without arguments.
   *
   * @throws {ProtocolError} in the words of Redis.
   */
  next(): Command | undefined {
    while (this.#at < this.#bytes.byteLength) {
      const start = this.#at;
      const command = this.#bytes[start] === ASTERISK
        ? this.#multibulk()
        : this.#inline();
      if (command === undefined) {
        this.#at = start;
        return undefined;
      }
      if (command.length > 0) return command;
    }
    return undefined;
  }

  #multibulk(): Command | undefined {
    this.#at++;
    const count = this.#number("too big mbulk count string");
    if (count === undefined) return undefined;
    if (!(count <= ARGUMENTS_MAX)) {
      throw new ProtocolError("invalid multibulk length");
    }
    const command: Command = [];
    while (command.length < count) {
      const argument = this.#bulk();
      if (argument === undefined) return undefined;
      command.push(argument);
    }
    return command;
  }

  #bulk(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#at >= this.#bytes.byteLength) return undefined;
    const first = this.#bytes[this.#at]!;
    if (first !== DOLLAR) {
      throw new ProtocolError(
        `expected '$', got '${String.fromCharCode(first)}'`,
      );
    }
    this.#at++;
    const length = this.#number("too big bulk count string");
    if (length === undefined) return undefined;
    if (!(length >= 0 && length <= BULK_BYTES_MAX)) {
      throw new ProtocolError("invalid bulk length");
    }
    const start = this.#at;
    if (start + length + 2 > this.#bytes.byteLength) return undefined;
    this.#at = start + length + 2;
    return this.#bytes.subarray(start, start + length);
  }

  /** Returns a number and the end of its line; `NaN` when it is no number. */
  #number(tooBig: string): number | undefined {
    const bytes = this.#bytes;
    const end = bytes.indexOf(CR, this.#at);
    if (end < 0 || end + 1 >= bytes.byteLength) {
      if (bytes.byteLength - this.#at <= INLINE_BYTES_MAX) return undefined;
      throw new ProtocolError(tooBig);
    }
    let value = 0;
    let at = this.#at;
    const isNegative = bytes[at] === 45;
    if (isNegative) at++;
    if (at === end) value = NaN;
    for (; at < end; at++) {
      const digit = bytes[at]! - 48;
      value = digit >= 0 && digit <= 9 ? value * 10 + digit : NaN;
    }
    this.#at = end + 2;
    return isNegative ? -value : value;
  }

  #inline(): Command | undefined {
    const bytes = this.#bytes;
    const end = bytes.indexOf(LF, this.#at);
    if (end < 0) {
      if (bytes.byteLength - this.#at <= INLINE_BYTES_MAX) return undefined;
      throw new ProtocolError("too big inline request");
    }
    const line = latin1(bytes.subarray(this.#at, end)).replace(/\r$/, "");
    this.#at = end + 1;
    return splitLine(line).map(bytesOf);
  }
}

/** Splits a line like a shell: blanks, single and double quotes, escapes. */
function splitLine(line: string): string[] {
  const words: string[] = [];
  const WORD = /\s*("(?:\\[^]|[^"\\])*"|'(?:\\'|[^'])*'|[^\s"']+)(?=\s|$)/y;
  let at = 0;
  while (line.slice(at).trim() !== "") {
    WORD.lastIndex = at;
    const word = WORD.exec(line)?.[1];
    if (word === undefined) {
      throw new ProtocolError("unbalanced quotes in request");
    }
    at = WORD.lastIndex;
    words.push(unquote(word));
  }
  return words;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  a: "\x07",
};

function unquote(word: string): string {
  if (word.startsWith("'")) return word.slice(1, -1).replaceAll("\\'", "'");
  if (!word.startsWith('"')) return word;
  return word.slice(1, -1).replace(
    /\\(?:x([0-9a-f]{2})|([^]))/gi,
    (_, hex, other) =>
      hex ? String.fromCharCode(parseInt(hex, 16)) : ESCAPES[other] ?? other,
  );
}

/** Returns bytes as text, one character for each byte. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let index = 0; index < bytes.length; index++) {
    text += String.fromCharCode(bytes[index]!);
  }
  return text;
}

/** Returns the bytes of a text of {@linkcode latin1}. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Replies of one connection, to be sent by one write. */
export class Replies {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  #length = 0;

  /** Answers with a status, as `OK`. */
  status(text: string): void {
    this.#text(`+${text}\r\n`);
  }

  /** Answers with an error, which begins with its kind. */
  error(text: string): void {
    this.#text(`-${text.replace(/[\r\n]/g, " ")}\r\n`);
  }

  /** Answers with an integer. */
  integer(value: number | bigint): void {
    this.#text(`:${value}\r\n`);
  }

  /** Answers with a string, or with the null string. */
  bulk(value: Uint8Array | undefined): void {
    if (value === undefined) return this.#text("$-1\r\n");
    this.#text(`$${value.byteLength}\r\n`);
    this.#makeRoom(value.byteLength + 2);
    this.#bytes.set(value, this.#length);
    this.#length += value.byteLength;
    this.#text("\r\n");
  }

  /** Begins an array of `length` replies. */
  array(length: number): void {
    this.#text(`*${length}\r\n`);
  }

  /** Returns the replies, which are valid until the next, and forgets them. */
  take(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /** How many bytes the replies have. */
  get byteLength(): number {
    return this.#length;
  }

  #text(text: string): void {
    this.#makeRoom(text.length * 3);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > 127) {
        at += ENCODER.encodeInto(text.slice(index), bytes.subarray(at)).written;
        break;
      }
      bytes[at++] = code;
    }
    this.#length = at;
  }

  #makeRoom(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.byteLength) return;
    const bytes = new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}
