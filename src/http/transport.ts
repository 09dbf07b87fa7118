/**
 * What HTTP needs of the bytes' way in and out. A reactor's connection has it
 * all; nothing here knows sockets.
 *
 * @module
 */

/** A buffer that answers are serialised into, in place. */
export interface Output {
  /** Where to write. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the next byte goes; advance it by what was written. */
  length: number;
}

/** An address that a stream has. */
export type StreamAddr = Deno.NetAddr | Deno.UnixAddr;

/** The way to one peer. */
export interface Transport {
  /** A clock that never goes back, in milliseconds. */
  readonly nowMs: number;
  /** Bytes written that the peer's side has not taken yet. */
  readonly bufferedBytes: number;
  /**
   * Memory that is held for the peer beside unsent bytes: requests that wait,
   * and bodies that nobody has read. Set it whenever that changes.
   */
  heldBytes: number;
  /** Whether all connections together hold more than they may. */
  readonly isOverfull: boolean;
  /** Whether the peer sends no more than what has come, and may have gone. */
  readonly peerHasEnded: boolean;
  /** The peer's address. */
  readonly remoteAddress: StreamAddr;
  /** Our address. */
  readonly localAddress: StreamAddr;
  /** Makes room for `size` bytes, or returns nothing when that never fits. */
  reserve(size: number): Output | undefined;
  /** Writes bytes; false when too many wait, until `drain`. */
  write(bytes: Uint8Array<ArrayBuffer>, start?: number, end?: number): boolean;
  /**
   * Writes up to seven arrays in one go, behind what was written before; false
   * when too many bytes wait, until `drain`.
   */
  writeVectored(parts: readonly Uint8Array<ArrayBuffer>[]): boolean;
  /** Writes bytes that nobody changes any more: they may be kept as they are. */
  writeOwned(bytes: Uint8Array<ArrayBuffer>): boolean;
  /** Keeps the bytes of the current read before `end` from being overwritten. */
  retain(end: number): void;
  /**
   * Has `timeout` be called with `deadline`, once, `delayMs` from now. The next
   * call replaces it, and `Infinity` clears it.
   */
  setDeadline(delayMs: number): void;
  /** Has `drain` be called, once, when connections hold less than they may. */
  awaitRoom(): void;
  /** Stops reading. */
  pause(): void;
  /** Goes on reading. */
  resume(): void;
  /**
   * Has `data` be called with what has come by now, and `end` after the end.
   * Never call it while `data` runs.
   *
   * @returns How many bytes came.
   */
  readNow(): number;
  /**
   * Sends the end of the stream and closes at once, unless bytes have crossed it:
   * for one that owes its peer nothing. Never call it while `data` runs.
   */
  closeIdle(): void;
  /** Sends what is written and closes. */
  close(): void;
  /** Closes so that the peer can read the answer, whatever it still sends. */
  closeLingering(): void;
  /** Closes at once. */
  abort(): void;
}

/** Bytes waiting for a peer at which no further answer is begun. */
export const BUSY_BYTES = 65_536;

/**
 * Bytes of a body up to this number are copied into the shared write buffer, to
 * leave in one call with the head and with other answers of the turn. A call for
 * the bytes alone costs less than the copy of a longer body.
 */
export const COPY_BYTES_MAX = 16_384;

/** Whether a body, or a piece of one, is copied or has a call of its own. */
export function isCopied(byteLength: number): boolean {
  return byteLength <= COPY_BYTES_MAX;
}

/** Returns room in the shared buffer, or of its own: see {@linkcode sendOwn}. */
export function roomFor(transport: Transport, size: number): Output {
  return transport.reserve(size) ?? new OwnOutput(size);
}

/** Sends what was written to room of its own. */
export function sendOwn(transport: Transport, output: Output): void {
  if (!(output instanceof OwnOutput)) return;
  transport.write(output.bytes, 0, output.length);
}

/** Room for what is too large for the shared buffer, or while that is sent. */
class OwnOutput implements Output {
  readonly bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }
}
