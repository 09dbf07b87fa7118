/**
 * What the connections of a reactor hold in memory, and which of them are reset
 * when that is too much.
 *
 * A connection is reset only when its peer takes nothing: it is judged over
 * seconds, by what the peer's side has acknowledged. A peer that is merely
 * slower than others is never reset for memory.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import type { ArrayLedger } from "../bytes/byte_queue.ts";
import type { Connection } from "./connection.ts";
import type { Timer } from "./timers.ts";

/** The share of the bound at which listeners stop accepting. */
const CROWDED_SHARE = 0.75;
/** The share of the bound down to which connections are reset. */
const ENOUGH_SHARE = 0.75;
/**
 * The share of the bound that one array counts for at the most. The program
 * made the array before the reactor saw it: a single download of any size must
 * not keep others out.
 */
const ARRAY_SHARE = 0.25;
/** The multiple of the bound at which less patience is shown. */
const DANGER_SHARE = 2;
/** How often connections are judged while memory is short. */
const LOOK_MS = 250;
/**
 * How long a connection may hold memory without a byte that moves, when memory
 * is short: several times what TCP takes to send a lost segment again.
 */
const STALLED_MS = 3_000;
/** The same at {@linkcode DANGER_SHARE}: the process is about to die of it. */
const STALLED_IN_DANGER_MS = 250;
/** Connections that an error names one by one. */
const NAMED_MAX = 16;

/** What memory is counted for. */
export interface MemoryHost {
  /** The time, in milliseconds. */
  readonly nowMs: number;
  /** Whether somebody waits for memory: a listener, or a connection. */
  readonly isMemoryAwaited: boolean;
  /** Yields all connections. */
  connections(): Iterable<Connection>;
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
  #isLooking = false;
  #lookedMs = -Infinity;

  /** @param bytesMax The bound. */
  constructor(host: MemoryHost, bytesMax: number) {
    this.#host = host;
    this.#max = bytesMax;
  }

  /** Whether so much is held that nobody new is let in. */
  get isCrowded(): boolean {
    return this.bytes >= CROWDED_SHARE * this.#max;
  }

  /** Whether more is held than the bound. */
  get isOverfull(): boolean {
    return this.bytes > this.#max;
  }

  /** Whether so little is held that those who waited for memory go on. */
  get hasRoom(): boolean {
    return this.bytes <= ENOUGH_SHARE * this.#max;
  }

  /** Counts memory that is taken, or freed. */
  count(delta: number): void {
    this.bytes += delta;
    // Not 0: what users hold may be fractions, whose sum is rounded.
    assert(this.bytes > -1, "what is freed was counted");
    if (delta > 0 && !this.#isLooking && this.isCrowded) this.#lookLater();
  }

  /** An array waits to be sent, in one queue more. */
  hold({ buffer }: Uint8Array<ArrayBuffer>): void {
    const known = this.#arrays.get(buffer);
    if (known !== undefined) return void known.queues++;
    const bytes = Math.min(buffer.byteLength, ARRAY_SHARE * this.#max);
    this.#arrays.set(buffer, { queues: 1, bytes });
    this.count(bytes);
  }

  /** An array waits to be sent in one queue less. */
  release({ buffer }: Uint8Array<ArrayBuffer>): void {
    const known = this.#arrays.get(buffer);
    assert(known !== undefined, "an array that is released was held");
    if (--known.queues > 0) return;
    this.#arrays.delete(buffer);
    this.count(-known.bytes);
  }

  /** Resets those that have stalled, and returns whether that was enough. */
  makeRoom(): boolean {
    // Looking takes a look at all: not for each client that wants to get in.
    if (this.#host.nowMs - this.#lookedMs >= LOOK_MS) this.#shed();
    return !this.isCrowded;
  }

  #lookLater(): void {
    this.#isLooking = true;
    this.#host.setTimer(LOOK_MS, () => {
      this.#isLooking = false;
      if (!this.isCrowded) return;
      // First: an error of one connection must not end the looking.
      this.#lookLater();
      // Also when nobody is reset: from then on it is known who moves.
      this.#shed(this.isOverfull || this.#host.isMemoryAwaited);
    });
  }

  /**
   * Resets connections that hold memory and have moved nothing for too long,
   * those first that have not for longest, until enough is free.
   */
  #shed(isWanted: boolean = true): void {
    this.#lookedMs = this.#host.nowMs;
    const stalled = this.#stalled();
    if (!isWanted) return;
    const { nowMs } = this.#host;
    const causes: Error[] = [];
    let count = 0;
    for (const { connection, sinceMs } of stalled) {
      if (this.hasRoom) break;
      const cause = () => causeOf(connection, nowMs - sinceMs);
      if (count++ < NAMED_MAX) causes.push(cause());
      connection.evict("shed");
    }
    if (count === 0) return;
    const message = `Reset ${count} connections that had stalled: more than ` +
      `${CROWDED_SHARE * this.#max} of memoryBytesMax "${this.#max}" was held`;
    this.#host.report(new AggregateError(causes, message));
  }

  /** Returns the connections that have stalled, the longest first. */
  #stalled(): { connection: Connection; sinceMs: number }[] {
    const isDanger = this.bytes > DANGER_SHARE * this.#max;
    const patienceMs = isDanger ? STALLED_IN_DANGER_MS : STALLED_MS;
    const untilMs = this.#host.nowMs - patienceMs;
    const stalled: { connection: Connection; sinceMs: number }[] = [];
    for (const connection of this.#host.connections()) {
      const sinceMs = connection.stalledSinceMs();
      if (sinceMs <= untilMs) stalled.push({ connection, sinceMs });
    }
    return stalled.sort((a, b) => a.sinceMs - b.sinceMs);
  }
}

function causeOf(connection: Connection, stalledMs: number): Error {
  const { bufferedBytes, heldBytes } = connection;
  return new Deno.errors.ConnectionReset(
    `The connection of token "${connection.token}" held ` +
      `${bufferedBytes + heldBytes} bytes and moved none for ` +
      `${Math.round(stalledMs)} ms`,
  );
}
