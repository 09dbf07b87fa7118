/**
 * The reusable batch that a poll fills.
 *
 * @module
 */

import { CLOCK_WORDS, EVENT_WORDS, EVENTS_MAX } from "../native/symbols.ts";
import type { Token } from "./token.ts";

/** What an event tells: the bits of its readiness. All are hints. */
export const Readiness = {
  /** There is something to read, or to accept. */
  READABLE: 1,
  /** There is room to write. */
  WRITABLE: 2,
  /** Urgent data has come. */
  PRIORITY: 4,
  /** The source has an error; `takeError` tells which. */
  ERROR: 8,
  /** The peer will send no more; what it sent can still be read. */
  READ_CLOSED: 16,
  /** Nothing more can be written. */
  WRITE_CLOSED: 32,
} as const;

/** One readiness of one source, copied out of its batch. */
export interface Event {
  /** The token under which the source is registered. */
  readonly token: Token;
  /** The bits of {@linkcode Readiness}. */
  readonly readiness: number;
}

/** The capacity when none is given: what the reactor uses. */
const CAPACITY_DEFAULT = 256;

/**
 * A batch of events, filled by {@linkcode Poll.poll} and used again for the
 * next: reading it by index allocates nothing.
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
   * @param capacity Events that one poll may return, from 1 to 1024; what is
   * ready beyond that comes with the next poll.
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

  /** Whether the last poll returned nothing. */
  get isEmpty(): boolean {
    return this.length === 0;
  }

  /**
   * When the last wait ended: milliseconds of a clock that never goes back,
   * with fractions, from a start of the system's choosing.
   */
  get nowMs(): number {
    return this.words[0]! * 1e3 + this.words[1]! / 1e6;
  }

  /** Returns the token of event `index`, which must be below `length`. */
  token(index: number): Token {
    return this.words[CLOCK_WORDS + EVENT_WORDS * index]!;
  }

  /** Returns the readiness bits of event `index`, which must be below `length`. */
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
