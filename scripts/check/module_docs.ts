/**
 * A file opens by saying what it is for.
 *
 * @module
 */

import { type Fault, type Project, typeScriptUnder } from "./project.ts";

/** A doc comment before everything else, with text and the tag. */
const MODULE_DOC =
  /^(#!.*\n)?\/\*\*\s*\n \* [^@\s](?:(?!\*\/)[^])*\* @module\b/;

/** Finds files of the library and the scripts without an `@module` comment. */
export function* moduleDocs(project: Project): Generator<Fault> {
  const files = [
    ...typeScriptUnder(project, "src"),
    ...typeScriptUnder(project, "scripts"),
  ];
  for (const [file, text] of files) {
    if (MODULE_DOC.test(text)) continue;
    const message = "the file must open with a doc comment that says what it " +
      "is for and ends in @module";
    yield { file, line: 1, message };
  }
}
