/**
 * permessage-deflate at the far end of a simulated WebSocket: what a client
 * offers, and how it reads the server's compressed messages.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import zlib from "node:zlib";

/** What clients offer. */
export const OFFERS: readonly string[] = [
  "permessage-deflate",
  "permessage-deflate; server_no_context_takeover",
  "permessage-deflate; client_no_context_takeover; client_max_window_bits",
  "permessage-deflate; server_max_window_bits=9",
];
const TAIL = Uint8Array.of(0, 0, 255, 255);
const WINDOW_BYTES = 32_768;
const { Z_SYNC_FLUSH } = zlib.constants;

/** Decompresses the messages of a server. */
export class Inflater {
  /** What earlier messages had, when a later one may refer to it. */
  #history: Buffer | undefined;

  /** @param answer The extension that the server has agreed on. */
  constructor(answer: string) {
    const isAlone = answer.includes("server_no_context_takeover");
    this.#history = isAlone ? undefined : Buffer.alloc(0);
  }

  /** Returns a message that came compressed. */
  inflate(payload: Uint8Array): Uint8Array<ArrayBuffer> {
    const history = this.#history ?? Buffer.alloc(0);
    const parts = [...storedBlock(history), payload, TAIL];
    const all = zlib.inflateRawSync(Buffer.concat(parts), {
      finishFlush: Z_SYNC_FLUSH,
    });
    if (this.#history !== undefined) {
      this.#history = all.subarray(Math.max(0, all.length - WINDOW_BYTES));
    }
    return new Uint8Array(all.subarray(history.length));
  }
}

/**
 * Returns a block of bytes that are not compressed: RFC 1951 section 3.2.4.
 * Deno's `dictionary` is wrong for raw streams.
 */
function storedBlock(bytes: Uint8Array): Uint8Array[] {
  const { length } = bytes;
  const head = Uint8Array.of(0, length, length >>> 8, ~length, ~length >>> 8);
  return [head, bytes];
}
