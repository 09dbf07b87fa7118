/**
 * Bytes that show where they belong: each is a function of its stream and its
 * place there. So a lost, doubled or crossed byte is found at once.
 *
 * @module
 */

import { randomBytes, sameBytes } from "../util/random.ts";
import type { World } from "./world.ts";

/** A prime, so that no power of two is a period. */
const PATTERN_BYTES = 65_537;
const STREAM_STEP = 7_919;
const PATTERN = randomBytes(PATTERN_BYTES, 1);

/** Returns bytes `start` to `end` of a stream. */
export function taggedBytes(
  stream: number,
  start: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(end - start);
  const first = (stream * STREAM_STEP + start) % PATTERN_BYTES;
  for (let at = -first; at < bytes.byteLength; at += PATTERN_BYTES) {
    const skipped = Math.max(0, -at);
    const part = PATTERN.subarray(skipped, bytes.byteLength - at);
    bytes.set(part, at + skipped);
  }
  return bytes;
}

/** Fails the run unless `bytes` are those of a stream from `start` on. */
export function expectTagged(
  world: World,
  bytes: Uint8Array<ArrayBuffer>,
  expected: { stream: number; start: number; name: string },
): void {
  const { stream, start, name } = expected;
  const right = taggedBytes(stream, start, start + bytes.byteLength);
  if (sameBytes(bytes, right)) return;
  const at = bytes.findIndex((byte, index) => byte !== right[index]);
  world.fail(`${name}: byte ${start + at} is not what was sent`);
}
