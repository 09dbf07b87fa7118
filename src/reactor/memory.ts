/**
 * The memory that a reactor's connections hold, and which connections are reset
 * when that is too much.
 *
 * A connection is reset only when its peer takes nothing, judged over seconds by
 * what the peer's side has acknowledged. A peer that is merely slower than others
 * is never reset for memory.
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
 * The share of the bound that one array counts for at the most. The program made
 * the array, so a few large downloads must not keep other clients waiting.
 */
const ARRAY_SHARE = 1 / 16;
/** The multiple of the bound at which connections have less time. */
const DANGER_SHARE = 2;
/** How often connections are looked at while memory is short. */
const LOOK_MS = 250;
/** The share of that time within which a second look would not count. */
const LOOK_SHARE = 0.9;
/**
 * A connection has stalled when so many looks in a row have found that no byte
 * moved: ten seconds. When a peer reads slowly, Linux tells the sender of room in
 * steps of a sixteenth of the peer's buffer: at 32 MiB, the largest of common
 * systems, that is ten seconds at 200 KB/s. Looks are counted and not time, since
 * a program that blocks its thread is not its peers' fault.
 */
const STALLED_LOOKS = 40;
/** The same at {@linkcode DANGER_SHARE}: two seconds. */
const STALLED_LOOKS_IN_DANGER = 8;
/**
 * A connection that holds less than this for what its peer has sent is spared:
 * the program is the one to act, and there is little to free.
 */
const HELD_BYTES_MIN = 16_384;
/** How many connections an error names one by one. */
const NAMED_MAX = 16;

/** What counting memory needs of the reactor. */
export interface MemoryHost {
  /** The time, in milliseconds. */
  readonly nowMs: number;
  /** Whether a listener or a connection waits for memory. */
  readonly isMemoryAwaited: boolean;
  /** Yields all connections. */
  connections(): Iterable<EngineConnection>;
  /** Runs `callback` after `delayMs`, in a turn. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Tells the program of connections that were reset. */
  report(error: unknown): void;
}

/** Memory that connections hold. */
export class Memory implements ArrayLedger {
  /** How many bytes they hold. */
  bytes = 0;
  readonly #host: MemoryHost;
  readonly #max: number;
  /** Arrays that wait to be sent, each counted once. */
  readonly #arrays = new Map<ArrayBuffer, { queues: number; bytes: number }>();
  /** How many of the bytes are those of arrays. */
  #arrayBytes = 0;
  #isLooking = false;
  #lookedMs = -Infinity;

  /** @param bytesMax The bound. */
  constructor(host: MemoryHost, bytesMax: number) {
    this.#host = host;
    this.#max = bytesMax;
  }

  /**
   * Whether so much is held that no connection is accepted. Arrays do not count:
   * the program made them, and refusing clients frees none of them.
   */
  get isCrowded(): boolean {
    return this.bytes - this.#arrayBytes >= CROWDED_SHARE * this.#max;
  }

  /** Whether more is held than the bound. */
  get isOverfull(): boolean {
    return this.bytes > this.#max;
  }

  /** Whether so little is held that connections go on that waited for it. */
  get hasRoom(): boolean {
    return this.bytes <= ENOUGH_SHARE * this.#max;
  }

  /** Counts memory that is taken, or freed. */
  count(delta: number): void {
    this.bytes += delta;
    // Not 0: `heldBytes` may be fractions, whose sum is rounded.
    assert(this.bytes > -1, "what is freed was counted");
    if (delta > 0 && !this.#isLooking && this.#isShort) this.#lookLater();
  }

  get #isShort(): boolean {
    return this.bytes >= CROWDED_SHARE * this.#max;
  }

  /** An array waits to be sent, in one queue more. */
  hold({ buffer }: Uint8Array<ArrayBuffer>): void {
    const known = this.#arrays.get(buffer);
    if (known !== undefined) return void known.queues++;
    const bytes = Math.min(buffer.byteLength, ARRAY_SHARE * this.#max);
    this.#arrays.set(buffer, { queues: 1, bytes });
    this.#arrayBytes += bytes;
    this.count(bytes);
  }

  /** An array waits to be sent in one queue less. */
  release({ buffer }: Uint8Array<ArrayBuffer>): void {
    const known = this.#arrays.get(buffer);
    assert(known !== undefined, "an array that is released was held");
    if (--known.queues > 0) return;
    this.#arrays.delete(buffer);
    this.#arrayBytes -= known.bytes;
    this.count(-known.bytes);
  }

  /** Resets connections that have stalled; returns whether that was enough. */
  makeRoom(): boolean {
    // A look visits all connections: too much for each client that connects.
    if (!this.#hasLooked) this.#shed();
    return !this.isCrowded;
  }

  #lookLater(): void {
    this.#isLooking = true;
    this.#host.setTimer(LOOK_MS, () => {
      this.#isLooking = false;
      if (!this.#isShort) return;
      // First, since an error of one connection must not end the looks.
      this.#lookLater();
      // Also when none is to be reset: the next look tells what has moved.
      const isWanted = this.isOverfull || this.#host.isMemoryAwaited;
      if (!this.#hasLooked) this.#shed(isWanted);
    });
  }

  /** Whether the last look was just now: two at once would count as two. */
  get #hasLooked(): boolean {
    return this.#host.nowMs - this.#lookedMs < LOOK_SHARE * LOOK_MS;
  }

  /**
   * Resets connections that have stalled until enough is free. First come those
   * whose peers take nothing, the longest stalled before the others. Beyond the
   * bound, those follow whose held memory has not changed, the largest first.
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
  /** The connection with the largest is reset first. */
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
