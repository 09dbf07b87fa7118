/**
 * What is to happen, by time, and in the order it was asked for at one time.
 *
 * @module
 */

interface Entry {
  readonly timeMs: number;
  readonly action: () => void;
}

/** Actions that wait for their time. */
export class Agenda {
  /** The earliest is the last. */
  readonly #entries: Entry[] = [];

  /** When the next is due; infinity when there is none. */
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

  /** Takes the next action, whenever it is due. */
  take(): (() => void) | undefined {
    return this.#entries.pop()?.action;
  }
}
