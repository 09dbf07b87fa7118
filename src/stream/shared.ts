/**
 * The shared buffers of a reactor, which denio's own protocols use beside a
 * {@linkcode Transport}. Nothing here is public: a protocol that misuses a
 * shared buffer harms other peers.
 *
 * @module
 */

import type { Transport } from "./transport.ts";

/** Room in a buffer for bytes to send. */
export interface Output {
  /** The buffer. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The index of the next byte; advance it by the number of written bytes. */
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
   * them at `length`, and advance `length` by `size` at the most. The bytes
   * leave when the turn ends, or when another connection needs the room.
   *
   * @returns The buffer; `undefined` when `size` exceeds the buffer.
   * @throws {RangeError} when `size` is no whole number from 0.
   */
  reserve(size: number): Output | undefined;
  /**
   * Protects the bytes before `end`, in the array that `data` got, from later
   * reads. So the protocol may use them after `data` without a copy.
   *
   * @throws {RangeError} when `end` lies outside the array.
   */
  retain(end: number): void;
  /**
   * How many handlers may be called before `postpone` is asked: at least 1, and
   * more while handlers are fast.
   */
  readonly callsLeft?: number;
  /**
   * Gives bytes back that `data` got, if the turn has lasted long: other peers
   * and the program wait. `data` gets them again in a later turn, before other
   * bytes. `end` follows them, also if it was called already.
   *
   * Ask behind each call of a handler: that costs nothing, since the clock is
   * looked at seldom.
   *
   * @param calls How many handlers were called since; 1 when left out.
   * @returns Whether it takes them.
   */
  postpone?(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    calls?: number,
  ): boolean;
  /**
   * Does work in a later turn, in its place among the peers that wait for one.
   * Work that takes longer than a millisecond is done in parts, each of which
   * asks for the next.
   */
  later?(work: Work): void;
  /**
   * Sends the same bytes to many peers, each of them behind what was written to
   * it before: as a `write` to each, in few native calls and without a copy for
   * each. No handler runs inside. An error of one receiver ends that one alone,
   * after this returns.
   *
   * @param receivers Transports, each once, mostly of the same reactor.
   * @returns The indexes of those to which this transport cannot send. Write to
   * them.
   * @throws {RangeError} when the range lies outside its array.
   */
  broadcast?(receivers: readonly Receiver[], part: Part): readonly number[];
}

/** Work of a turn: see {@linkcode SharedTransport.later}. */
export interface Work {
  /** Does it. */
  onReady(): void;
  /** Is called with an error that `onReady` threw. */
  fail(error: unknown): void;
}

/** A receiver of a broadcast: see {@linkcode SharedTransport.broadcast}. */
export type Receiver = Pick<Transport, "write">;

/** A range of bytes. */
export interface Part {
  /** The array that the range is in. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The index of the first byte. */
  readonly start: number;
  /** The index behind the last byte. */
  readonly end: number;
}
