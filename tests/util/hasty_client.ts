/**
 * A client that lets nothing else of its thread run while it connects and asks:
 * what it sends lies in the system when the next line of the test runs.
 *
 * @module
 */

import { WOULD_BLOCK } from "../../src/native/errors.ts";
import { TcpStream } from "../../src/net/tcp_stream.ts";
import { latin1, toLatin1 } from "./http_bytes.ts";

/** A client on this thread, which no event loop runs. */
export class HastyClient implements Disposable {
  /** All that has come. */
  text = "";
  /** The result of the last read: `WOULD_BLOCK`, 0 at the end, or an error. */
  last: number = WOULD_BLOCK;
  readonly #stream: TcpStream;
  readonly #buffer = new Uint8Array(4_096);

  /** Begins to connect, which takes no time on one machine. */
  constructor(addr: Deno.NetAddr) {
    this.#stream = TcpStream.connect(addr);
  }

  /** Sends a short text before it returns. */
  ask(text: string): void {
    const bytes = latin1(text);
    while (this.#stream.tryWrite(bytes, 0, bytes.byteLength) < 0);
  }

  /** Reads what is there. */
  read(): this {
    const buffer = this.#buffer;
    for (;;) {
      this.last = this.#stream.tryRead(buffer, 0, buffer.byteLength);
      if (this.last <= 0) return this;
      this.text += toLatin1(buffer.subarray(0, this.last));
    }
  }

  [Symbol.dispose](): void {
    this.#stream.close();
  }
}
