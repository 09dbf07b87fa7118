/**
 * A poll over sockets in memory: edge-triggered, like `epoll(7)`.
 *
 * A source gets an event after it changes, or when it is registered while
 * ready. The event has the source's state at the time of the poll.
 *
 * @module
 */

import { CLOCK_WORDS, EVENT_WORDS } from "../native/symbols.ts";
import { type Events, Readiness } from "../poll/events.ts";
import { Interest, type InterestSet } from "../poll/interest.ts";
import type { Backend } from "../poll/poll.ts";
import type { Source } from "../poll/registry.ts";
import type { Token } from "../poll/token.ts";
import type {
  MemoryCall,
  MemoryPolicy,
  MemoryRegistration,
  MemorySource,
  MemoryWatch,
} from "./memory_sockets.ts";
import { type ReactorPoll, WAKER_TOKEN } from "./system.ts";

/** Bits that every event may have, for any interest. */
const ALWAYS = Readiness.ERROR | Readiness.WRITE_CLOSED;
const NS_PER_MS = 1e6;
const NS_PER_SECOND = 1e9;

/** A wait of the reactor outside of {@linkcode MemoryPoll.poll}. */
export interface MemoryWait {
  /** Whether the wait only gives Deno's loop a round. */
  readonly isRound: boolean;
  /** When the wait ends by itself, in milliseconds; infinity for never. */
  readonly deadlineMs: number;
  /** Ends the wait. */
  readonly end: () => void;
}

/** A poll's clock, which also ends the poll's waits. */
export interface MemoryTime {
  /** Decides the results of calls. */
  readonly policy: MemoryPolicy;
  /** The open sockets, by handle. */
  readonly sources: ReadonlyMap<number, MemorySource>;
  /** Returns the time, in milliseconds. */
  nowMs(): number;
  /** Called when the poll blocks, for `timeoutMs` or until it is ready. */
  block(poll: MemoryPoll, timeoutMs: number): void;
  /** Called when the reactor waits: see {@linkcode MemoryPoll.wait}. */
  waits(poll: MemoryPoll): void;
  /** Called when a source changed, or the poll was woken or closed. */
  changed(poll: MemoryPoll): void;
  /** Throws an error about a wrong call of the reactor's. */
  misuse(message: string): never;
}

/** A poll of sources in memory. */
export class MemoryPoll implements ReactorPoll, MemoryWatch {
  /** The backend as which the poll behaves. */
  readonly backend: Backend = "epoll";
  /** Whether the poll ignores `PRIORITY` interest. */
  readonly lacksPriority: boolean = false;
  /** The reactor's wait; `undefined` while it does not wait. */
  wait: MemoryWait | undefined;
  /** Whether the poll is closed. */
  isClosed = false;
  /** Whether {@linkcode MemoryPoll.wake} was called since the last poll. */
  isWoken = false;
  /** All registrations. */
  readonly registered: Set<MemoryRegistration> = new Set();
  /** Its first `count` entries have changed since their last event. */
  protected listed: MemoryRegistration[] = [];
  /** The number of valid entries in `listed`. */
  protected count = 0;
  readonly #time: MemoryTime;

  /**
   * Opens a poll.
   *
   * @param time The poll's clock.
   */
  constructor(time: MemoryTime) {
    this.#time = time;
  }

  /** The number of registered sources. */
  get size(): number {
    return this.registered.size;
  }

  /** Whether a wait would end at once. */
  get isReady(): boolean {
    if (this.isWoken) return true;
    for (let index = 0; index < this.count; index++) {
      if (this.bitsOf(this.listed[index]!) !== 0) return true;
    }
    return false;
  }

  /**
   * Rounded to nanoseconds, as in events; a due timer would be late otherwise.
   */
  nowMs(): number {
    const nanoseconds = Math.round(this.#time.nowMs() * NS_PER_MS);
    return secondsOf(nanoseconds) * 1e3 + restOf(nanoseconds) / NS_PER_MS;
  }

  /** Waits and fills `events`. */
  poll(events: Events, timeoutMs: number): number {
    const time = this.#time;
    this.#enter("poll.poll", undefined, timeoutMs);
    time.block(this, timeoutMs);
    this.fill(events);
    time.policy.events?.(events);
    const nanoseconds = Math.round(time.nowMs() * NS_PER_MS);
    events.words[0] = secondsOf(nanoseconds);
    events.words[1] = restOf(nanoseconds);
    return events.length;
  }

  /** Registers a source. */
  register({ handle }: Source, token: Token, interest: InterestSet): void {
    const source = this.#find("poll.register", handle);
    if (source.registration !== undefined) {
      this.#time.misuse(`${source.name} is registered twice`);
    }
    const registration: MemoryRegistration = {
      source,
      poll: this,
      token,
      interest,
      isListed: false,
    };
    source.registration = registration;
    this.registered.add(registration);
    this.list(registration);
  }

  /** Replaces a registration. */
  reregister({ handle }: Source, token: Token, interest: InterestSet): void {
    const source = this.#find("poll.reregister", handle);
    const { registration } = source;
    if (registration === undefined) {
      return this.#time.misuse(`${source.name} is not registered`);
    }
    registration.token = token;
    registration.interest = interest;
    this.list(registration);
  }

  /** Lists a source after some of its `Readiness` bits changed. */
  changed(registration: MemoryRegistration, bits: number): void {
    if (bits & this.#maskOf(registration)) this.list(registration);
  }

  /** Removes a closed source. */
  forget(registration: MemoryRegistration): void {
    this.registered.delete(registration);
    registration.source.registration = undefined;
    if (!registration.isListed) return;
    registration.isListed = false;
    this.listed.splice(this.listed.indexOf(registration), 1);
    this.count--;
  }

  /** Waits until a source is ready. */
  park(
    timeoutMs: number | undefined,
    _refed?: boolean,
    woken?: () => void,
  ): Promise<void> {
    this.#enter("poll.park", undefined, timeoutMs);
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
      this.#time.misuse(`parked for ${timeoutMs} ms`);
    }
    const deadlineMs = this.#time.nowMs() + (timeoutMs ?? Infinity);
    return this.#begin(false, deadlineMs, woken);
  }

  /** Waits for a round of Deno's loop. */
  yieldToDeno(nowMs: number): Promise<void> {
    this.#enter("poll.yieldToDeno");
    if (nowMs > this.#time.nowMs() + 1e-3) {
      this.#time.misuse(`the time ${nowMs} is in the future`);
    }
    return this.#begin(true, this.#time.nowMs());
  }

  /** Does nothing: no wait keeps the process alive. */
  ref(): void {
    this.#time.policy.call?.("poll.ref", undefined, undefined);
  }

  /** Does nothing: no wait keeps the process alive. */
  rest(): void {
    this.#time.policy.call?.("poll.rest", undefined, undefined);
  }

  /** Ends the reactor's wait. */
  wake(): void {
    if (this.isClosed) return;
    this.#time.policy.call?.("poll.wake", undefined, undefined);
    this.isWoken = true;
    this.#time.changed(this);
  }

  /** Closes the poll; no wait may be pending. */
  close(): void {
    this.#enter("poll.close");
    if (this.wait !== undefined) {
      this.#time.misuse("the poll is closed during a wait");
    }
    this.isClosed = true;
    this.#time.changed(this);
  }

  /** Fills `events` from the listed sources. */
  protected fill(events: Events): void {
    events.length = 0;
    if (this.isWoken) this.writeEvent(events, WAKER_TOKEN, Readiness.READABLE);
    this.isWoken = false;
    let left = 0;
    for (let index = 0; index < this.count; index++) {
      const one = this.listed[index]!;
      if (events.length === events.capacity) {
        this.listed[left++] = one;
        continue;
      }
      one.isListed = false;
      const bits = this.bitsOf(one);
      if (bits !== 0) this.writeEvent(events, one.token, bits);
    }
    this.count = left;
  }

  /** Writes one event. */
  protected writeEvent(events: Events, token: Token, bits: number): void {
    const at = CLOCK_WORDS + EVENT_WORDS * events.length++;
    events.words[at] = token;
    events.words[at + 1] = bits;
  }

  /** Lists a ready source, so that the next poll looks at it. */
  protected list(registration: MemoryRegistration): void {
    if (registration.isListed || this.bitsOf(registration) === 0) return;
    registration.isListed = true;
    this.listed[this.count++] = registration;
    this.#time.changed(this);
  }

  /** Returns the bits that an event of a source would have now. */
  protected bitsOf(registration: MemoryRegistration): number {
    return registration.source.readiness() & this.#maskOf(registration);
  }

  #begin(
    isRound: boolean,
    deadlineMs: number,
    woken?: () => void,
  ): Promise<void> {
    if (this.wait !== undefined) this.#time.misuse("two waits at once");
    return new Promise((resolve) => {
      const end = () => {
        this.wait = undefined;
        const isAtOnce = woken !== undefined && !this.isWoken &&
          this.#time.policy.wakesAtOnce?.();
        if (isAtOnce) woken();
        resolve();
      };
      this.wait = { isRound, deadlineMs, end };
      this.#time.waits(this);
    });
  }

  #maskOf({ interest }: MemoryRegistration): number {
    const asked = this.lacksPriority ? interest & ~Interest.PRIORITY : interest;
    return ALWAYS | asked |
      (interest & Interest.READABLE ? Readiness.READ_CLOSED : 0);
  }

  #find(call: MemoryCall, handle: number): MemorySource {
    const source = this.#time.sources.get(handle);
    this.#enter(call, source);
    return source ??
      this.#time.misuse(`${call}: source ${handle} is closed`);
  }

  #enter(call: MemoryCall, source?: MemorySource, amount?: number): void {
    if (this.isClosed) this.#time.misuse(`${call}: the poll is closed`);
    this.#time.policy.call?.(call, source, amount);
  }
}

function secondsOf(nanoseconds: number): number {
  return Math.floor(nanoseconds / NS_PER_SECOND);
}

function restOf(nanoseconds: number): number {
  return nanoseconds % NS_PER_SECOND;
}
