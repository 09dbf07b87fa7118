/**
 * The decoded parts of a head that requests repeat: each is decoded once.
 *
 * @module
 */

/** Values that are kept; a handler reads a few. */
const VALUES_MAX = 16;

/** What was read of a head: its URL, and values of its fields. */
export class KeptParts {
  #scheme = "";
  #url = "";
  readonly #names: string[] = [];
  readonly #values: (string | null)[] = [];

  /** Returns the URL that was made for a scheme, if one was. */
  url(scheme: string): string | undefined {
    return scheme === this.#scheme ? this.#url : undefined;
  }

  /** Keeps the URL for a scheme, which is never empty. */
  keepUrl(scheme: string, url: string): void {
    this.#scheme = scheme;
    this.#url = url;
  }

  /**
   * Returns the value of a field; null when the head has no such field,
   * `undefined` when none was kept.
   *
   * @param name The name in lower case.
   */
  value(name: string): string | null | undefined {
    // By index: a few comparisons of strings cost less than a map.
    for (let index = 0; index < this.#names.length; index++) {
      if (this.#names[index] === name) return this.#values[index];
    }
    return undefined;
  }

  /** Keeps the value of a field; null for none. */
  keepValue(name: string, value: string | null): void {
    if (this.#names.length === VALUES_MAX) return;
    this.#names.push(name);
    this.#values.push(value);
  }
}
