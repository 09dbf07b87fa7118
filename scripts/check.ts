/**
 * Checks the house rules that no linter has, and fails when one is broken:
 * `deno run --allow-read scripts/check.ts`. `lint_plugin.ts` has the others.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { abi } from "./check/abi.ts";
import { circles } from "./check/circles.ts";
import { contract } from "./check/contract.ts";
import { topLevel, unsafeCode, versions } from "./check/places.ts";
import { type Fault, type Files, readProject } from "./check/project.ts";

/** Each rule by its subject. */
export const RULES: Readonly<
  Record<string, (files: Files) => Iterable<Fault>>
> = {
  "abi": abi,
  "circles": circles,
  "contract": contract,
  "top level": topLevel,
  "unsafe code": unsafeCode,
  "versions": versions,
};

/** Returns a line for each fault. */
export function faultLines(files: Files): string[] {
  return Object.entries(RULES).flatMap(([name, rule]) =>
    [...rule(files)].map(({ file, line, message }) =>
      `${file}:${line}: ${message} (${name})`
    )
  );
}

if (import.meta.main) {
  const files = readProject(new URL("../", import.meta.url));
  const lines = faultLines(files);
  for (const line of lines) console.error(line);
  console.log(`Checked ${files.size} files; faults: ${lines.length}`);
  if (lines.length > 0) Deno.exit(1);
}
