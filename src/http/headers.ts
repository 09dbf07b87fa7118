/**
 * The header fields of a request, read from the head's bytes.
 *
 * @module
 */

import type { RequestHead } from "./h1/head.ts";
import { standInFor } from "./lazy.ts";

/** A field name: RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Immutable headers: changing them throws the error that Deno throws. */
const IMMUTABLE = Response.error().headers;

/**
 * Stands in for `Headers`: `get` and `has` read the bytes; inherited methods,
 * such as iteration, build the real `Headers`. Immutable, like the fields of
 * any received request.
 */
export class RequestHeaders {
  readonly #head: RequestHead;
  #real: Headers | undefined = undefined;

  /** Made by a request. */
  constructor(head: RequestHead) {
    this.#head = head;
  }

  /** Returns the real headers of a lazy object, built at the first call. */
  static real(headers: RequestHeaders): Headers {
    return headers.#real ??= new Headers(headers.#head.fields());
  }

  /** Returns a field's value, or null. */
  get(name: string): string | null {
    return this.#find(name) ?? null;
  }

  /** Returns whether the request has the field. */
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
    // The real headers throw the error for an invalid name.
    if (found === undefined && !TOKEN.test(text)) {
      RequestHeaders.real(this).has(text);
    }
    return found;
  }
}

standInFor(RequestHeaders, new Headers(), RequestHeaders.real);
