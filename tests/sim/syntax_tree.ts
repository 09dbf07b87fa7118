/**
 * TypeScript as a tree.
 *
 * @module
 */

import ts from "typescript";

/** Parses TypeScript. */
export function parse(path: string, text: string): ts.SourceFile {
  const setParentNodes = true;
  return ts.createSourceFile(
    path,
    text,
    ts.ScriptTarget.Latest,
    setParentNodes,
  );
}

/** Yields a node and all nodes in it. */
export function* walk(node: ts.Node): Generator<ts.Node> {
  yield node;
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => void children.push(child));
  for (const child of children) yield* walk(child);
}

/** Returns the line that a node starts on, without its comments. */
export function lineOf(node: ts.Node): number {
  const file = node.getSourceFile();
  return file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
}
