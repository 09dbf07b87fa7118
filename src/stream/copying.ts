/**
 * Copy or call: whether bytes are copied into the shared write buffer, to leave
 * in one call with all that the turn writes, or are handed to the system by a
 * call of their own. This is the one place that decides it.
 *
 * Measured with 64 connections, processor time of an echo or an answer: bytes
 * alone cost 0.15 to 0.4 microseconds more when they are copied, from 3,000 bytes
 * on. Behind a head, which is in the buffer already, a copy of 6,000 bytes saves
 * 1.5 of 10 microseconds, one of 14,000 to 24,000 is even, and one of 40,000
 * costs 1.5 more.
 *
 * A text is no question of copying: it must be encoded somewhere, and in the
 * shared buffer costs half of what an array of its own does, at any length.
 *
 * @module
 */

/** Bytes alone up to this number are copied. */
const ALONE_BYTES_MAX = 2_048;
/** Bytes behind a head, or behind the size of a chunk, are copied up to this. */
const BEHIND_BYTES_MAX = 16_384;

/** Whether a few bytes that are written by themselves are copied. */
export function isCopiedAlone(byteLength: number): boolean {
  return byteLength <= ALONE_BYTES_MAX;
}

/** Whether bytes behind others in the shared buffer are copied. */
export function isCopiedBehind(byteLength: number): boolean {
  return byteLength <= BEHIND_BYTES_MAX;
}
