/**
 * A poll over simulated sockets: edge-triggered, as `epoll(7)` has it.
 *
 * A source is told of when its state has changed, or when it is registered and
 * ready; what is told is its state when the poll is asked. Events are told in
 * any order, not all at once, and sometimes for nothing. Misuse fails the run.
 *
 * @module
 */

import { errnoNumber, errorFrom } from "../../src/native/errors.ts";
import type { Backend } from "../../src/poll/poll.ts";
import { type Events, Readiness } from "../../src/poll/events.ts";
import { Interest, type InterestSet } from "../../src/poll/interest.ts";
import type { Source } from "../../src/poll/registry.ts";
import type { Token } from "../../src/poll/token.ts";
import { type ReactorPoll, WAKER_TOKEN } from "../../src/system/system.ts";
import type { World } from "./world.ts";

const CLOCK_WORDS = 2;
const EVENT_WORDS = 2;
/** What is told without being asked for. */
const ALWAYS = Readiness.ERROR | Readiness.WRITE_CLOSED;
const READING = Readiness.READABLE | Readiness.READ_CLOSED;
/** What a reading filter tells. */
const READ_HALF = READING | Readiness.PRIORITY | Readiness.ERROR;
/** How long the wait of a poll may be: Deno's loop waits meanwhile. */
const WAIT_MS_MAX = 5;
/** How far a broken world's clock jumps, so that the loop lets go. */
const LET_GO_MS = 50;

/** A socket as its poll sees it. */
export interface Pollable {
  /** The number by which it is registered. */
  readonly handle: number;
  /** What it is called in a trace. */
  readonly name: string;
  /** Its registration, which the poll keeps there. */
  registration: Registration | undefined;
  /** Something has broken it that the reactor is not to blame for. */
  isBroken: boolean;
  /** Whether a wrong event may be told of it. */
  readonly mayMislead: boolean;
  /** Returns the bits of `Readiness` that are so now. */
  readiness(): number;
}

/** One source's entry in a poll. */
export interface Registration {
  readonly source: Pollable;
  readonly poll: SimulatedPoll;
  token: Token;
  interest: InterestSet;
  isListed: boolean;
}

/** A wait of the reactor's that its driver is to end. */
export interface Wait {
  /** Whether it only lets Deno's loop have a round. */
  readonly isRound: boolean;
  /** When it ends by itself. */
  readonly deadlineMs: number;
  /** Ends it. */
  readonly end: () => void;
}

/** A poll of simulated sources. */
export class SimulatedPoll implements ReactorPoll {
  readonly backend: Backend = "epoll";
  readonly lacksPriority: boolean;
  /** What the reactor waits for, when it does. */
  wait: Wait | undefined;
  isClosed = false;
  readonly #world: World;
  readonly #sources: ReadonlyMap<number, Pollable>;
  readonly #registered = new Set<Registration>();
  /** Sources of which something has changed since they were told of. */
  #listed: Registration[] = [];
  #isWoken = false;

  /** @param sources What is open, by handle. */
  constructor(world: World, sources: ReadonlyMap<number, Pollable>) {
    this.#world = world;
    this.#sources = sources;
    this.lacksPriority = world.faults.lacksPriority;
  }

  /** How many sources are registered. */
  get size(): number {
    return this.#registered.size;
  }

  /** Whether a wait would end at once. */
  get isReady(): boolean {
    return this.#isWoken || this.#listed.some((one) => this.#bitsOf(one) !== 0);
  }

  /** In whole nanoseconds, as events have it: or a due timer would not be. */
  nowMs(): number {
    const [seconds, nanoseconds] = clockOf(this.#world.nowMs);
    return seconds * 1e3 + nanoseconds / 1e6;
  }

  poll(events: Events, timeoutMs: number): number {
    const world = this.#world;
    if (world.failure !== undefined) {
      // Nothing may be thrown into the loop, and it must stop.
      world.nowMs += LET_GO_MS;
    } else {
      this.#expectOpen("poll");
      if (!(timeoutMs >= 0 && timeoutMs <= WAIT_MS_MAX)) {
        world.fail(`a poll waits for ${timeoutMs} ms on Deno's thread`);
      }
      world.call();
      this.#await(timeoutMs);
      this.#fill(events);
    }
    [events.words[0], events.words[1]] = clockOf(world.nowMs);
    return events.length;
  }

  register({ handle }: Source, token: Token, interest: InterestSet): void {
    const source = this.#check(handle, "register");
    if (source.registration !== undefined) {
      this.#world.fail(`${source.name} is registered twice`);
    }
    if (source.mayMislead && this.#world.chance(this.#world.faults.noWatches)) {
      this.#world.log(source.name, "register: ENOSPC");
      source.isBroken = true;
      throw errorFrom(errnoNumber("ENOSPC"), "register");
    }
    const registration: Registration = {
      source,
      poll: this,
      token,
      interest,
      isListed: false,
    };
    source.registration = registration;
    this.#registered.add(registration);
    this.#list(registration);
  }

  reregister({ handle }: Source, token: Token, interest: InterestSet): void {
    const source = this.#check(handle, "reregister");
    const { registration } = source;
    if (registration === undefined) {
      return this.#world.fail(`${source.name} is reregistered, and never was`);
    }
    registration.token = token;
    registration.interest = interest;
    this.#list(registration);
  }

  /** Notes that a source's state has changed in some of the bits. */
  changed(registration: Registration, bits: number): void {
    if (bits & this.#maskOf(registration)) this.#list(registration);
  }

  /** Forgets a source that is closed. */
  forget(registration: Registration): void {
    this.#registered.delete(registration);
    const { isListed } = registration;
    if (isListed) {
      this.#listed = this.#listed.filter((one) => one !== registration);
    }
  }

  park(timeoutMs: number | undefined): Promise<void> {
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
      this.#world.fail(`parked for ${timeoutMs} ms`);
    }
    const deadlineMs = this.#world.nowMs + (timeoutMs ?? Infinity);
    return this.#begin(false, deadlineMs);
  }

  yieldToDeno(nowMs: number): Promise<void> {
    if (nowMs > this.#world.nowMs + 1e-3) {
      this.#world.fail(`it is not ${nowMs} yet`);
    }
    return this.#begin(true, this.#world.nowMs);
  }

  ref(): void {}

  rest(): void {}

  wake(): void {
    if (this.isClosed) return;
    this.#isWoken = true;
  }

  close(): void {
    this.#expectOpen("close the poll");
    if (this.wait !== undefined) {
      this.#world.fail("the poll is closed under a wait");
    }
    this.isClosed = true;
  }

  #begin(isRound: boolean, deadlineMs: number): Promise<void> {
    this.#expectOpen("wait");
    if (this.wait !== undefined) this.#world.fail("it waits twice at once");
    return new Promise((resolve) => {
      const end = () => {
        this.wait = undefined;
        resolve();
      };
      this.wait = { isRound, deadlineMs, end };
    });
  }

  #await(timeoutMs: number): void {
    const world = this.#world;
    const untilMs = world.nowMs + timeoutMs;
    while (!this.isReady && world.nowMs < untilMs) {
      world.advanceTo(Math.min(world.network.nextMs, untilMs));
    }
  }

  #fill(events: Events): void {
    const world = this.#world;
    const most = Math.min(events.capacity, world.faults.eventsMax);
    events.length = 0;
    if (this.#isWoken) this.#tell(events, WAKER_TOKEN, Readiness.READABLE);
    this.#isWoken = false;
    this.#mislead(events);
    const listed = this.#listed;
    this.#listed = [];
    world.shuffle(listed);
    for (const one of listed) {
      if (events.length >= most) {
        this.#listed.push(one);
        continue;
      }
      one.isListed = false;
      const bits = this.#bitsOf(one);
      if (bits !== 0) this.#tellOf(events, one, bits);
    }
    this.#mix(events);
  }

  /** Puts the events in any order: halves of one are not told in a row. */
  #mix(events: Events): void {
    const pairs = [...events].map(({ token, readiness }) =>
      [token, readiness] as const
    );
    this.#world.shuffle(pairs);
    events.length = 0;
    for (const [token, bits] of pairs) this.#tell(events, token, bits);
  }

  #tellOf(events: Events, one: Registration, bits: number): void {
    const { token, source } = one;
    const isEnd = (bits & (ALWAYS | READING)) === READING;
    if (isEnd && this.#world.chance(this.#world.faults.lateEnd)) {
      bits &= ~Readiness.READ_CLOSED;
      this.#list(one);
    }
    this.#world.log(source.name, `event ${describe(bits)}`);
    // As with kqueue's two filters, of which each tells of an error.
    const writing = bits & ~(READING | Readiness.PRIORITY);
    const reading = bits & READ_HALF;
    const splits = this.#world.faults.splitEvents && writing &&
      bits & READING &&
      events.length + 1 < events.capacity;
    if (!splits) return this.#tell(events, token, bits);
    this.#tell(events, token, writing);
    this.#tell(events, token, reading);
  }

  /** Tells of a source of which nothing is known to have changed. */
  #mislead(events: Events): void {
    const world = this.#world;
    if (!world.chance(world.faults.spurious)) return;
    const registered = [...this.#registered];
    if (registered.length === 0) return;
    const { source, token, interest } = world.pick(registered);
    if (!source.mayMislead) return;
    const both = Interest.READABLE | Interest.WRITABLE;
    const bits = world.whole(1, both) & interest;
    if (bits === 0) return;
    world.log(source.name, `event ${describe(bits)}, for nothing`);
    this.#tell(events, token, bits);
  }

  #tell(events: Events, token: Token, bits: number): void {
    const at = CLOCK_WORDS + EVENT_WORDS * events.length++;
    events.words[at] = token;
    events.words[at + 1] = bits;
  }

  #list(registration: Registration): void {
    if (registration.isListed || this.#bitsOf(registration) === 0) return;
    registration.isListed = true;
    this.#listed.push(registration);
  }

  #bitsOf(registration: Registration): number {
    return registration.source.readiness() & this.#maskOf(registration);
  }

  #maskOf({ interest }: Registration): number {
    const asked = this.lacksPriority ? interest & ~Interest.PRIORITY : interest;
    return ALWAYS | asked |
      (interest & Interest.READABLE ? Readiness.READ_CLOSED : 0);
  }

  #check(handle: number, call: string): Pollable {
    this.#expectOpen(call);
    this.#world.call();
    const source = this.#sources.get(handle);
    return source ??
      this.#world.fail(`cannot ${call} source ${handle}: it is closed`);
  }

  #expectOpen(call: string): void {
    if (this.isClosed) this.#world.fail(`cannot ${call}: the poll is closed`);
  }
}

/** Tells the poll of a source, if there is one, that its state has changed. */
export function changed({ registration }: Pollable, bits: number): void {
  registration?.poll.changed(registration, bits);
}

function describe(bits: number): string {
  return Object.entries(Readiness)
    .filter(([, bit]) => bits & bit)
    .map(([name]) => name)
    .join(" | ");
}

/** The words of a time, as native code writes them: seconds, nanoseconds. */
function clockOf(nowMs: number): [seconds: number, nanoseconds: number] {
  const nanoseconds = Math.round(nowMs * 1e6);
  return [Math.floor(nanoseconds / 1e9), nanoseconds % 1e9];
}
