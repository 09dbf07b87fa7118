/**
 * Bytes on their way, in order.
 *
 * @module
 */

/** A queue of bytes, as a kernel's socket buffer is one. */
export class ByteQueue {
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  /** How many bytes there are. */
  length = 0;

  /** Adds bytes, which are the queue's from now on. */
  push(bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes.byteLength === 0) return;
    this.#chunks.push(bytes);
    this.length += bytes.byteLength;
  }

  /** Takes bytes from the front, and returns how many there were. */
  takeInto(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    let taken = 0;
    while (taken < length && this.length > 0) {
      const chunk = this.#chunks[0]!;
      const part = chunk.subarray(0, length - taken);
      buffer.set(part, offset + taken);
      taken += part.byteLength;
      this.length -= part.byteLength;
      if (part.byteLength === chunk.byteLength) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.byteLength);
    }
    return taken;
  }

  /** Takes up to `length` bytes from the front. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(Math.min(length, this.length));
    this.takeInto(bytes, 0, bytes.byteLength);
    return bytes;
  }

  /** Loses what is behind the first `length` bytes. */
  cut(length: number): void {
    if (length >= this.length) return;
    const kept = this.take(length);
    this.#chunks.length = 0;
    this.length = 0;
    this.push(kept);
  }
}
