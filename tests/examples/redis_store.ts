/**
 * The store of a small Redis: strings with a time to live.
 *
 * @module
 */

/** How many keys one round of expiry looks at, as Redis does. */
const SAMPLE = 20;

interface Entry {
  value: Uint8Array<ArrayBuffer>;
  /** When it expires, on the clock of `Date.now()`; infinity for never. */
  expiresMs: number;
}

/** Strings by key; a key is its bytes as Latin-1. */
export class Store {
  readonly #entries = new Map<string, Entry>();
  /** Keys that expire: `sweep` looks at some of them. */
  readonly #mortal = new Set<string>();

  /** How many keys there are, with expired keys that were not found yet. */
  get size(): number {
    return this.#entries.size;
  }

  /** Returns the value of a key. */
  get(key: string): Uint8Array<ArrayBuffer> | undefined {
    return this.#find(key)?.value;
  }

  /** Sets a value, and its time to live, which is without end when left out. */
  set(
    key: string,
    value: Uint8Array<ArrayBuffer>,
    expiresMs: number = Infinity,
  ): void {
    this.#entries.set(key, { value, expiresMs });
    if (expiresMs === Infinity) this.#mortal.delete(key);
    else this.#mortal.add(key);
  }

  /** Replaces a value, and keeps its time to live. */
  replace(key: string, value: Uint8Array<ArrayBuffer>): void {
    this.set(key, value, this.expiresMs(key) ?? Infinity);
  }

  /** Returns when a key expires; `undefined` when there is no such key. */
  expiresMs(key: string): number | undefined {
    return this.#find(key)?.expiresMs;
  }

  /** Sets when a key expires; returns whether there is such a key. */
  expire(key: string, expiresMs: number): boolean {
    const entry = this.#find(key);
    if (entry === undefined) return false;
    this.set(key, entry.value, expiresMs);
    return true;
  }

  /** Removes a key; returns whether there was such a key. */
  delete(key: string): boolean {
    const isThere = this.#find(key) !== undefined;
    this.#forget(key);
    return isThere;
  }

  /** Forgets some of the expired keys, which no command may ever read. */
  sweep(): void {
    for (;;) {
      let looked = 0;
      let gone = 0;
      for (const key of this.#mortal) {
        if (looked++ === SAMPLE) break;
        // A key that stays goes to the end: the next round looks at others.
        this.#mortal.delete(key);
        if (this.#find(key) === undefined) gone++;
        else this.#mortal.add(key);
      }
      if (gone <= SAMPLE / 4) return;
    }
  }

  #find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiresMs > Date.now()) return entry;
    this.#forget(key);
    return undefined;
  }

  #forget(key: string): void {
    this.#entries.delete(key);
    this.#mortal.delete(key);
  }
}
