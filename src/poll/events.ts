/**
 * The reusable batch that a poll fills.
 *
 * @module
 */

import { CLOCK_WORDS, EVENT_WORDS, EVENTS_MAX } from "../native/symbols.ts";
import type { Token } from "./token.ts";

/** The bits of an event's readiness. All of them are hints. */
export const Readiness = {
  /** There are bytes to read, or a connection to accept. */
  READABLE: 1,
  /** There is room to write. */
  WRITABLE: 2,
  /** Urgent data waits. */
  PRIORITY: 4,
  /** The source has an error; `takeError` returns it. */
  ERROR: 8,
  /** The peer sends no more; the bytes that it sent can still be read. */
  READ_CLOSED: 16,
  /** No more bytes can be written. */
  WRITE_CLOSED: 32,
} as const;

/** One readiness of one source, copied out of its batch. */
export interface Event {
  /** The token under which the source is registered. */
  readonly token: Token;
  /** The bits of {@linkcode Readiness}. */
  readonly readiness: number;
}

/** The capacity when none is given; the reactor uses it, too. */
const CAPACITY_DEFAULT = 256;

/**
 * A batch of events. {@linkcode Poll.poll} fills it, and the next call may fill
 * it again. Reading it by index allocates nothing.
 */
export class Events {
  /** The words that native code writes: the clock, then the events. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** How many events one poll may return. */
  readonly capacity: number;
  /** How many events the last poll returned. */
  length = 0;

  /**
   * Makes an empty batch.
   *
   * @param capacity The most events that one poll returns, from 1 to 1024; the
   * next poll returns the rest.
   * @throws {RangeError} when it is out of range.
   */
  constructor(capacity: number = CAPACITY_DEFAULT) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > EVENTS_MAX) {
      throw new RangeError(
        `Cannot hold "${capacity}" events: it must be from 1 to ${EVENTS_MAX}`,
      );
    }
    this.capacity = capacity;
    this.words = new Uint32Array(CLOCK_WORDS + EVENT_WORDS * capacity);
  }

  /** Whether the last poll returned no events. */
  get isEmpty(): boolean {
    return this.length === 0;
  }

  /**
   * When the last wait ended, in milliseconds with fractions, on a clock that
   * never goes back. The system chooses when that clock begins.
   */
  get nowMs(): number {
    return this.words[0]! * 1e3 + this.words[1]! / 1e6;
  }

  /** Returns the token of event `index`, which must be below `length`. */
  token(index: number): Token {
    return this.words[CLOCK_WORDS + EVENT_WORDS * index]!;
  }

  /**
   * Returns the readiness bits of event `index`, which must be below `length`.
   */
  readiness(index: number): number {
    return this.words[CLOCK_WORDS + EVENT_WORDS * index + 1]!;
  }

  /** Forgets the last batch. */
  clear(): void {
    this.length = 0;
  }

  /** Yields each event of the last batch as an object of its own. */
  *[Symbol.iterator](): IterableIterator<Event> {
    for (let index = 0; index < this.length; index++) {
      yield { token: this.token(index), readiness: this.readiness(index) };
    }
  }
}
