/**
 * Decodes the chunked transfer coding: RFC 9112 section 7.1.
 *
 * The decoder keeps no bytes: it passes on the runs that are data. It is strict
 * about line ends, sizes, extensions and trailers: a lenient decoder and a
 * strict proxy in front of it would disagree about the end of a request.
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
 * The most bytes of all chunk extensions of a body, as in node and hyper:
 * extensions do not count for the body's limit.
 */
const EXTENSION_BYTES_MAX = 16_384;
const TRAILER_BYTES_MAX = 16_384;
/**
 * The most digits of a size, leading zeros included: 64 bits, as in Go.
 */
const SIZE_DIGITS_MAX = 16;
/** The characters of a token but letters and digits: RFC 9110 section 5.6.2. */
const TOKEN_SIGNS = "!#$%&'*+-.^_`|~";

/** The part of a chunk that the next byte belongs to. */
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

/** The part of an extension: RFC 9112 section 7.1.1. */
type ExtensionState =
  /** Space behind a size or a value: a semicolon must follow. */
  | "gap"
  /** Behind a semicolon. */
  | "name-start"
  | "name"
  /** Space behind a name. */
  | "name-end"
  /** Behind an equals sign. */
  | "value-start"
  | "value"
  | "quoted"
  | "quoted-pair"
  | "quoted-end";

/** Receives each run of data bytes. */
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
  /** The sum of the sizes of all chunks that have begun. */
  #announced = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;

  /** @param bytesMax The most bytes of data. */
  constructor(bytesMax: number = Infinity) {
    this.#bytesMax = bytesMax;
  }

  /** Whether the last chunk and the trailers have arrived. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * Decodes the bytes from `start` to `end`, pushes data to `sink`, and returns
   * where it stopped: at `end`, or behind the body.
   *
   * @throws {HttpError} 400 for malformed bytes, 413 when the sizes of the
   * chunks exceed the limit, 431 for too long extensions or trailers.
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

  /** Returns the state behind `byte`. */
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
    // RFC 9110 section 5.6.3: such space is bad, but must be accepted.
    if (isSpace(byte)) return "gap";
    throw malformed("bad size");
  }

  #endSizeLine(byte: number): State {
    const state = expect(byte, LF, this.#size === 0 ? "trailer-start" : "data");
    // Larger numbers are not exact.
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
 * RFC 9112 section 7.1.1. Extensions are ignored, but parsed exactly: a proxy
 * and the server must agree about the end of the line.
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
 * RFC 9112 section 7.1.2. All trailers are thrown away: merging one with the
 * fields of the head could change the meaning of the request.
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

/** Text has no control character but the tab, and so no line end. */
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
