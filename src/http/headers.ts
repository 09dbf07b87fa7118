/**
 * The header fields of a request, read from the head's bytes.
 *
 * @module
 */

import type { RequestHead } from "./h1/head.ts";
import { standInFor } from "./lazy.ts";

/** RFC 9110 section 5.6.2: what a field name is made of. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Headers that throw what is right, and in its words, when changed. */
const IMMUTABLE = Response.error().headers;

/**
 * Stands in for `Headers`: `get` and `has` look at the bytes; what is inherited,
 * such as iterating, builds the real one. Immutable, as the fields of a
 * received request are.
 */
export class RequestHeaders {
  readonly #head: RequestHead;
  #real: Headers | undefined = undefined;

  /** Made by a request. */
  constructor(head: RequestHead) {
    this.#head = head;
  }

  /** Builds the real headers behind a lazy object. */
  static real(headers: RequestHeaders): Headers {
    return headers.#real ??= new Headers(headers.#head.fields());
  }

  /** Returns a field's value, or null. */
  get(name: string): string | null {
    return this.#find(name) ?? null;
  }

  /** Returns whether there is such a field. */
  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** Throws: a received request does not change. */
  append(...field: [name: string, value: string]): void {
    IMMUTABLE.append(...field);
  }

  /** Throws: a received request does not change. */
  set(...field: [name: string, value: string]): void {
    IMMUTABLE.set(...field);
  }

  /** Throws: a received request does not change. */
  delete(...name: [name: string]): void {
    IMMUTABLE.delete(...name);
  }

  #find(name: string): string | undefined {
    const text = String(name);
    const found = this.#head.get(text.toLowerCase());
    // The real one throws what is right for a name that is none.
    if (found === undefined && !TOKEN.test(text)) {
      RequestHeaders.real(this).has(text);
    }
    return found;
  }
}

standInFor(RequestHeaders, new Headers(), RequestHeaders.real);
