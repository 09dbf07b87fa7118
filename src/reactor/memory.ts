/**
 * The memory that a reactor's connections hold, and which connections the
 * reactor resets when they hold too much.
 *
 * A connection is reset only when its peer takes nothing for seconds: its
 * system acknowledges no byte. Beyond the bound, a connection is also reset when
 * its held bytes do not change for seconds. A peer that takes bytes slowly is
 * never reset for memory.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import type { ArrayLedger } from "../bytes/byte_queue.ts";
import type { EngineConnection } from "./connection/engine.ts";
import type { Timer } from "./timers.ts";

/** The share of the bound at which listeners stop accepting. */
const CROWDED_SHARE = 0.75;
/** The share of the bound down to which connections are reset. */
const ENOUGH_SHARE = 0.75;
/**
 * The largest share of the bound that one array counts for. The program made
 * the array, so a few large downloads must not keep other clients waiting.
 */
const ARRAY_SHARE = 1 / 16;
/** The multiple of the bound at which connections get less time. */
const DANGER_SHARE = 2;
/** Between two looks at all connections while memory is short. */
const LOOK_MS = 250;
/** The share of that time within which a second look does not count. */
const LOOK_SHARE = 0.9;
/**
 * A connection has stalled when this many looks in a row found no moved byte:
 * ten seconds. When a peer reads slowly, Linux announces room to the sender in
 * steps of a sixteenth of the peer's buffer: with 32 MiB, the largest of common
 * systems, a step takes ten seconds at 200 KB/s. The reactor counts looks and
 * not time: a program that blocks its thread is not the peers' fault.
 */
const STALLED_LOOKS = 40;
/** The same at {@linkcode DANGER_SHARE}: two seconds. */
const STALLED_LOOKS_IN_DANGER = 8;
/**
 * A connection with fewer held bytes than this is spared: the program has to
 * act, not the peer, and a reset would free little.
 */
const HELD_BYTES_MIN = 16_384;
/** How many connections an error names one by one. */
const NAMED_MAX = 16;

/** What counting memory needs from the reactor. */
export interface MemoryHost {
  /** The time, in milliseconds. */
  readonly nowMs: number;
  /** Whether a listener or a connection waits for memory. */
  readonly isMemoryAwaited: boolean;
  /** Yields all connections. */
  connections(): Iterable<EngineConnection>;
  /** Runs `callback` after `delayMs`, in a turn. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Reports the connections that were reset. */
  report(error: unknown): void;
}

/** The memory that the connections of one reactor hold. */
export class Memory implements ArrayLedger {
  /** Bytes that connections hold. */
  bytes = 0;
  readonly #host: MemoryHost;
  readonly #max: number;
  /** Arrays that wait to be sent, each counted once. */
  readonly #arrays = new Map<ArrayBuffer, { queues: number; bytes: number }>();
  /** The part of the bytes that is for arrays. */
  #arrayBytes = 0;
  /** The part of the bytes that the poll holds. */
  #pollBytes = 0;
  #isLooking = false;
  #lookedMs = -Infinity;

  /** @param bytesMax The bound. */
  constructor(host: MemoryHost, bytesMax: number) {
    this.#host = host;
    this.#max = bytesMax;
  }

  /**
   * Whether connections hold too much to accept more. Arrays do not count: the
   * program made them, and refusing clients frees none.
   */
  get isCrowded(): boolean {
    return this.bytes - this.#arrayBytes >= CROWDED_SHARE * this.#max;
  }

  /** Whether connections hold more than the bound. */
  get isOverfull(): boolean {
    return this.bytes > this.#max;
  }

  /** Whether connections that wait for memory can go on. */
  get hasRoom(): boolean {
    return this.bytes <= ENOUGH_SHARE * this.#max;
  }

  /** Counts memory: above 0 for taken bytes, below 0 for freed ones. */
  count(delta: number): void {
    this.bytes += delta;
    // Not 0: `heldBytes` may be fractions, and their sum is rounded.
    assert(this.bytes > -1, "what is freed was counted");
    if (delta > 0 && !this.#isLooking && this.#isShort) this.#lookLater();
  }

  /** Notes how many bytes the poll holds for connections. */
  notePoll(bytes: number): void {
    if (bytes === this.#pollBytes) return;
    const delta = bytes - this.#pollBytes;
    this.#pollBytes = bytes;
    this.count(delta);
  }

  get #isShort(): boolean {
    return this.bytes >= CROWDED_SHARE * this.#max;
  }

  /** Counts an array that waits in one queue more. */
  hold({ buffer }: Uint8Array<ArrayBuffer>): void {
    const known = this.#arrays.get(buffer);
    if (known !== undefined) return void known.queues++;
    const bytes = Math.min(buffer.byteLength, ARRAY_SHARE * this.#max);
    this.#arrays.set(buffer, { queues: 1, bytes });
    this.#arrayBytes += bytes;
    this.count(bytes);
  }

  /** Counts an array that waits in one queue less. */
  release({ buffer }: Uint8Array<ArrayBuffer>): void {
    const known = this.#arrays.get(buffer);
    assert(known !== undefined, "an array that is released was held");
    if (--known.queues > 0) return;
    this.#arrays.delete(buffer);
    this.#arrayBytes -= known.bytes;
    this.count(-known.bytes);
  }

  /** Resets stalled connections; returns whether that freed enough. */
  makeRoom(): boolean {
    // A look visits all connections: too much work for each new client.
    if (!this.#hasLooked) this.#shed();
    return !this.isCrowded;
  }

  #lookLater(): void {
    this.#isLooking = true;
    this.#host.setTimer(LOOK_MS, () => {
      this.#isLooking = false;
      if (!this.#isShort) return;
      // First: an error of one connection must not end the looks.
      this.#lookLater();
      // Also when none is to be reset: looks count what has moved.
      const isWanted = this.isOverfull || this.#host.isMemoryAwaited;
      if (!this.#hasLooked) this.#shed(isWanted);
    });
  }

  /** Whether the last look was just now: a second one would count as well. */
  get #hasLooked(): boolean {
    return this.#host.nowMs - this.#lookedMs < LOOK_SHARE * LOOK_MS;
  }

  /**
   * Looks at all connections. When `isWanted`, resets stalled ones until enough
   * is free: first connections with peers that take nothing, the longest
   * stalled first; then, beyond the bound, connections with unchanged held
   * bytes, the largest first.
   */
  #shed(isWanted: boolean = true): void {
    this.#lookedMs = this.#host.nowMs;
    const isDanger = this.bytes > DANGER_SHARE * this.#max;
    const looksMin = isDanger ? STALLED_LOOKS_IN_DANGER : STALLED_LOOKS;
    const unsent: Stalled[] = [];
    const held: Stalled[] = [];
    for (const connection of this.#host.connections()) {
      const { unsentLooks, heldLooks, heldBytes } = connection.look();
      if (unsentLooks >= looksMin) {
        unsent.push({ connection, order: -connection.unsentSinceMs });
      } else if (heldLooks >= looksMin && heldBytes >= HELD_BYTES_MIN) {
        held.push({ connection, order: heldBytes });
      }
    }
    if (!isWanted) return;
    const stalled = this.isOverfull
      ? [...sorted(unsent), ...sorted(held)]
      : sorted(unsent);
    this.#reset(stalled);
  }

  #reset(stalled: readonly Stalled[]): void {
    const causes: Error[] = [];
    let count = 0;
    for (const { connection } of stalled) {
      if (this.hasRoom) break;
      if (count++ < NAMED_MAX) causes.push(causeOf(connection));
      connection.evict("shed");
    }
    if (count === 0) return;
    const message = `Reset ${count} connections that had stalled: more than ` +
      `${CROWDED_SHARE * this.#max} of memoryBytesMax "${this.#max}" was held`;
    this.#host.report(new AggregateError(causes, message));
  }
}

interface Stalled {
  readonly connection: EngineConnection;
  /** The connection with the largest order is reset first. */
  readonly order: number;
}

function sorted(stalled: Stalled[]): Stalled[] {
  return stalled.sort((a, b) => b.order - a.order);
}

function causeOf({ token, bufferedBytes, heldBytes }: EngineConnection): Error {
  return new Deno.errors.ConnectionReset(
    `The connection of token "${token}" held ${bufferedBytes + heldBytes} ` +
      "bytes and has moved none for seconds",
  );
}
