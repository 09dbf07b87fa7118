/**
 * Writes HTML: text in a template is escaped unless it is marked as HTML, so no
 * text can become markup by mistake.
 *
 * @module
 */

import { escapeHtml } from "./packages/std.ts";

/** Text that is markup. */
export class Html {
  /** Trusts a text. */
  constructor(readonly text: string) {}
}

/** The values of a template: lists are joined, `undefined` is left out. */
export type Part = string | Html | undefined | readonly Part[];

/**
 * Returns the markup of a template. It is not called `html`, because `deno fmt`
 * would change what stands in it.
 */
export function markup(
  strings: TemplateStringsArray,
  ...parts: readonly Part[]
): Html {
  const texts = strings.map((text, index) =>
    index === 0 ? text : textOf(parts[index - 1]) + text
  );
  return new Html(texts.join(""));
}

function textOf(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Html) return part.text;
  if (typeof part !== "string") return part.map(textOf).join("");
  // What is no character of Unicode could not be written to a file.
  return escapeHtml(part.toWellFormed());
}
