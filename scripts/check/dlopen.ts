/**
 * Only `src/native` knows that there is a library: nobody else opens one.
 *
 * @module
 */

import ts from "typescript";
import { type Fault, type Project, typeScriptUnder } from "./project.ts";
import { lineOf, parse, walk } from "./syntax.ts";

const HOME = "src/native/";

/** Finds uses of `dlopen` outside of `src/native`, by any way to name it. */
export function* dlopen(project: Project): Generator<Fault> {
  for (const [path, text] of typeScriptUnder(project, "src")) {
    if (path.startsWith(HOME) || !text.includes("dlopen")) continue;
    for (const node of walk(parse(path, text))) {
      const isName = ts.isIdentifier(node) || ts.isStringLiteralLike(node);
      if (!isName || node.text !== "dlopen") continue;
      const message = `Deno.dlopen belongs in ${HOME}; ` +
        `call native() of ${HOME}library.ts`;
      yield { file: path, line: lineOf(node), message };
    }
  }
}
