/**
 * The project has one version, wherever it is written.
 *
 * @module
 */

import { type Fault, lineAt, type Project } from "./project.ts";

/** The file whose version counts. */
const SOURCE = { file: "deno.json", pattern: /"version": "(?<version>[^"]+)"/ };

/** Where else the version is, each by the first match of its pattern. */
const COPIES = [
  {
    file: "native/Cargo.toml",
    pattern: /^version = "(?<version>[^"]+)"/m,
  },
  {
    file: "native/Cargo.lock",
    pattern: /name = "denio"\nversion = "(?<version>[^"]+)"/,
  },
  {
    file: "native/fuzz/Cargo.lock",
    pattern: /name = "denio"\nversion = "(?<version>[^"]+)"/,
  },
  {
    file: "CHANGELOG.md",
    pattern: /^## \[?(?<version>[^\s\]]+)/m,
  },
];

/** Finds copies of the version that differ from the one in deno.json. */
export function* versions({ files }: Project): Generator<Fault> {
  const wanted = find(files.get(SOURCE.file), SOURCE.pattern);
  if (wanted === undefined) {
    yield { file: SOURCE.file, line: 1, message: 'there must be a "version"' };
    return;
  }
  for (const { file, pattern } of COPIES) {
    const text = files.get(file);
    // The changelog may be ahead: what comes next has a heading already.
    if (file === "CHANGELOG.md" && text?.includes(`\n## ${wanted.version}`)) {
      continue;
    }
    const found = find(text, pattern);
    if (found?.version === wanted.version) continue;
    const says = found ? `is ${found.version}` : "is missing";
    const message = `the version ${says} and must be ${wanted.version}, ` +
      `as in ${SOURCE.file}`;
    yield { file, line: found?.line ?? 1, message };
  }
}

function find(
  text: string | undefined,
  pattern: RegExp,
): { version: string; line: number } | undefined {
  const match = text === undefined ? null : pattern.exec(text);
  if (match === null) return undefined;
  const version = match.groups!.version!;
  // The pattern may begin on a line before.
  const index = match.index + match[0].indexOf(version);
  return { version, line: lineAt(text!, index) };
}
