/**
 * Where things may be: unsafe Rust, entries at the top, the version.
 *
 * @module
 */

import { type Fault, type Files, filesUnder, lineAt } from "./project.ts";

/** Cargo.toml denies unsafe code, and these folders alone may allow it. */
const UNSAFE = /^native\/(src\/ffi|(poll|proactor|ring)\/src\/sys)\//;
/** The library's sources: of each member of the workspace but the tool. */
const LINKED = /^native\/(?!load\/)([a-z0-9]+\/)?src\//;

/** Finds Rust files that allow themselves unsafe code elsewhere. */
export function* unsafeCode(files: Files): Generator<Fault> {
  for (const [file, text] of filesUnder(files, "native/", ".rs")) {
    const index = text.search(/\ballow\([^)]*\bunsafe_code\b/);
    if (index < 0 || !LINKED.test(file) || UNSAFE.test(file)) continue;
    const message = "unsafe belongs in native/src/ffi/ and in the folders " +
      "sys/ of native/poll/, native/proactor/ and native/ring/";
    yield { file, line: lineAt(text, index), message };
  }
}

const TOP = [
  ..."ARCHITECTURE.md CHANGELOG.md LICENSE README.md deno.json deno.lock"
    .split(" "),
  ..."mod.ts native scripts src tests".split(" "),
];

/** Finds entries at the top beside those above, unless git ignores them. */
export function* topLevel(files: Files): Generator<Fault> {
  const ignored = (files.get(".gitignore") ?? "").split("\n")
    .map((line) => line.replace(/^\/|\/$/g, ""));
  const entries = new Set([...files.keys()].map((path) => path.split("/")[0]!));
  for (const file of entries) {
    if (file.startsWith(".") || [...TOP, ...ignored].includes(file)) continue;
    const message = "does not belong at the top; move it into src, scripts, " +
      "tests or native";
    yield { file, line: 1, message };
  }
}

/** Where the version is beside deno.json. The changelog may be ahead. */
const VERSIONS: Readonly<Record<string, (version: string) => string>> = {
  "native/Cargo.toml": (version) => `\nversion = "${version}"\n`,
  "native/Cargo.lock": (version) => `name = "denio"\nversion = "${version}"\n`,
  "native/fuzz/Cargo.lock": (version) =>
    `name = "denio"\nversion = "${version}"\n`,
  "CHANGELOG.md": (version) => `\n## ${version}`,
};

/** Finds files that have another version than deno.json. */
export function* versions(files: Files): Generator<Fault> {
  const { version } = JSON.parse(files.get("deno.json") ?? "{}");
  for (const [file, line] of Object.entries(VERSIONS)) {
    if (files.get(file)?.includes(line(version))) continue;
    const message = `the version must be ${version}, as in deno.json`;
    yield { file, line: 1, message };
  }
}
