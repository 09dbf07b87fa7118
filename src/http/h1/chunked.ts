/**
 * Decodes the chunked transfer coding: RFC 9112 section 7.1.
 *
 * Keeps no bytes: it tells which parts of what came are data. Strict about
 * line ends, sizes, extensions and trailers, since a lenient decoder and a
 * strict one behind the same proxy disagree about where a request ends.
 *
 * @module
 */

import { HttpError } from "../errors.ts";

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const QUOTE = 34;
const COLON = 58;
const SEMICOLON = 59;
const EQUALS = 61;
const BACKSLASH = 92;
const DELETE = 127;

/**
 * Bytes of all chunk extensions of a body: single bytes in chunks of their own
 * would carry any amount past the body's limit. Node and hyper have the same.
 */
const EXTENSION_BYTES_MAX = 16_384;
const TRAILER_BYTES_MAX = 16_384;
/**
 * Digits of a size, zeros in front among them: the width of 64 bits, beyond
 * which Go stops reading as well.
 */
const SIZE_DIGITS_MAX = 16;
/** RFC 9110 section 5.6.2: what a token has beside letters and digits. */
const TOKEN_SIGNS = "!#$%&'*+-.^_`|~";

/** Where in a chunk the decoder is. */
type State =
  | "size"
  | ExtensionState
  | "size-lf"
  | "data"
  | "data-cr"
  | "data-lf"
  | "trailer-start"
  | "trailer-name"
  | "trailer-value"
  | "trailer-lf"
  | "end-lf"
  | "done";

/** Where in the extensions of a chunk: RFC 9112 section 7.1.1. */
type ExtensionState =
  /** Space behind a size or a value: a semicolon must come. */
  | "gap"
  /** Behind a semicolon. */
  | "name-start"
  | "name"
  /** Space behind a name. */
  | "name-end"
  /** Behind the sign of equality. */
  | "value-start"
  | "value"
  | "quoted"
  | "quoted-pair"
  | "quoted-end";

/** Takes each run of data bytes. */
export interface DataSink {
  /** Takes the bytes from `start` to `end`. */
  push(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void;
}

/** One body's decoder. */
export class ChunkedDecoder {
  readonly #bytesMax: number;
  #state: State = "size";
  #size = 0;
  #digits = 0;
  /** Data bytes of all chunks that were begun. */
  #announced = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;

  /** @param bytesMax How many bytes of data there may be. */
  constructor(bytesMax: number = Infinity) {
    this.#bytesMax = bytesMax;
  }

  /** Whether the last chunk and its trailers have come. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * Decodes bytes from `start` to `end`, handing data to `sink`, and returns
   * where it stopped: at `end`, or behind the body.
   *
   * @throws {HttpError} 400 when the bytes are no chunked coding, 413 when a
   * chunk says that there is too much data, 431 for too many other bytes.
   */
  feed(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    sink: DataSink,
  ): number {
    let at = start;
    while (at < end && this.#state !== "done") {
      if (this.#state === "data") {
        const stop = Math.min(end, at + this.#size);
        sink.push(bytes, at, stop);
        this.#size -= stop - at;
        at = stop;
        if (this.#size === 0) this.#state = "data-cr";
      } else {
        this.#state = this.#step(this.#state, bytes[at++]!);
      }
    }
    return at;
  }

  /** Returns what is expected behind `byte`. */
  #step(state: Exclude<State, "data" | "done">, byte: number): State {
    switch (state) {
      case "size":
        return this.#sizeByte(byte);
      case "size-lf":
        return this.#endSizeLine(byte);
      case "data-cr":
        return expect(byte, CR, "data-lf");
      case "data-lf":
        this.#digits = 0;
        return expect(byte, LF, "size");
      case "trailer-start":
      case "trailer-name":
      case "trailer-value":
        this.#countTrailer();
        return trailerState(state, byte);
      case "trailer-lf":
        return expect(byte, LF, "trailer-start");
      case "end-lf":
        return expect(byte, LF, "done");
      default:
        this.#countExtension();
        return extensionState(state, byte);
    }
  }

  #sizeByte(byte: number): State {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.#digits > SIZE_DIGITS_MAX) throw malformed("size too long");
      this.#size = 16 * this.#size + digit;
      return "size";
    }
    if (this.#digits === 0) throw malformed("no size");
    if (byte === CR) return "size-lf";
    if (byte === SEMICOLON) return "name-start";
    // RFC 9110 section 5.6.3: such space is bad, but must be read.
    if (isSpace(byte)) return "gap";
    throw malformed("bad size");
  }

  #endSizeLine(byte: number): State {
    const state = expect(byte, LF, this.#size === 0 ? "trailer-start" : "data");
    // Beyond this, numbers lose bytes.
    if (this.#size > Number.MAX_SAFE_INTEGER) throw malformed("size too large");
    this.#announced += this.#size;
    if (this.#announced > this.#bytesMax) {
      throw new HttpError(413, "The chunks say that the body is too large");
    }
    return state;
  }

  #countExtension(): void {
    if (++this.#extensionBytes > EXTENSION_BYTES_MAX) {
      throw new HttpError(431, "The chunk extensions are too large");
    }
  }

  #countTrailer(): void {
    if (++this.#trailerBytes > TRAILER_BYTES_MAX) {
      throw new HttpError(431, "The trailers are too large");
    }
  }
}

/**
 * RFC 9112 section 7.1.1. What extensions say is ignored, but read exactly:
 * where their line ends must be the same for everybody.
 */
function extensionState(state: ExtensionState, byte: number): State {
  switch (state) {
    case "gap":
      return isSpace(byte) ? "gap" : expect(byte, SEMICOLON, "name-start");
    case "name-start":
      if (isSpace(byte)) return "name-start";
      return tokenState(byte, "name");
    case "name":
    case "name-end":
      if (byte === EQUALS) return "value-start";
      if (byte === SEMICOLON) return "name-start";
      if (isSpace(byte)) return "name-end";
      if (state === "name-end") throw malformed("bad extension");
      return byte === CR ? "size-lf" : tokenState(byte, "name");
    case "value-start":
      if (isSpace(byte)) return "value-start";
      return byte === QUOTE ? "quoted" : tokenState(byte, "value");
    case "quoted":
      if (byte === QUOTE) return "quoted-end";
      if (byte === BACKSLASH) return "quoted-pair";
      return textState(byte, "quoted");
    case "quoted-pair":
      return textState(byte, "quoted");
    default:
      if (byte === CR) return "size-lf";
      if (byte === SEMICOLON) return "name-start";
      if (isSpace(byte)) return "gap";
      if (state === "quoted-end") throw malformed("bad extension");
      return tokenState(byte, "value");
  }
}

/**
 * RFC 9112 section 7.1.2. Trailers are thrown away, whatever their names: to
 * merge one with the head's fields could change how the request is read.
 */
function trailerState(
  state: "trailer-start" | "trailer-name" | "trailer-value",
  byte: number,
): State {
  if (byte === CR && state !== "trailer-name") {
    return state === "trailer-start" ? "end-lf" : "trailer-lf";
  }
  if (state === "trailer-value") return textState(byte, "trailer-value");
  if (byte === COLON && state === "trailer-name") return "trailer-value";
  return tokenState(byte, "trailer-name");
}

function expect(byte: number, wanted: number, next: State): State {
  if (byte !== wanted) throw malformed("bad line end");
  return next;
}

function tokenState(byte: number, next: State): State {
  const isAlphanumeric = byte >= 48 && byte <= 57 ||
    (byte | 32) >= 97 && (byte | 32) <= 122;
  if (isAlphanumeric || TOKEN_SIGNS.includes(String.fromCharCode(byte))) {
    return next;
  }
  throw malformed("bad name");
}

/** Text holds no line end and no other control character. */
function textState(byte: number, next: State): State {
  const isControl = byte < SPACE && byte !== TAB || byte === DELETE;
  if (isControl) throw malformed("control character");
  return next;
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function malformed(what: string): HttpError {
  return new HttpError(400, `The chunked body is malformed: ${what}`);
}
