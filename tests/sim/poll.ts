/**
 * A poll that returns events in any order, not all at once, in halves, and
 * sometimes false ones.
 *
 * @module
 */

import { type Events, Readiness } from "../../src/poll/events.ts";
import { Interest } from "../../src/poll/interest.ts";
import type { Token } from "../../src/poll/token.ts";
import {
  MemoryPoll,
  type MemoryRegistration,
  MemoryStream,
  type MemoryTime,
} from "../../src/system/memory.ts";
import { WAKER_TOKEN } from "../../src/system/system.ts";
import type { World } from "./world.ts";

/** Bits that every event may have, whatever the interest. */
const ALWAYS = Readiness.ERROR | Readiness.WRITE_CLOSED;
const READING = Readiness.READABLE | Readiness.READ_CLOSED;
/** Bits of kqueue's filter for reading. */
const READ_HALF = READING | Readiness.PRIORITY | Readiness.ERROR;
/** The longest wait of a poll, which keeps Deno's loop waiting. */
const WAIT_MS_MAX = 5;

/** A poll in a world. */
export class SimulatedPoll extends MemoryPoll {
  override readonly lacksPriority: boolean;
  readonly #world: World;

  /** @param time The system of the world. */
  constructor(world: World, time: MemoryTime) {
    super(time);
    this.#world = world;
    this.lacksPriority = world.faults.lacksPriority;
  }

  override poll(events: Events, timeoutMs: number): number {
    const world = this.#world;
    if (world.failure === undefined && !(timeoutMs <= WAIT_MS_MAX)) {
      world.fail(`a poll waits for ${timeoutMs} ms on Deno's thread`);
    }
    return super.poll(events, timeoutMs);
  }

  protected override fill(events: Events): void {
    const world = this.#world;
    const most = Math.min(events.capacity, world.faults.eventsMax);
    events.length = 0;
    if (this.isWoken) this.writeEvent(events, WAKER_TOKEN, Readiness.READABLE);
    this.isWoken = false;
    this.#mislead(events);
    const listed = this.listed.slice(0, this.count);
    this.count = 0;
    world.shuffle(listed);
    for (const one of listed) {
      if (events.length >= most) {
        this.listed[this.count++] = one;
        continue;
      }
      one.isListed = false;
      const bits = this.bitsOf(one);
      if (bits !== 0) this.#tellOf(events, one, bits);
    }
    this.#mix(events);
  }

  /** Shuffles the events: the halves of one need not follow each other. */
  #mix(events: Events): void {
    const pairs = [...events].map(({ token, readiness }) =>
      [token, readiness] as const
    );
    this.#world.shuffle(pairs);
    events.length = 0;
    for (const [token, bits] of pairs) this.writeEvent(events, token, bits);
  }

  #tellOf(events: Events, one: MemoryRegistration, bits: number): void {
    const { token, source } = one;
    const { faults } = this.#world;
    const isEnd = (bits & (ALWAYS | READING)) === READING;
    if (isEnd && this.#world.chance(faults.lateEnd)) {
      bits &= ~Readiness.READ_CLOSED;
      this.list(one);
    }
    this.#world.log(source.name, `event ${describe(bits)}`);
    // kqueue has two filters, and each of them reports an error.
    const writing = bits & ~(READING | Readiness.PRIORITY);
    const reading = bits & READ_HALF;
    const splits = faults.splitEvents && writing && bits & READING &&
      events.length + 1 < events.capacity;
    if (!splits) return this.writeEvent(events, token, bits);
    this.writeEvent(events, token, writing);
    this.writeEvent(events, token, reading);
  }

  /** Adds an event of a source that has not changed. */
  #mislead(events: Events): void {
    const world = this.#world;
    if (!world.chance(world.faults.spurious)) return;
    const registered = [...this.registered];
    if (registered.length === 0) return;
    const { source, token, interest } = world.pick(registered);
    // WRITABLE would mean that a connect is done.
    if (!(source instanceof MemoryStream) || source.isConnecting) return;
    const both = Interest.READABLE | Interest.WRITABLE;
    const bits = world.whole(1, both) & interest;
    if (bits === 0) return;
    world.log(source.name, `event ${describe(bits)}, for nothing`);
    this.writeEvent(events, token as Token, bits);
  }
}

function describe(bits: number): string {
  return Object.entries(Readiness)
    .filter(([, bit]) => bits & bit)
    .map(([name]) => name)
    .join(" | ");
}
