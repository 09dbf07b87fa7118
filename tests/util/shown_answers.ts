/**
 * The answers of a server to some bytes, in a form that can be compared with the
 * answers of another server.
 *
 * @module
 */

import { type Answer, AnswerReader } from "./http_answers.ts";
import { latin1, toLatin1 } from "./http_bytes.ts";
import { within } from "./waiting.ts";

/** Asks whether the connection is still there. */
const SENTINEL =
  "GET /sentinel HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const READ_BYTES = 65_536;

/** Fields that say when, or what this connection is to become. */
const IGNORED = new Set(["connection", "date", "keep-alive", "vary"]);

/** Bytes to send, and the methods of the requests that they are. */
export interface Requests {
  /** One character a byte. */
  readonly text: string;
  /** One answer comes for each. */
  readonly methods: readonly string[];
}

/**
 * Sends requests on a connection of their own, and returns the answers as text,
 * and whether the connection was kept.
 */
export async function shownAnswers(
  port: number,
  { text, methods }: Requests,
): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const client = new Client(conn);
  const shown: string[] = [];
  try {
    await client.send(text);
    for (const method of methods) {
      const answers = await client.answersTo(method);
      shown.push(...answers.map((answer) => show(answer, port)));
    }
    await client.send(SENTINEL);
    const [last] = await client.answersTo("GET");
    shown.push(last?.text === "sentinel" ? "(kept)" : "(closed)");
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    shown.push(`(${error.message})`);
  }
  return shown.join("\n");
}

/** Reads answers as strictly as tests do, but those of HTTP/1.0 as well. */
class Client {
  readonly #conn: Deno.TcpConn;
  readonly #reader = new AnswerReader();
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** Whether the server sends no more. */
  #isEnded = false;
  /** Whether a reset was the end: it does not end a body, as a close does. */
  #isReset = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    conn.setNoDelay();
  }

  async send(text: string): Promise<void> {
    const bytes = latin1(text);
    try {
      for (let sent = 0; sent < bytes.byteLength;) {
        sent += await this.#conn.write(bytes.subarray(sent));
      }
    } catch {
      // The server has closed, which reading shows.
    }
  }

  /** Returns the final answer and those before it; none at the end. */
  async answersTo(method: string): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (;;) {
      const answer = this.#reader.take(
        method,
        this.#isEnded && !this.#isReset,
      );
      if (answer === undefined) {
        if (this.#isEnded) return answers;
        await this.#read();
        continue;
      }
      answers.push(answer);
      if (answer.status >= 200) return answers;
    }
  }

  async #read(): Promise<void> {
    const reading = this.#conn.read(this.#buffer).catch(() => {
      this.#isReset = true;
      return null;
    });
    const count = await within(reading, "an answer");
    if (count === null) {
      this.#isEnded = true;
      return;
    }
    const bytes = toLatin1(this.#buffer.subarray(0, count));
    this.#reader.push(latin1(asHttp11(bytes)));
  }
}

/** Adds the `Connection: close` that an answer to HTTP/1.0 need not have. */
function asHttp11(text: string): string {
  const close = /\r\nconnection: /i.test(text) ? "" : "connection: close\r\n";
  return text.replace(/^HTTP\/1\.0 (.*\r\n)/, `HTTP/1.1 $1${close}`);
}

function show({ status, reason, fields, text }: Answer, port: number): string {
  const shown = fields.filter(([name]) => !IGNORED.has(name))
    .map(([name, value]) => `${name}: ${value}`)
    .sort();
  const body = text.replaceAll(`:${port}`, ":PORT");
  return [`${status} ${reason}`, ...shown, "", body].join("\n");
}
