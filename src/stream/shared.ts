/**
 * What protocols of denio itself use beside a {@linkcode Transport}: buffers
 * that all connections of a reactor share. Nothing here is public, since a
 * protocol that misuses a shared buffer harms other peers.
 *
 * @module
 */

import type { Transport } from "./transport.ts";

/** Room in a buffer for bytes that are about to be sent. */
export interface Output {
  /** Where to write. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the next byte goes; advance it by what was written. */
  length: number;
}

/**
 * A transport that lends its buffers.
 *
 * @typeParam Data What the protocol keeps for each peer.
 */
export interface SharedTransport<Data = unknown> extends Transport<Data> {
  /**
   * Makes room for `size` bytes for this peer in the shared write buffer. Write
   * them at its `length`, and advance that by `size` at the most. They leave when
   * the turn is over, or when another connection needs the buffer.
   *
   * @returns The buffer; `undefined` when it never holds so many bytes.
   * @throws {RangeError} when `size` is no whole number from 0.
   */
  reserve(size: number): Output | undefined;
  /**
   * Keeps the bytes before `end`, of the array that `data` got, from being
   * overwritten, so that the protocol may refer to what it got without a copy.
   *
   * @throws {RangeError} when `end` lies outside the array.
   */
  retain(end: number): void;
}
