/**
 * Unsafe Rust lives in `ffi/` and `sys/` alone.
 *
 * @module
 */

import { type Fault, lineAt, type Project } from "./project.ts";

const FOLDER = "native/src/";
const ALLOWED = /^native\/src\/(ffi|sys)\//;

/** Comments and literals, in which the word means nothing. */
const NO_CODE =
  /\/\/.*|\/\*[^]*?\*\/|r(#*)"[^]*?"\1|"(?:\\[^]|[^"\\])*"|'(?:\\.|[^'\\])'/g;

/** Finds the word `unsafe` in other Rust files. */
export function* unsafeCode({ files }: Project): Generator<Fault> {
  for (const [file, text] of files) {
    if (!file.startsWith(FOLDER) || !file.endsWith(".rs")) continue;
    if (ALLOWED.test(file)) continue;
    const message = `unsafe belongs in ${FOLDER}ffi/ and ${FOLDER}sys/`;
    for (const { index } of codeOf(text).matchAll(/\bunsafe\b/g)) {
      yield { file, line: lineAt(text, index), message };
    }
  }
}

/** Rust without comments and literals, every position kept. */
export function codeOf(rust: string): string {
  return rust.replace(NO_CODE, (found) => found.replace(/[^\n]/g, " "));
}
