/**
 * The table from tokens to the sources of a reactor.
 *
 * A token is a slot and a generation in 31 bits, which V8 keeps as a small
 * integer. A closed slot is free only after the turn: an event for it that is
 * still in the batch finds nothing, never the slot's next source.
 *
 * @module
 */

import { assert } from "../base/assert.ts";

const SLOT_BITS = 20;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const GENERATION_MAX = (1 << (31 - SLOT_BITS)) - 1;

/** Returns the slot of a token: a small number, reused when it is free. */
export function slotOf(token: number): number {
  return token & SLOT_MASK;
}

/** What a turn calls. */
export interface Queued {
  /** Acts on the bits of `Readiness`. */
  onReady(readiness: number): void;
  /** Ends the source because its `onReady` threw `error`. */
  fail(error: unknown): void;
}

/** A source in the table: it is called when it is ready. */
export interface Ready extends Queued {
  /** Its token, which the table sets. */
  token: number;
}

/** The sources of one reactor, by their tokens. */
export class Slots {
  /** The source in each slot; in a free slot, its next generation. */
  readonly #entries: (Ready | number)[] = [];
  readonly #free: number[] = [];
  readonly #closed: number[] = [];

  /** How many tokens are in use. */
  size = 0;

  /**
   * Gives `entry` a token.
   *
   * @throws {RangeError} when a million tokens are in use.
   */
  insert(entry: Ready): void {
    const slot = this.#free.pop() ?? this.#entries.length;
    if (slot > SLOT_MASK) {
      throw new RangeError(
        `Cannot register more than ${SLOT_MASK + 1} sources`,
      );
    }
    const left = this.#entries[slot];
    const generation = typeof left === "number" ? left : 0;
    this.#entries[slot] = entry;
    this.size++;
    entry.token = generation << SLOT_BITS | slot;
  }

  /** Returns the source of a token; `undefined` when the token is stale. */
  get(token: number): Ready | undefined {
    const entry = this.#entries[token & SLOT_MASK];
    const isThere = typeof entry === "object" && entry.token === token;
    return isThere ? entry : undefined;
  }

  /** Returns the source in a slot. */
  at(slot: number): Ready | undefined {
    const entry = this.#entries[slot];
    return typeof entry === "object" ? entry : undefined;
  }

  /** Ends a token. Its slot is free after {@linkcode Slots.recycle}. */
  remove(token: number): void {
    if (this.get(token) === undefined) return;
    const slot = token & SLOT_MASK;
    const generation = token >>> SLOT_BITS;
    this.#entries[slot] = (generation + 1) & GENERATION_MAX;
    this.#closed.push(slot);
    this.size--;
    assert(this.size >= 0, "a slot is freed once");
  }

  /** Frees the slots that were closed in this turn. */
  recycle(): void {
    while (this.#closed.length > 0) this.#free.push(this.#closed.pop()!);
  }

  /** Yields each source once; sources may be removed meanwhile. */
  *[Symbol.iterator](): IterableIterator<Ready> {
    // Without the iterator of arrays, which a program may have broken.
    for (let slot = 0; slot < this.#entries.length; slot++) {
      const entry = this.#entries[slot];
      if (typeof entry === "object") yield entry;
    }
  }
}
