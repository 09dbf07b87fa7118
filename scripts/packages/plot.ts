/**
 * Observable Plot, and linkedom, in whose document it draws without a browser.
 * Why here and not in deno.json, `tests/packages/typescript.ts` says.
 *
 * @module
 */

export * as Plot from "npm:@observablehq/plot@0.6.17";

import { parseHTML } from "npm:linkedom@0.18.15";

/** What scripts and tests use of an element: Deno has no types for it. */
export interface Element {
  readonly outerHTML: string;
  readonly textContent: string;
  querySelector(selector: string): Element | null;
  querySelectorAll(selector: string): Iterable<Element>;
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  remove(): void;
}

/** Returns the document of a text of HTML. */
export function documentOf(text: string): Element {
  return (parseHTML(text) as unknown as { document: Element }).document;
}
