/**
 * Actions in the order of their times; actions of one time in the order in
 * which they were added.
 *
 * @module
 */

interface Entry {
  readonly timeMs: number;
  readonly action: () => void;
}

/** Actions that wait for their times. */
export class Agenda {
  /** The earliest action is the last entry. */
  readonly #entries: Entry[] = [];

  /** When the next action is due; `Infinity` when there is none. */
  get nextMs(): number {
    return this.#entries.at(-1)?.timeMs ?? Infinity;
  }

  /** Adds an action. */
  add(timeMs: number, action: () => void): void {
    const entries = this.#entries;
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (entries[middle]!.timeMs > timeMs) low = middle + 1;
      else high = middle;
    }
    entries.splice(low, 0, { timeMs, action });
  }

  /** Removes and returns the next action, also before it is due. */
  take(): (() => void) | undefined {
    return this.#entries.pop()?.action;
  }
}
