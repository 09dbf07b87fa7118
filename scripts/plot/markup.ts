/**
 * HTML and SVG, built so that no text can become markup: whatever is not
 * `Markup` already is escaped.
 *
 * @module
 */

/** What may stand in an element. */
export type Child = string | number | Markup | undefined | readonly Child[];

/** An element's attributes; those that are `undefined` are left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Elements that never have content: HTML's own, and SVG's shapes. */
const EMPTY = new Set(["circle", "line", "meta", "path", "rect"]);

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};
/** What XML 1.0 section 2.2 has no place for, written as anything at all. */
// deno-lint-ignore no-control-regex -- they are what it is about
const NO_CHARACTER = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/g;

/** Text that is markup already. */
export class Markup {
  /** Trusts `text`: only what this program wrote itself may come here. */
  constructor(readonly text: string) {}

  /** Returns the markup. */
  toString(): string {
    return this.text;
  }
}

/** Returns an element. */
export function tag(
  name: string,
  attributes: Attributes = {},
  ...children: Child[]
): Markup {
  const words = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escape(String(value))}"`)
    .join("");
  if (EMPTY.has(name)) return new Markup(`<${name}${words}/>`);
  return new Markup(`<${name}${words}>${inside(children)}</${name}>`);
}

/** Returns nodes one after the other, a line each. */
export function lined(...children: Child[]): Markup {
  const parts = children.flat(Infinity as 1).map((child) => inside([child]));
  return new Markup(parts.filter((text) => text !== "").join("\n"));
}

/** Returns text as HTML, SVG and their attributes write it. */
function escape(text: string): string {
  return text.toWellFormed().replace(NO_CHARACTER, "\ufffd")
    .replace(/[&<>"]/g, (found) => ENTITIES[found]!);
}

function inside(children: readonly Child[]): string {
  return children.map((child) => {
    if (child === undefined) return "";
    if (child instanceof Markup) return child.text;
    return Array.isArray(child) ? inside(child) : escape(String(child));
  }).join("");
}
