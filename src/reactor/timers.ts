/**
 * Timers, one-shot and interval, in a binary heap keyed by deadline.
 *
 * The heap holds no clock: the reactor says what time it is, once a turn. It
 * must never give out a timer before its deadline.
 *
 * @module
 */

const NOT_QUEUED = -1;

/** The beat of an interval. */
export interface Beat {
  /** When it began. */
  readonly startMs: number;
  /** How far its deadlines are apart. */
  readonly periodMs: number;
}

/** What a timer asks of the heap that it is in. */
export interface TimerOwner {
  /** Counts a timer that no longer, or again, keeps the process alive. */
  countRef(delta: number): void;
}

/** A callback that waits for its deadline: made by a reactor. */
export class Timer {
  /** When it is due, in milliseconds on the reactor's clock. */
  deadlineMs: number;
  /** What runs then. */
  readonly callback: () => void;
  /** Told why, when the reactor closes before this has run. */
  onDrop: ((reason: Error) => void) | undefined = undefined;
  /** Its place in the heap. */
  index: number = NOT_QUEUED;
  /** How many timers were set before it: breaks ties between deadlines. */
  readonly sequence: number;
  /** When it runs again, for an interval. */
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

  /** Whether it waits to run: false once it has run or was cleared. */
  get isPending(): boolean {
    return this.index !== NOT_QUEUED;
  }

  /** Whether it keeps the process alive while it is pending. */
  get isRefed(): boolean {
    return this.#isRefed;
  }

  /** Lets the process end although this is pending, as `Deno.unrefTimer`. */
  unref(): void {
    if (!this.#isRefed) return;
    this.#isRefed = false;
    if (this.isPending) this.#owner.countRef(-1);
  }

  /** Keeps the process alive while this is pending, as `Deno.refTimer`. */
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
   * @param onRef Told how many more, or fewer, timers keep the process alive.
   */
  constructor(onRef?: (delta: number) => void) {
    this.#onRef = onRef;
  }

  /** How many timers wait. */
  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline, or infinity when no timer waits. */
  get nextDeadlineMs(): number {
    const first = this.#heap[0];
    return first === undefined ? Infinity : first.deadlineMs;
  }

  /** Adds a timer that is due at `deadlineMs`, and is not refed yet. */
  add(deadlineMs: number, callback: () => void): Timer {
    return this.#add(deadlineMs, callback, undefined);
  }

  /**
   * Adds a timer that is due at `startMs + periodMs`, and again each period
   * from there. It is not refed yet.
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

  /** Removes a timer; one that has run or been removed is left alone. */
  remove(timer: Timer): void {
    const { index } = timer;
    if (index === NOT_QUEUED || this.#heap[index] !== timer) return;
    const last = this.#heap.pop()!;
    timer.index = NOT_QUEUED;
    if (last !== timer) {
      this.#sink(index, last);
      this.#rise(last.index, last);
    }
    // Last, since it may run code that looks at the heap.
    if (timer.isRefed) this.countRef(-1);
  }

  /**
   * Takes the earliest timer when it is due at `nowMs`. Its callback is for
   * the caller to run. An interval goes on waiting, for the first of its
   * deadlines after `nowMs`: those that were missed are skipped.
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

  /** Passes on what a timer says of keeping the process alive. */
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

/** Whether `timer` runs before `other`: earlier due, or set before it. */
function isBefore(timer: Timer, other: Timer): boolean {
  return timer.deadlineMs < other.deadlineMs ||
    timer.deadlineMs === other.deadlineMs && timer.sequence < other.sequence;
}

/**
 * The first `startMs + n * periodMs` after `nowMs`: multiplied, not added up,
 * so that neither lateness nor rounding adds up either.
 */
function nextBeat({ startMs, periodMs }: Beat, nowMs: number): number {
  const n = Math.floor((nowMs - startMs) / periodMs) + 1;
  const deadlineMs = startMs + n * periodMs;
  // Where the division was rounded down to the deadline that is now.
  return deadlineMs > nowMs ? deadlineMs : startMs + (n + 1) * periodMs;
}

/** Where timers are set: a reactor. */
export interface Scheduler {
  /** Whether no timer runs any more. */
  readonly isClosed: boolean;
  /** Runs `callback` after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Removes a timer that has not run. */
  clearTimer(timer: Timer): void;
}
