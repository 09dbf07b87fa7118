/**
 * A client that sends the bytes of a test, and reads answers strictly.
 *
 * @module
 */

import type { Connection } from "../../src/reactor/connection.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { type Answer, AnswerReader, parseAnswers } from "./http_answers.ts";
import { concat, latin1 } from "./http_bytes.ts";
import { within } from "./waiting.ts";

const READ_BYTES = 65_536;

/** A TCP connection of Deno's own. */
export class RawClient implements Disposable {
  /** How many reads brought bytes. */
  reads = 0;
  readonly #conn: Deno.TcpConn;
  readonly #answers = new AnswerReader();
  readonly #buffer = new Uint8Array(READ_BYTES);
  #isClosed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connects to a server's address. */
  static async connect(addr: Deno.NetAddr): Promise<RawClient> {
    const { hostname, port } = addr;
    const connecting = Deno.connect({ hostname, port });
    const conn = await within(connecting, `connect to port ${port}`);
    conn.setNoDelay();
    return new RawClient(conn);
  }

  /** Our address, which the server sees as the remote one. */
  get address(): Deno.NetAddr {
    return this.#conn.localAddr as Deno.NetAddr;
  }

  /** Sends all of it, waiting for the server to take it. */
  async send(data: string | Uint8Array): Promise<this> {
    const bytes = typeof data === "string" ? latin1(data) : data;
    for (let sent = 0; sent < bytes.byteLength;) {
      sent += await this.#conn.write(bytes.subarray(sent));
    }
    return this;
  }

  /** Sends the end of the stream; answers can still be read. */
  async end(): Promise<this> {
    await this.#conn.closeWrite();
    return this;
  }

  /** Returns the next answer. */
  async answer(method = "GET"): Promise<Answer> {
    for (;;) {
      const answer = this.#answers.take(method);
      if (answer !== undefined) return answer;
      const bytes = await this.#read();
      if (bytes === undefined) {
        throw new Error(`The server closed before answering ${method}`);
      }
      this.#answers.push(bytes);
    }
  }

  /** Returns the next answers. */
  async answers(count: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    while (answers.length < count) answers.push(await this.answer());
    return answers;
  }

  /**
   * Returns all answers up to the end of the connection, which must be a
   * proper one: a reset throws.
   */
  async rest(...methods: string[]): Promise<Answer[]> {
    return parseAnswers(await this.restBytes(), methods);
  }

  /** Returns all bytes up to the end of the connection. */
  async restBytes(): Promise<Uint8Array<ArrayBuffer>> {
    const chunks: Uint8Array[] = [latin1(this.#answers.rest)];
    for (;;) {
      const bytes = await this.#read();
      if (bytes === undefined) return concat(chunks);
      chunks.push(bytes);
    }
  }

  /** Reads some bytes; `undefined` at the end. */
  read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#read();
  }

  /** Closes; bytes that were not read make it a reset. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const reading = this.#conn.read(this.#buffer);
    const count = await within(reading, "bytes from the server");
    if (count === null) return undefined;
    this.reads++;
    return this.#buffer.slice(0, count);
  }
}

/** A client that can end with a reset, which Deno's own cannot. */
export class ResettingClient implements Disposable {
  readonly #reactor = new Reactor();
  readonly #connection: Connection;
  readonly #opened = Promise.withResolvers<void>();

  constructor(addr: Deno.NetAddr) {
    this.#connection = this.#reactor.connect(addr, {
      open: () => this.#opened.resolve(),
      data() {},
    });
  }

  /** Our address, which the server sees as the remote one. */
  get address(): Deno.NetAddr {
    return this.#connection.localAddress as Deno.NetAddr;
  }

  /** Sends text as soon as it is connected. */
  async send(text: string): Promise<void> {
    await within(this.#opened.promise, "a connection");
    this.#connection.write(latin1(text));
  }

  /** Reads nothing from now on. */
  pause(): void {
    this.#connection.pause();
  }

  /** Resets the connection. */
  reset(): void {
    this.#connection.abort();
  }

  [Symbol.dispose](): void {
    this.#reactor.close();
  }
}
