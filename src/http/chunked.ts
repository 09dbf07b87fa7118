/**
 * Decodes the chunked transfer coding: RFC 9112 section 7.1.
 *
 * Keeps no bytes: it tells which parts of what came are data. Strict about
 * line ends and sizes, since a lenient decoder and a strict one behind the
 * same proxy disagree about where a request ends.
 *
 * @module
 */

import { HttpError } from "./errors.ts";

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
const TAB = 9;
const SPACE = 32;
const DELETE = 127;

/** Bytes of chunk extensions, and of trailers, that a peer may send. */
const LINE_BYTES_MAX = 4_096;
const TRAILER_BYTES_MAX = 16_384;
/** Hexadecimal digits of a size that is still an exact number. */
const SIZE_DIGITS_MAX = 13;

/** Where in a chunk the decoder is. */
type State =
  | "size"
  | "extension"
  | "size-lf"
  | "data"
  | "data-cr"
  | "data-lf"
  | "trailer-start"
  | "trailer"
  | "trailer-lf"
  | "end-lf"
  | "done";

/** Is given each run of data bytes. */
export type DataSink = (
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
) => void;

/** One body's decoder. */
export class ChunkedDecoder {
  #state: State = "size";
  #size = 0;
  #digits = 0;
  #lineBytes = 0;
  #trailerBytes = 0;

  /** Whether the last chunk and its trailers have come. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * Decodes bytes from `start` to `end`, handing data to `sink`, and returns
   * where it stopped: at `end`, or behind the body.
   *
   * @throws {HttpError} 400 when the bytes are no chunked coding.
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
        sink(bytes, at, stop);
        this.#size -= stop - at;
        at = stop;
        if (this.#size === 0) this.#state = "data-cr";
      } else {
        this.#step(bytes[at++]!);
      }
    }
    return at;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case "size":
        return this.#sizeByte(byte);
      case "extension":
        return this.#extensionByte(byte);
      case "size-lf":
        return this.#endSizeLine(byte);
      case "data-cr":
        return this.#expect(byte, CR, "data-lf");
      case "data-lf":
        this.#digits = 0;
        return this.#expect(byte, LF, "size");
      case "trailer-start":
        this.#countTrailer();
        this.#state = byte === CR ? "end-lf" : "trailer";
        return checkText(byte);
      case "trailer":
        this.#countTrailer();
        if (byte === CR) this.#state = "trailer-lf";
        return checkText(byte);
      case "trailer-lf":
        return this.#expect(byte, LF, "trailer-start");
      default:
        return this.#expect(byte, LF, "done");
    }
  }

  #sizeByte(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.#digits > SIZE_DIGITS_MAX) throw malformed("size too long");
      this.#size = 16 * this.#size + digit;
      return;
    }
    if (this.#digits === 0) throw malformed("no size");
    this.#lineBytes = 0;
    if (byte === CR) this.#state = "size-lf";
    else if (byte === SEMICOLON) this.#state = "extension";
    else throw malformed("bad size");
  }

  #extensionByte(byte: number): void {
    if (++this.#lineBytes > LINE_BYTES_MAX) throw malformed("long extension");
    if (byte === CR) this.#state = "size-lf";
    checkText(byte);
  }

  #endSizeLine(byte: number): void {
    this.#expect(byte, LF, this.#size === 0 ? "trailer-start" : "data");
  }

  #countTrailer(): void {
    if (++this.#trailerBytes > TRAILER_BYTES_MAX) {
      throw new HttpError(431, "The trailers are too large");
    }
  }

  #expect(byte: number, wanted: number, next: State): void {
    if (byte !== wanted) throw malformed("bad line end");
    this.#state = next;
  }
}

/** A line holds no bare LF and no other control character. */
function checkText(byte: number): void {
  const isControl = byte < SPACE && byte !== TAB && byte !== CR;
  if (isControl || byte === DELETE) throw malformed("control character");
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function malformed(what: string): HttpError {
  return new HttpError(400, `The chunked body is malformed: ${what}`);
}
