/**
 * Numbers and bytes that look random and are the same in every run.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Returns a source of numbers from 0 up to 1: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns `length` bytes, the same for the same seed. */
export function randomBytes(
  length: number,
  seed: number,
): Uint8Array<ArrayBuffer> {
  const random = randomNumbers(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index++) {
    words[index] = random() * 2 ** 32;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Cuts `bytes` into pieces of random sizes up to `sizeMax`. */
export function* randomPieces(
  bytes: Uint8Array<ArrayBuffer>,
  sizeMax: number,
  seed: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const random = randomNumbers(seed);
  for (let start = 0; start < bytes.byteLength;) {
    const end = start + 1 + Math.floor(random() * sizeMax);
    yield bytes.subarray(start, end);
    start = end;
  }
}

/** Returns a SHA-256 in hexadecimal. */
export async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Whether two byte arrays are the same, without a page of difference. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
