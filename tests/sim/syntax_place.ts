/**
 * Finds a place in TypeScript by a pattern of syntax, and replaces it. A
 * pattern ignores format, comments and files, and the object of a name:
 * `requeue()` also matches `this.#host.requeue()`.
 *
 * In a pattern, `$` and `$1` to `$9` stand for any expression, and `$$` for the
 * rest of a list. The replacement may use `$1`. With `$0` in a pattern, only
 * that part is replaced.
 *
 * @module
 */

import ts from "typescript";
import { lineOf, parse, walk } from "./syntax_tree.ts";

/** A place, and its replacement. */
export interface Change {
  /**
   * The class, function or variable around the place; or several, from outside
   * to inside: `Outbox.shift`.
   */
  readonly inside: string;
  /** The pattern. With a semicolon: one statement, or several. */
  readonly place: string;
  /** The replacement; empty text removes a statement. */
  readonly wrong: string;
}

/** A file's path and text. */
export type File = readonly [path: string, text: string];

interface Found {
  readonly path: string;
  readonly line: number;
  /** The file with the change. */
  readonly changed: string;
}

type Captures = Map<string, string>;

/** Parsed once: a run makes many changes. */
const parsed = new WeakMap<File, ts.SourceFile>();

/**
 * Applies a change, and returns the changed file.
 *
 * @throws {Error} unless there is exactly one such place.
 */
export function makeChange(files: readonly File[], change: Change): File {
  const found = files.flatMap((file) => [...placesIn(file, change)]);
  const [only] = found;
  if (only !== undefined && found.length === 1) {
    return [only.path, only.changed];
  }
  const places = found.map(({ path, line }) => `\n  ${path}:${line}`).join("");
  throw new Error(
    `Found ${found.length} places instead of one inside "${change.inside}" ` +
      `for the pattern "${change.place}"${places}`,
  );
}

function* placesIn(file: File, change: Change): Generator<Found> {
  const [path, text] = file;
  let source = parsed.get(file);
  if (source === undefined) parsed.set(file, source = parse(path, text));
  const pattern = patternOf(change.place);
  for (const node of walk(source)) {
    for (const nodes of candidates(node, pattern.length)) {
      const captures: Captures = new Map();
      const isMatch = nodes.every((one, index) =>
        matches(pattern[index]!, one, captures)
      );
      if (!isMatch || !isInside(node, change.inside)) continue;
      const range = rangeOf(nodes, captures);
      const isRemoved = change.wrong === "";
      const wrong = isRemoved ? ";" : filled(change.wrong, captures);
      const changed = text.slice(0, range.start) + wrong +
        text.slice(range.end);
      yield { path, line: lineOf(nodes[0]!), changed };
    }
  }
}

/** Runs of `count` nodes that begin at `node`. */
function candidates(node: ts.Node, count: number): ts.Node[][] {
  if (count === 1) return isPart(node) ? [] : [[node]];
  const list = (node.parent as Partial<ts.Block> | undefined)?.statements;
  const index = list?.indexOf(node as ts.Statement) ?? -1;
  if (list === undefined || index < 0) return [];
  const run = list.slice(index, index + count);
  return run.length === count ? [run] : [];
}

/** Whether the node has no meaning without its parent. */
function isPart(node: ts.Node): boolean {
  const { parent } = node;
  return unwrapped(node) !== node ||
    parent !== undefined && ts.isPropertyAccessExpression(parent) &&
      parent.name === node;
}

function patternOf(text: string): ts.Node[] {
  const { statements } = parse("pattern.ts", text);
  const isExpression = !/[;}]$/.test(text);
  return statements.map((one) =>
    isExpression && ts.isExpressionStatement(one) ? one.expression : one
  );
}

function rangeOf(
  nodes: readonly ts.Node[],
  captures: Captures,
): { start: number; end: number } {
  const part = captures.get("$0 range");
  if (part !== undefined) return JSON.parse(part);
  return { start: nodes[0]!.getStart(), end: nodes.at(-1)!.getEnd() };
}

function filled(text: string, captures: Captures): string {
  return text.replace(/\$\d/g, (name) => captures.get(name) ?? name);
}

function isInside(node: ts.Node, path: string): boolean {
  const names = path.split(".");
  for (let at: ts.Node | undefined = node; at !== undefined; at = at.parent) {
    const { name } = at as { name?: ts.Node };
    if (name !== undefined && lastName(name) === names.at(-1)) names.pop();
  }
  return names.length === 0;
}

/** The last name of an expression, without its object. */
function lastName(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) return lastName(node.name);
  if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) {
    return node.text.replace("#", "");
  }
}

function matches(
  pattern: ts.Node,
  node: ts.Node,
  captures: Captures,
): boolean {
  pattern = unwrapped(pattern);
  node = unwrapped(node);
  if (ts.isIdentifier(pattern)) {
    if (!pattern.text.startsWith("$")) {
      return lastName(node) === lastName(pattern);
    }
    captures.set(pattern.text, node.getText());
    if (pattern.text === "$0") {
      const range = { start: node.getStart(), end: node.getEnd() };
      captures.set("$0 range", JSON.stringify(range));
    }
    return true;
  }
  if (pattern.kind !== node.kind || ownText(pattern) !== ownText(node)) {
    return false;
  }
  return allMatch(partsOf(pattern), partsOf(node), captures);
}

function allMatch(
  patterns: readonly ts.Node[],
  nodes: readonly ts.Node[],
  captures: Captures,
): boolean {
  for (const [index, pattern] of patterns.entries()) {
    if (/^\$\$;?$/.test(pattern.getText())) return true;
    const node = nodes[index];
    if (node === undefined || !matches(pattern, node, captures)) return false;
  }
  return patterns.length === nodes.length;
}

/** Parentheses, `!` and the question mark of `?.` are left out. */
function unwrapped(node: ts.Node): ts.Node {
  while (ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node)) {
    node = node.expression;
  }
  return node;
}

function partsOf(node: ts.Node): ts.Node[] {
  const parts: ts.Node[] = [];
  ts.forEachChild(node, (part) => {
    if (part.kind !== ts.SyntaxKind.QuestionDotToken) parts.push(part);
  });
  return parts;
}

/** What a node means beside its parts. */
function ownText(node: ts.Node): string | number | undefined {
  if (ts.isLiteralExpression(node) || ts.isPrivateIdentifier(node)) {
    return node.text;
  }
  const isUnary = ts.isPrefixUnaryExpression(node) ||
    ts.isPostfixUnaryExpression(node);
  return isUnary ? node.operator : undefined;
}
