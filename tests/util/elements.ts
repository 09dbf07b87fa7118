/**
 * HTML and SVG as a tree, read strictly: every element is closed in its place,
 * every attribute is quoted and given once, every reference is a known one.
 * Written so, a page means the same to each browser.
 *
 * @module
 */

/** An element with what is in it. */
export interface Element {
  /** Its name. */
  readonly name: string;
  /** Its attributes. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Text and elements, in their order. */
  readonly children: (Element | string)[];
}

const TOKEN =
  /<!--[^]*?-->|<!doctype html>|<\/([\w:-]+)>|<([\w:-]+)((?:\s+[\w:-]+="[^"<]*")*)(\/?)>|([^<]+)/gy;
const ATTRIBUTE = /([\w:-]+)="([^"]*)"/g;
const REFERENCE = /&([^;\s]*);?/g;
const CHARACTERS: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
};
/** What HTML never closes. */
const VOID = new Set(["meta"]);

/** Returns the one element that a document has, or throws where it is wrong. */
export function parseElements(document: string): Element {
  const top: Element = { name: "", attributes: new Map(), children: [] };
  const open = [top];
  let end = 0;
  for (const found of document.matchAll(TOKEN)) {
    const [whole, closed, name, attributes, slash, text] = found;
    end = found.index + whole.length;
    const inner = open.at(-1)!;
    if (text !== undefined) {
      // A style sheet is not escaped.
      inner.children.push(inner.name === "style" ? text : plain(text));
    } else if (closed !== undefined) {
      if (open.pop()!.name !== closed) {
        throw new SyntaxError(`</${closed}> closes <${inner.name}>`);
      }
    } else if (name !== undefined) {
      const element = { name, attributes: read(attributes!), children: [] };
      inner.children.push(element);
      if (slash === "" && !VOID.has(name)) open.push(element);
    }
  }
  if (end !== document.length) {
    throw new SyntaxError(`no markup: "${document.slice(end, end + 80)}"`);
  }
  if (open.length > 1) throw new SyntaxError(`<${open.at(-1)!.name}> is open`);
  const [root, ...others] = top.children.filter((one) =>
    typeof one !== "string"
  );
  if (root === undefined || others.length > 0) {
    throw new SyntaxError("there must be one element at the top");
  }
  return root;
}

/** Yields an element and those in it. */
export function* elementsIn(element: Element): Generator<Element> {
  yield element;
  for (const child of element.children) {
    if (typeof child !== "string") yield* elementsIn(child);
  }
}

/** Returns the elements of a name, in an element. */
export function named(element: Element, name: string): Element[] {
  return elementsIn(element).filter((one) => one.name === name).toArray();
}

/** Returns the text in an element. */
export function textOf({ children }: Element): string {
  return children.map((child) =>
    typeof child === "string" ? child : textOf(child)
  ).join("");
}

function read(text: string): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name, value] of text.matchAll(ATTRIBUTE)) {
    if (attributes.has(name!)) throw new SyntaxError(`${name} comes twice`);
    attributes.set(name!, plain(value!));
  }
  return attributes;
}

function plain(text: string): string {
  return text.replace(REFERENCE, (reference, name) => {
    const character = CHARACTERS[name];
    if (character !== undefined && reference.endsWith(";")) return character;
    throw new SyntaxError(`"${reference}" is no known reference`);
  });
}
