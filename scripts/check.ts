/**
 * Checks the rules of the house that no linter knows, and fails on the first
 * breach of any: `deno run --allow-read --allow-env scripts/check.ts`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { abi } from "./check/abi.ts";
import { arrows } from "./check/arrows.ts";
import { circles } from "./check/circles.ts";
import { contract } from "./check/contract.ts";
import { dlopen } from "./check/dlopen.ts";
import { functionLength } from "./check/function_length.ts";
import { moduleDocs } from "./check/module_docs.ts";
import { type Fault, type Project, readProject } from "./check/project.ts";
import { topLevel } from "./check/top_level.ts";
import { unsafeCode } from "./check/unsafe_code.ts";
import { versions } from "./check/versions.ts";

/** Finds what breaks one rule. */
export type Rule = (project: Project) => Iterable<Fault>;

/** Every rule, by what it is about. */
export const RULES: Readonly<Record<string, Rule>> = {
  "abi": abi,
  "arrows": arrows,
  "circles": circles,
  "contract": contract,
  "dlopen": dlopen,
  "function length": functionLength,
  "module docs": moduleDocs,
  "top level": topLevel,
  "unsafe code": unsafeCode,
  "versions": versions,
};

/** Returns a line for each breach of a rule. */
export function breaches(project: Project): string[] {
  return Object.entries(RULES).flatMap(([name, rule]) =>
    [...rule(project)].map(({ file, line, message }) =>
      `${file}:${line}: ${message} (${name})`
    )
  );
}

if (import.meta.main) {
  const project = readProject(new URL("../", import.meta.url));
  const lines = breaches(project);
  for (const line of lines) console.error(line);
  const rules = Object.keys(RULES).length;
  console.log(
    `Checked ${project.files.size} files against ${rules} rules; ` +
      `faults: ${lines.length}`,
  );
  if (lines.length > 0) Deno.exit(1);
}
