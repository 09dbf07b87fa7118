/**
 * A function fits a screen.
 *
 * @module
 */

import ts from "typescript";
import { type Fault, type Project, typeScriptUnder } from "./project.ts";
import { lineOf, parse, walk } from "./syntax.ts";

/** The wall; 25 is the aim. What is longer is read with a finger on it. */
export const LINES_MAX = 70;

/** Finds functions of the library and the scripts that are too long. */
export function* functionLength(project: Project): Generator<Fault> {
  const files = [
    ...typeScriptUnder(project, "src"),
    ...typeScriptUnder(project, "scripts"),
  ];
  for (const [path, text] of files) {
    for (const node of walk(parse(path, text))) {
      if (!ts.isFunctionLike(node)) continue;
      const lines = linesOf(node);
      if (lines <= LINES_MAX) continue;
      const message = `${nameOf(node)} has ${lines} lines; ` +
        `${LINES_MAX} are the most, so move a part into a helper`;
      yield { file: path, line: lineOf(node), message };
    }
  }
}

function linesOf(node: ts.Node): number {
  const file = node.getSourceFile();
  const end = file.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
  return end - lineOf(node) + 1;
}

function nameOf(node: ts.SignatureDeclaration): string {
  return node.name ? `${node.name.getText()}()` : "this function";
}
