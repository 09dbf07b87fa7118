/**
 * The top of the project stays small: every entry there has its reason.
 *
 * @module
 */

import type { Fault, Project } from "./project.ts";

const ENTRIES = new Set([
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "deno.json",
  "deno.lock",
  "mod.ts",
  "native",
  "scripts",
  "src",
  "tests",
]);

/** Finds entries that nobody planned, unless git ignores them. */
export function* topLevel(project: Project): Generator<Fault> {
  const ignored = ignoredNames(project.files.get(".gitignore") ?? "");
  for (const file of project.topLevel) {
    if (file.startsWith(".") || ENTRIES.has(file) || ignored.has(file)) {
      continue;
    }
    const message = "does not belong at the top; move it into src, scripts, " +
      "tests or native";
    yield { file, line: 1, message };
  }
}

/** Names without patterns, as `/target/` or `node_modules/`. */
function ignoredNames(gitignore: string): Set<string> {
  const names = gitignore.split("\n").map((line) =>
    line.trim().replace(/^\//, "").replace(/\/$/, "")
  );
  return new Set(names.filter((name) => /^[^#!*?[\]/]+$/.test(name)));
}
