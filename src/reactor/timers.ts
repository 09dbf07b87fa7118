/**
 * Timers, one-shot and interval, in a binary heap keyed by deadline.
 *
 * The heap has no clock: the reactor passes the time, once a turn. The heap
 * must never return a timer before its deadline.
 *
 * @module
 */

const NOT_QUEUED = -1;

/** The deadlines of an interval. */
export interface Beat {
  /** When the interval began. */
  readonly startMs: number;
  /** The time between two deadlines. */
  readonly periodMs: number;
}

/** What a timer needs from its heap. */
export interface TimerOwner {
  /** Changes the count of timers that keep the process alive. */
  countRef(delta: number): void;
}

/** A callback that waits for its deadline: made by a reactor. */
export class Timer {
  /** When the timer is due, in milliseconds on the reactor's clock. */
  deadlineMs: number;
  /** Runs at the deadline. */
  readonly callback: () => void;
  /** Called when the reactor closes before the timer has run. */
  onDrop: ((reason: Error) => void) | undefined = undefined;
  /** The place in the heap. */
  index: number = NOT_QUEUED;
  /** How many timers were set before: orders timers of one deadline. */
  readonly sequence: number;
  /** The deadlines of an interval; `undefined` for a timer that runs once. */
  readonly beat: Beat | undefined;
  readonly #owner: TimerOwner;
  #isRefed = false;

  /** Made by {@linkcode Timers}. */
  constructor(
    owner: TimerOwner,
    deadlineMs: number,
    { callback, sequence, beat }: {
      callback: () => void;
      sequence: number;
      beat: Beat | undefined;
    },
  ) {
    this.#owner = owner;
    this.deadlineMs = deadlineMs;
    this.callback = callback;
    this.sequence = sequence;
    this.beat = beat;
  }

  /** Whether the timer waits to run: false after its run or `clearTimer`. */
  get isPending(): boolean {
    return this.index !== NOT_QUEUED;
  }

  /** Whether the timer keeps the process alive while it is pending. */
  get isRefed(): boolean {
    return this.#isRefed;
  }

  /** Lets the process end although the timer is pending: `Deno.unrefTimer`. */
  unref(): void {
    if (!this.#isRefed) return;
    this.#isRefed = false;
    if (this.isPending) this.#owner.countRef(-1);
  }

  /** Keeps the process alive while the timer is pending: `Deno.refTimer`. */
  ref(): void {
    if (this.#isRefed) return;
    this.#isRefed = true;
    if (this.isPending) this.#owner.countRef(1);
  }
}

/** The timers of one reactor. */
export class Timers implements TimerOwner {
  readonly #heap: Timer[] = [];
  readonly #onRef: ((delta: number) => void) | undefined;
  #sequence = 0;

  /**
   * @param onRef Called with the change of the number of timers that keep the
   * process alive.
   */
  constructor(onRef?: (delta: number) => void) {
    this.#onRef = onRef;
  }

  /** How many timers wait. */
  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline; `Infinity` when no timer waits. */
  get nextDeadlineMs(): number {
    const first = this.#heap[0];
    return first === undefined ? Infinity : first.deadlineMs;
  }

  /** Adds a timer for `deadlineMs`, which does not keep the process alive. */
  add(deadlineMs: number, callback: () => void): Timer {
    return this.#add(deadlineMs, callback, undefined);
  }

  /**
   * Adds a timer for `startMs + periodMs`, and for each period after that. The
   * timer does not keep the process alive.
   */
  addInterval(startMs: number, periodMs: number, callback: () => void): Timer {
    return this.#add(startMs + periodMs, callback, { startMs, periodMs });
  }

  /** Removes all timers, and returns them. */
  takeAll(): Timer[] {
    const all = [...this.#heap];
    for (const timer of all) this.remove(timer);
    return all;
  }

  /** Removes a timer; does nothing when it is not in the heap. */
  remove(timer: Timer): void {
    const { index } = timer;
    if (index === NOT_QUEUED || this.#heap[index] !== timer) return;
    const last = this.#heap.pop()!;
    timer.index = NOT_QUEUED;
    if (last !== timer) {
      this.#sink(index, last);
      this.#rise(last.index, last);
    }
    // Last: this may run code that looks at the heap.
    if (timer.isRefed) this.countRef(-1);
  }

  /**
   * Takes the earliest timer when it is due at `nowMs`; the caller runs the
   * callback. An interval stays in the heap, for its first deadline after
   * `nowMs`: missed deadlines are skipped.
   */
  takeDue(nowMs: number): Timer | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.deadlineMs > nowMs) return undefined;
    if (first.beat === undefined) this.remove(first);
    else {
      first.deadlineMs = nextBeat(first.beat, nowMs);
      this.#sink(0, first);
    }
    return first;
  }

  /** Passes the change on to `onRef`. */
  countRef(delta: number): void {
    this.#onRef?.(delta);
  }

  #add(
    deadlineMs: number,
    callback: () => void,
    beat: Beat | undefined,
  ): Timer {
    const sequence = this.#sequence++;
    const timer = new Timer(this, deadlineMs, { callback, sequence, beat });
    this.#rise(this.#heap.length, timer);
    return timer;
  }

  #rise(index: number, timer: Timer): void {
    const heap = this.#heap;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex]!;
      if (!isBefore(timer, parent)) break;
      heap[index] = parent;
      parent.index = index;
      index = parentIndex;
    }
    heap[index] = timer;
    timer.index = index;
  }

  #sink(index: number, timer: Timer): void {
    const heap = this.#heap;
    const { length } = heap;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= length) break;
      let child = heap[childIndex]!;
      if (childIndex + 1 < length) {
        const right = heap[childIndex + 1]!;
        if (isBefore(right, child)) {
          child = right;
          childIndex++;
        }
      }
      if (!isBefore(child, timer)) break;
      heap[index] = child;
      child.index = index;
      index = childIndex;
    }
    heap[index] = timer;
    timer.index = index;
  }
}

/**
 * Whether `timer` runs before `other`: it is due earlier, or was set earlier.
 */
function isBefore(timer: Timer, other: Timer): boolean {
  return timer.deadlineMs < other.deadlineMs ||
    timer.deadlineMs === other.deadlineMs && timer.sequence < other.sequence;
}

/**
 * Returns the first `startMs + n * periodMs` after `nowMs`. A product, not a
 * sum of periods: so lateness and rounding do not add up.
 */
function nextBeat({ startMs, periodMs }: Beat, nowMs: number): number {
  const n = Math.floor((nowMs - startMs) / periodMs) + 1;
  const deadlineMs = startMs + n * periodMs;
  // The division may have been rounded down to the present deadline.
  return deadlineMs > nowMs ? deadlineMs : startMs + (n + 1) * periodMs;
}

/** An object that runs timers: a reactor. */
export interface Scheduler {
  /** Whether it is closed: no timer runs any more. */
  readonly isClosed: boolean;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer that has not run. */
  clearTimer(timer: Timer): void;
}
