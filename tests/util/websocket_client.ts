/**
 * A client of WebSocket that speaks text: Deno's own, with promises.
 *
 * @module
 */

import { within } from "./waiting.ts";

/** A client. */
export class WebSocketClient implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<number>();
  readonly #heard: string[] = [];
  #changed = Promise.withResolvers<void>();

  private constructor(url: string) {
    const socket = this.#socket = new WebSocket(url);
    socket.onopen = () => this.#opened.resolve();
    socket.onclose = ({ code }) => this.#closed.resolve(code);
    socket.onmessage = ({ data }) => {
      this.#heard.push(data);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    };
  }

  /** Connects to a port of this machine, and waits until it is open. */
  static async open(port: number, path = "/"): Promise<WebSocketClient> {
    const client = new WebSocketClient(`ws://127.0.0.1:${port}${path}`);
    await within(client.#opened.promise, "an open WebSocket");
    return client;
  }

  /** How many messages wait here. */
  get heard(): number {
    return this.#heard.length;
  }

  /** Sends a text. */
  say(text: string): void {
    this.#socket.send(text);
  }

  /** Returns the next message. */
  async next(): Promise<string> {
    while (this.#heard.length === 0) {
      await within(this.#changed.promise, "a message");
    }
    return this.#heard.shift()!;
  }

  /** Waits for the end, and returns its code. */
  closed(): Promise<number> {
    return within(this.#closed.promise, "the end of a WebSocket");
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.closed();
  }
}
