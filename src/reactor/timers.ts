/**
 * One-shot timers in a binary heap, keyed by deadline.
 *
 * The heap holds no clock: the reactor says what time it is, once a turn.
 *
 * @module
 */

const NOT_QUEUED = -1;

/** A callback that waits for its deadline. */
export class Timer {
  /** When it is due, on the reactor's clock. */
  readonly deadlineMs: number;
  /** What runs then. */
  readonly callback: () => void;
  /** Its place in the heap. */
  index: number = NOT_QUEUED;

  /** Made by {@linkcode Timers.add}. */
  constructor(deadlineMs: number, callback: () => void) {
    this.deadlineMs = deadlineMs;
    this.callback = callback;
  }
}

/** The timers of one reactor. */
export class Timers {
  readonly #heap: Timer[] = [];

  /** How many timers wait. */
  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline, or infinity when no timer waits. */
  get nextDeadlineMs(): number {
    return this.#heap[0]?.deadlineMs ?? Infinity;
  }

  /** Adds a timer that is due at `deadlineMs`. */
  add(deadlineMs: number, callback: () => void): Timer {
    const timer = new Timer(deadlineMs, callback);
    this.#heap.push(timer);
    this.#rise(this.#heap.length - 1, timer);
    return timer;
  }

  /** Removes a timer; one that has run or been removed is left alone. */
  remove(timer: Timer): void {
    const { index } = timer;
    if (index === NOT_QUEUED || this.#heap[index] !== timer) return;
    const last = this.#heap.pop()!;
    timer.index = NOT_QUEUED;
    if (last === timer) return;
    this.#sink(index, last);
    this.#rise(last.index, last);
  }

  /**
   * Takes the earliest timer when it is due at `nowMs`. Its callback is for
   * the caller to run.
   */
  takeDue(nowMs: number): Timer | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.deadlineMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  #rise(index: number, timer: Timer): void {
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#heap[parentIndex]!;
      if (parent.deadlineMs <= timer.deadlineMs) break;
      this.#place(index, parent);
      index = parentIndex;
    }
    this.#place(index, timer);
  }

  #sink(index: number, timer: Timer): void {
    const { length } = this.#heap;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= length) break;
      const right = this.#heap[childIndex + 1];
      if (right && right.deadlineMs < this.#heap[childIndex]!.deadlineMs) {
        childIndex++;
      }
      const child = this.#heap[childIndex]!;
      if (timer.deadlineMs <= child.deadlineMs) break;
      this.#place(index, child);
      index = childIndex;
    }
    this.#place(index, timer);
  }

  #place(index: number, timer: Timer): void {
    this.#heap[index] = timer;
    timer.index = index;
  }
}
