/**
 * Bytes that have come and that nobody has asked for yet, in order.
 *
 * A connection has one only while there are such bytes.
 *
 * @module
 */

/** What a first chunk takes at the least, so that small ones are joined. */
const CAPACITY_MIN = 256;

/** A queue of bytes that can be looked through. */
export class Inbox {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #start = 0;
  #end = 0;

  /** How many bytes there are. */
  get byteLength(): number {
    return this.#end - this.#start;
  }

  /** Adds a copy of `bytes` from `start` to `end`. */
  push(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    this.#makeRoom(end - start);
    this.#bytes.set(bytes.subarray(start, end), this.#end);
    this.#end += end - start;
  }

  /** Moves bytes to `target` and returns how many. */
  moveTo(target: Uint8Array): number {
    const count = Math.min(this.byteLength, target.byteLength);
    const end = this.#start + count;
    target.set(this.#bytes.subarray(this.#start, end));
    this.#start = end;
    return count;
  }

  /** Takes `count` bytes, or all, as a chunk of their own. */
  take(count: number = this.byteLength): Uint8Array<ArrayBuffer> {
    const end = this.#start + count;
    const chunk = this.#bytes.slice(this.#start, end);
    this.#start = end;
    return chunk;
  }

  /**
   * Returns how many bytes there are up to and with the first `delimiter` that
   * ends behind `from`; -1 when there is none.
   */
  find(delimiter: Uint8Array, from: number): number {
    const { byteLength: width } = delimiter;
    const first = delimiter[0]!;
    const bytes = this.#bytes;
    const last = this.#end - width;
    let at = this.#start + Math.max(0, from - width + 1);
    for (;; at++) {
      at = bytes.indexOf(first, at);
      if (at < 0 || at > last) return -1;
      let same = 1;
      while (same < width && bytes[at + same] === delimiter[same]) same++;
      if (same === width) return at + width - this.#start;
    }
  }

  #makeRoom(count: number): void {
    const held = this.byteLength;
    if (this.#bytes.byteLength - this.#end >= count) return;
    const needed = held + count;
    // At least twice what is held, so that growing is linear on the whole.
    const bytes = needed * 2 <= this.#bytes.byteLength
      ? this.#bytes
      : new Uint8Array(Math.max(needed, 2 * held, CAPACITY_MIN));
    bytes.set(this.#bytes.subarray(this.#start, this.#end));
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = held;
  }
}
