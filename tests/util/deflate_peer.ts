/**
 * The other side of permessage-deflate, on node:zlib, as `ws` does it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import zlib from "node:zlib";

const TAIL = Uint8Array.of(0, 0, 255, 255);
const { Z_SYNC_FLUSH } = zlib.constants;

/** A compressor and a decompressor with context takeover. */
export class DeflatePeer {
  readonly #deflate: zlib.DeflateRaw;
  readonly #inflate: zlib.InflateRaw;

  constructor(windowBits: number, theirWindowBits: number) {
    this.#deflate = zlib.createDeflateRaw({ windowBits });
    this.#inflate = zlib.createInflateRaw({ windowBits: theirWindowBits });
  }

  /** Returns a message as it is sent, without its tail. */
  async compress(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    return withoutTail(await flushed(this.#deflate, message));
  }

  /** Returns a message that was received without its tail. */
  async decompress(payload: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    return await flushed(this.#inflate, Buffer.concat([payload, TAIL]));
  }

  close(): void {
    this.#deflate.close();
    this.#inflate.close();
  }
}

/** Compresses one message without context takeover. */
export function deflateOnce(
  message: Uint8Array,
  options: zlib.ZlibOptions = {},
): Uint8Array<ArrayBuffer> {
  const finishFlush = Z_SYNC_FLUSH;
  return withoutTail(zlib.deflateRawSync(message, { ...options, finishFlush }));
}

/** Decompresses one message without context takeover. */
export function inflateOnce(
  payload: Uint8Array,
  windowBits = 15,
): Uint8Array<ArrayBuffer> {
  const whole = Buffer.concat([payload, TAIL]);
  const options = { windowBits, finishFlush: Z_SYNC_FLUSH };
  return new Uint8Array(zlib.inflateRawSync(whole, options));
}

function withoutTail(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes.subarray(0, bytes.length - TAIL.length));
}

/** Writes to a stream of zlib, and returns what it has given once flushed. */
function flushed(
  stream: zlib.DeflateRaw | zlib.InflateRaw,
  bytes: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<
    Uint8Array<ArrayBuffer>
  >();
  const onData = (chunk: Uint8Array) => chunks.push(chunk);
  stream.on("data", onData).once("error", reject);
  stream.write(bytes);
  stream.flush(Z_SYNC_FLUSH, () => {
    stream.off("data", onData).off("error", reject);
    resolve(new Uint8Array(Buffer.concat(chunks)));
  });
  return promise;
}
