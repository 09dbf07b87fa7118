/**
 * Reads answers off the wire, strictly: what a test accepts must be HTTP/1.1.
 *
 * @module
 */

import { concat, latin1, toLatin1 } from "./http_bytes.ts";

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) ([\t\x20-\x7e\x80-\xff]*)$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\t\x20-\x7e\x80-\xff]*)$/;

/** One answer. */
export class Answer {
  constructor(
    /** Its status. */
    readonly status: number,
    /** Its reason phrase. */
    readonly reason: string,
    /** Its fields as sent, names in lower case. */
    readonly fields: readonly [string, string][],
    /** Its body without framing. */
    readonly body: Uint8Array<ArrayBuffer>,
  ) {}

  /** The body as UTF-8. */
  get text(): string {
    return new TextDecoder().decode(this.body);
  }

  /** Returns the values of a field. */
  all(name: string): string[] {
    return this.fields.filter(([found]) => found === name)
      .map(([, value]) => value);
  }

  /** Returns a field's only value, or `undefined`. */
  get(name: string): string | undefined {
    const values = this.all(name);
    if (values.length > 1) throw new Error(`Field "${name}" came twice`);
    return values[0];
  }
}

/** The state of an answer after the bytes so far. */
interface Parsed {
  answer: Answer;
  length: number;
}

/** Collects bytes and gives out answers. */
export class AnswerReader {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** Adds received bytes. */
  push(bytes: Uint8Array): void {
    this.#bytes = concat([this.#bytes, bytes]);
  }

  /** The bytes of an answer that is not complete, one character a byte. */
  get rest(): string {
    return toLatin1(this.#bytes);
  }

  /**
   * Takes the next answer, or returns `undefined` while it is not whole.
   *
   * @param method What the request was: an answer to HEAD has no body.
   * @param isEnded Whether the connection is at its end.
   * @throws {SyntaxError} when the bytes are no answer.
   */
  take(method = "GET", isEnded = false): Answer | undefined {
    const parsed = parse(this.#bytes, method, isEnded);
    if (parsed === undefined) return undefined;
    this.#bytes = this.#bytes.subarray(parsed.length);
    return parsed.answer;
  }
}

/**
 * Returns all answers in what a connection sent from beginning to end.
 *
 * @param methods The requests' methods, GET where there is none.
 */
export function parseAnswers(
  bytes: Uint8Array,
  methods: readonly string[] = [],
): Answer[] {
  const reader = new AnswerReader();
  reader.push(bytes);
  const answers: Answer[] = [];
  for (;;) {
    const finals = answers.filter(({ status }) => status >= 200).length;
    const answer = reader.take(methods[finals], true);
    if (answer === undefined) break;
    answers.push(answer);
  }
  if (reader.rest !== "") throw new SyntaxError(`Left over: ${reader.rest}`);
  return answers;
}

function parse(
  bytes: Uint8Array<ArrayBuffer>,
  method: string,
  isEnded: boolean,
): Parsed | undefined {
  const headEnd = find(bytes, "\r\n\r\n", 0);
  if (headEnd < 0) return undefined;
  const [statusLine = "", ...lines] = toLatin1(bytes.subarray(0, headEnd))
    .split("\r\n");
  const [, status, reason = ""] = match(STATUS_LINE, statusLine);
  const fields = lines.map((line): [string, string] => {
    const [, name = "", value = ""] = match(FIELD, line);
    return [name.toLowerCase(), value];
  });
  const head = new Answer(Number(status), reason, fields, new Uint8Array(0));
  const body = parseBody(bytes, headEnd + 4, { head, method, isEnded });
  if (body === undefined) return undefined;
  const answer = new Answer(head.status, reason, fields, body.body);
  return { answer, length: body.end };
}

/** RFC 9112 section 6.3. */
function parseBody(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  { head, method, isEnded }: {
    head: Answer;
    method: string;
    isEnded: boolean;
  },
): { body: Uint8Array<ArrayBuffer>; end: number } | undefined {
  const { status } = head;
  const coding = head.get("transfer-encoding");
  const length = head.get("content-length");
  if (coding !== undefined && length !== undefined) {
    throw new SyntaxError("Both transfer-encoding and content-length");
  }
  const hasNone = method === "HEAD" || status < 200 || status === 204 ||
    status === 304;
  if (hasNone) return { body: new Uint8Array(0), end: start };
  if (coding === "chunked") return parseChunks(bytes, start);
  if (coding !== undefined) throw new SyntaxError(`Unknown coding ${coding}`);
  if (length !== undefined) {
    if (!/^\d+$/.test(length)) throw new SyntaxError(`Bad length ${length}`);
    const end = start + Number(length);
    if (end > bytes.byteLength) return undefined;
    return { body: bytes.slice(start, end), end };
  }
  if (head.get("connection") !== "close") {
    throw new SyntaxError("A body until the close without connection: close");
  }
  if (!isEnded) return undefined;
  return { body: bytes.slice(start), end: bytes.byteLength };
}

/** RFC 9112 section 7.1, without extensions and trailers: we send none. */
function parseChunks(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
): { body: Uint8Array<ArrayBuffer>; end: number } | undefined {
  const chunks: Uint8Array[] = [];
  let at = start;
  for (;;) {
    const lineEnd = find(bytes, "\r\n", at);
    if (lineEnd < 0) return undefined;
    const line = toLatin1(bytes.subarray(at, lineEnd));
    match(/^[0-9a-f]+$/, line);
    const size = parseInt(line, 16);
    const end = lineEnd + 2 + size;
    if (end + 2 > bytes.byteLength) return undefined;
    match(/^\r\n$/, toLatin1(bytes.subarray(end, end + 2)));
    at = end + 2;
    if (size === 0) return { body: concat(chunks), end: at };
    chunks.push(bytes.subarray(lineEnd + 2, end));
  }
}

function match(pattern: RegExp, text: string): RegExpExecArray {
  const found = pattern.exec(text);
  if (found === null) {
    throw new SyntaxError(`Cannot read "${text}": it is not ${pattern}`);
  }
  return found;
}

function find(bytes: Uint8Array, text: string, from: number): number {
  const wanted = latin1(text);
  for (let at = from; at + wanted.length <= bytes.byteLength; at++) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}
