/**
 * A time for each slot of a reactor, in pages: growing copies nothing, and a
 * page without a time takes no memory.
 *
 * @module
 */

const PAGE_BITS = 12;
const PAGE_SLOTS = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_SLOTS - 1;

/** Times as words of 32 bits; 0 means none. */
export class Times {
  readonly #pages: (Uint32Array<ArrayBuffer> | undefined)[] = [];

  /** How many slots have a page; the times of later slots are 0. */
  get length(): number {
    return this.#pages.length * PAGE_SLOTS;
  }

  /** Returns the time of a slot. */
  at(slot: number): number {
    const page = this.#pages[slot >> PAGE_BITS];
    return page === undefined ? 0 : page[slot & PAGE_MASK]!;
  }

  /** Sets the time of a slot. */
  set(slot: number, time: number): void {
    const number = slot >> PAGE_BITS;
    let page = this.#pages[number];
    if (page === undefined) {
      if (time === 0) return;
      // No holes: V8 is slower with an array that has holes.
      while (this.#pages.length < number) this.#pages.push(undefined);
      this.#pages[number] = page = new Uint32Array(PAGE_SLOTS);
    }
    page[slot & PAGE_MASK] = time;
  }
}
