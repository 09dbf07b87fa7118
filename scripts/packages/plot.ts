/**
 * Observable Plot, and linkedom, which gives it a document without a browser.
 * `tests/packages/typescript.ts` says why packages are imported here.
 *
 * @module
 */

export * as Plot from "npm:@observablehq/plot@0.6.17";

import { parseHTML } from "npm:linkedom@0.18.15";

/** The used part of an element, for which Deno has no types. */
export interface Element {
  readonly outerHTML: string;
  readonly textContent: string;
  querySelector(selector: string): Element | null;
  querySelectorAll(selector: string): Iterable<Element>;
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  remove(): void;
}

/** Parses HTML, and returns the document. */
export function documentOf(text: string): Element {
  return (parseHTML(text) as unknown as { document: Element }).document;
}
