/**
 * Finds the beginnings of HTTP/1.1 messages in the bytes of a connection, and
 * the frames of the WebSocket that it may become.
 *
 * It serves a trace only, and never decides an answer: it follows well-formed
 * messages, and gives up a direction at the first bytes of another form.
 *
 * @module
 */

import { decodeLatin1 } from "../http/latin1.ts";
import { FrameWatch } from "./frame_watch.ts";

/** The longest line that the watch follows; denio accepts no such head. */
const LINE_BYTES_MAX = 65_536;
/** The most characters of a start line that a trace shows. */
const SHOWN_MAX = 48;

const REQUEST = /^([A-Z-]{1,20}) (\S+) HTTP\/1\.[01]$/;
const STATUS = /^HTTP\/1\.[01] ((\d{3})(?: .*)?)$/;
const LENGTH = /^content-length:[ \t]*(\d{1,15})[ \t]*$/i;
const CHUNKED = /^transfer-encoding:.*\bchunked[ \t]*$/i;
const WEBSOCKET = /^upgrade:.*\bwebsocket\b/i;
const CHUNK_SIZE = /^([\da-f]{1,12})[ \t]*(?:;.*)?$/i;

const LINE_FEED = 10;

/** The part of a message at the current place of one direction. */
type Part =
  | "start line"
  | "fields"
  | "body"
  | "chunk size"
  | "chunk"
  | "chunk end"
  | "trailers"
  | "frames"
  | "unknown";

/** Both directions of one connection. */
export class MessageWatch {
  /** The number of request lines seen, in either direction. */
  requests = 0;
  /**
   * The number of status lines seen, without those of interim answers (1xx).
   */
  answers = 0;
  readonly #received: Direction;
  readonly #sent: Direction;
  /** Methods of the requests without an answer yet. */
  readonly #methods: string[] = [];

  /** Watches a connection from its first byte. */
  constructor() {
    const started = (line: string) => this.#started(line);
    this.#received = new Direction(started);
    this.#sent = new Direction(started);
  }

  /** Takes received bytes, and returns the messages that begin in them. */
  received(bytes: Uint8Array, start: number, end: number): string {
    return summary(this.#received.take(bytes, start, end));
  }

  /** Takes sent bytes, and returns the messages that begin in them. */
  sent(bytes: Uint8Array, start: number, end: number): string {
    return summary(this.#sent.take(bytes, start, end));
  }

  #started(line: string): Start | undefined {
    const request = REQUEST.exec(line);
    if (request !== null) {
      const [, method, target] = request;
      this.requests++;
      this.#methods.push(method!);
      return { text: `${method} ${pathOf(target!)}`, body: "none if unsaid" };
    }
    const status = STATUS.exec(line);
    if (status === null) return undefined;
    const code = Number(status[2]);
    return { text: shown(status[1]!), body: this.#answerBody(code) };
  }

  /** Returns the kind of an answer's body: RFC 9112 section 6.3. */
  #answerBody(code: number): Start["body"] {
    if (code === 101) return "another protocol";
    this.#received.leaveFrames();
    if (code < 200) return "none";
    this.answers++;
    const method = this.#methods.shift();
    if (method === "CONNECT" && code < 300) return "another protocol";
    return method === "HEAD" || code === 204 || code === 304
      ? "none"
      : "all if unsaid";
  }
}

/** A message's first line, and the kind of its body. */
interface Start {
  readonly text: string;
  readonly body:
    | "none"
    | "none if unsaid"
    | "all if unsaid"
    | "another protocol";
}

/** One direction of a connection, line by line. */
class Direction {
  readonly #started: (line: string) => Start | undefined;
  #part: Part = "start line";
  /** The beginning of an incomplete line. */
  #line = "";
  /** The number of bytes left of the body or the chunk. */
  #left = 0;
  #isChunked = false;
  #start: Start | undefined;
  /** The frames, once the head names WebSocket. */
  #frames: FrameWatch | undefined;

  constructor(started: (line: string) => Start | undefined) {
    this.#started = started;
  }

  /**
   * Takes bytes, and returns the first lines of messages that begin in them.
   */
  take(bytes: Uint8Array, start: number, end: number): string[] {
    const begun: string[] = [];
    let place = start;
    while (place < end && this.#part !== "unknown") {
      if (this.#part === "frames") {
        begun.push(...this.#frames!.take(bytes, place, end));
        break;
      }
      if (this.#part === "body" || this.#part === "chunk") {
        place += this.#skip(end - place);
        continue;
      }
      const found = bytes.indexOf(LINE_FEED, place);
      const isWhole = found >= 0 && found < end;
      const stop = isWhole ? found : end;
      this.#line += decodeLatin1(bytes, place, stop);
      place = stop + 1;
      if (isWhole) this.#endLine(begun);
      else if (this.#line.length > LINE_BYTES_MAX) this.#giveUp();
    }
    return begun;
  }

  /** The server has refused the WebSocket: requests go on. */
  leaveFrames(): void {
    if (this.#part === "frames") this.#go("start line");
  }

  #skip(available: number): number {
    const count = Math.min(this.#left, available);
    this.#left -= count;
    if (this.#left === 0) {
      this.#part = this.#part === "chunk" ? "chunk end" : "start line";
    }
    return count;
  }

  #endLine(begun: string[]): void {
    const line = this.#line.replace(/\r$/, "");
    this.#line = "";
    switch (this.#part) {
      case "start line":
        return this.#startLine(line, begun);
      case "fields":
        return this.#field(line);
      case "chunk size":
        return this.#chunkSize(line);
      case "chunk end":
        return this.#go(line === "" ? "chunk size" : "unknown");
      case "trailers":
        if (line === "") this.#go("start line");
    }
  }

  #startLine(line: string, begun: string[]): void {
    // RFC 9112 section 2.2: servers ignore an empty line before a request.
    if (line === "") return;
    this.#start = this.#started(line);
    if (this.#start === undefined) return this.#giveUp();
    begun.push(this.#start.text);
    this.#left = -1;
    this.#isChunked = false;
    this.#frames = undefined;
    this.#go("fields");
  }

  #field(line: string): void {
    if (line === "") return this.#endHead();
    const length = LENGTH.exec(line);
    if (length !== null) this.#left = Number(length[1]);
    if (CHUNKED.test(line)) this.#isChunked = true;
    if (WEBSOCKET.test(line)) this.#frames = new FrameWatch();
  }

  #endHead(): void {
    const { body } = this.#start!;
    const isUpgrade = body === "another protocol" || body === "none if unsaid";
    if (isUpgrade && this.#frames !== undefined) return this.#go("frames");
    if (body === "another protocol") return this.#giveUp();
    if (body === "none") return this.#go("start line");
    if (this.#isChunked) return this.#go("chunk size");
    if (this.#left > 0) return this.#go("body");
    // An answer without a length lasts until the end of the connection.
    const isAll = this.#left < 0 && body === "all if unsaid";
    this.#go(isAll ? "unknown" : "start line");
  }

  #chunkSize(line: string): void {
    const size = CHUNK_SIZE.exec(line);
    if (size === null) return this.#giveUp();
    this.#left = parseInt(size[1]!, 16);
    this.#go(this.#left === 0 ? "trailers" : "chunk");
  }

  #go(part: Part): void {
    this.#part = part;
  }

  #giveUp(): void {
    this.#part = "unknown";
    this.#line = "";
  }
}

function summary(begun: readonly string[]): string {
  const [first = "", ...more] = begun;
  return more.length === 0 ? first : `${first}, ${more.length} more`;
}

/** Returns only the path: a query, or a name and password, may be secret. */
function pathOf(target: string): string {
  const path = target.replace(/^\w+:\/\/[^/?]*/, "") || "/";
  const query = path.indexOf("?");
  return shown(query < 0 ? path : `${path.slice(0, query)}?…`);
}

/** Returns short printable ASCII: a peer must not control the terminal. */
function shown(text: string): string {
  const short = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
  return short.replace(/[^ -~…]/g, escaped);
}

function escaped(character: string): string {
  const code = character.charCodeAt(0);
  return `\\x${code.toString(16).padStart(2, "0")}`;
}
