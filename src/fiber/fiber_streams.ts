/**
 * A fiber's connection as web streams.
 *
 * @module
 */

/** What the streams read and write. */
export interface ByteChannel {
  /** Returns a chunk to keep; `null` at the end of the stream. */
  readChunk(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the writing half. */
  closeWrite(): Promise<void>;
  /** Closes with a reset. */
  abort(): void;
  /** Closes, unless it was closed before. */
  [Symbol.dispose](): void;
}

/** Returns a stream of the bytes that come; it reads only what is pulled. */
export function readableOf(
  channel: ByteChannel,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const chunk = await channel.readChunk();
      if (chunk === null) controller.close();
      else controller.enqueue(chunk);
    },
    // As Deno's own connections do: a program that cancels needs it no more.
    cancel: () => channel[Symbol.dispose](),
  }, { highWaterMark: 0 });
}

/** Returns a stream to write to; writes wait while the peer is slower. */
export function writableOf(
  channel: ByteChannel,
): WritableStream<Uint8Array<ArrayBufferLike>> {
  return new WritableStream({
    write: async (chunk) => void await channel.write(chunk),
    close: () => channel.closeWrite(),
    abort: () => channel.abort(),
  });
}
