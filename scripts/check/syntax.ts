/**
 * TypeScript as a tree, for rules that text alone would get wrong.
 *
 * @module
 */

import ts from "typescript";

/** An import or re-export, of whatever kind. */
export interface ImportFound {
  /** What is imported, as written. */
  readonly specifier: string;
  /** Whether only types come with it. */
  readonly isType: boolean;
  /** Counted from 1. */
  readonly line: number;
}

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

/** Yields a node and all that it contains. */
export function* walk(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of childrenOf(node)) yield* walk(child);
}

/** Returns the line that a node starts on, without its comments. */
export function lineOf(node: ts.Node): number {
  const file = node.getSourceFile();
  return file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
}

/** Yields what a module imports: statically, lazily, re-exported, as types. */
export function* importsOf(file: ts.SourceFile): Generator<ImportFound> {
  for (const node of walk(file)) {
    const found = importIn(node);
    if (found === undefined) continue;
    const [specifier, isType] = found;
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) continue;
    yield { specifier: specifier.text, isType, line: lineOf(node) };
  }
}

function importIn(
  node: ts.Node,
): [specifier: ts.Node | undefined, isType: boolean] | undefined {
  if (ts.isImportDeclaration(node)) {
    return [node.moduleSpecifier, isTypeClause(node.importClause)];
  }
  if (ts.isExportDeclaration(node)) {
    return [node.moduleSpecifier, node.isTypeOnly];
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return [node.argument.literal, true];
  }
  const isLazy = ts.isCallExpression(node) &&
    node.expression.kind === ts.SyntaxKind.ImportKeyword;
  return isLazy ? [node.arguments[0], false] : undefined;
}

/** `import type { … }`, or `import { type A, type B }`. */
function isTypeClause(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause.namedBindings;
  return clause.name === undefined && bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.every((element) => element.isTypeOnly);
}

function childrenOf(node: ts.Node): ts.Node[] {
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => void children.push(child));
  return children;
}
