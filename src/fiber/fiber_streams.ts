/**
 * A fiber's connection as web streams.
 *
 * @module
 */

/** What is read and written. */
export interface ByteChannel {
  /** Returns a chunk to keep; `null` at the end. */
  readChunk(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Writes all. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the writing half. */
  closeWrite(): Promise<void>;
  /** Closes with a reset. */
  abort(): void;
  /** Closes, unless it is closed already. */
  [Symbol.dispose](): void;
}

/** Returns what comes as a stream that reads no more than is asked for. */
export function readableOf(
  channel: ByteChannel,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const chunk = await channel.readChunk();
      if (chunk === null) controller.close();
      else controller.enqueue(chunk);
    },
    // As Deno's own does: who reads no more has no use for the connection.
    cancel: () => channel[Symbol.dispose](),
  }, { highWaterMark: 0 });
}

/** Returns a stream whose writes wait for a peer that is slower. */
export function writableOf(
  channel: ByteChannel,
): WritableStream<Uint8Array<ArrayBufferLike>> {
  return new WritableStream({
    write: async (chunk) => void await channel.write(chunk),
    close: () => channel.closeWrite(),
    abort: () => channel.abort(),
  });
}
