/**
 * What the rules look at: the project's files, in memory.
 *
 * @module
 */

/** The project, as rules see it. */
export interface Project {
  /** The text of each file that a rule may read, by its path. */
  readonly files: ReadonlyMap<string, string>;
  /** The names of what lies at the top, folders among it. */
  readonly topLevel: readonly string[];
}

/** Something that breaks a rule. */
export interface Fault {
  /** The file's path from the top. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** What is wrong, and what would be right. */
  readonly message: string;
}

/** Folders whose files rules read, and single files at the top. */
const FOLDERS = ["src", "scripts", "tests", "native/src", "native/tests"];
const FILES = [
  "mod.ts",
  "deno.json",
  "CHANGELOG.md",
  ".gitignore",
  "tests/contract/README.md",
];
const CRATE_FILES = [
  "native/Cargo.toml",
  "native/Cargo.lock",
  "native/fuzz/Cargo.lock",
];

const READABLE = /\.(ts|rs)$/;

/** Reads the project at `root`, a URL that ends in a slash. */
export function readProject(root: URL): Project {
  const files = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const path of filesUnder(root, folder)) {
      if (READABLE.test(path)) files.set(path, read(root, path) ?? "");
    }
  }
  for (const path of [...FILES, ...CRATE_FILES]) {
    const text = read(root, path);
    if (text !== undefined) files.set(path, text);
  }
  const topLevel = [...Deno.readDirSync(root)].map(({ name }) => name).sort();
  return { files, topLevel };
}

/** Returns the line that position `index` of `text` is on. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/** Yields the TypeScript files under a folder, with their texts. */
export function* typeScriptUnder(
  { files }: Project,
  folder: string,
): Generator<[path: string, text: string]> {
  for (const [path, text] of files) {
    if (path.startsWith(`${folder}/`) && path.endsWith(".ts")) {
      yield [path, text];
    }
  }
}

function* filesUnder(root: URL, folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(`${folder}/`, root))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* filesUnder(root, path);
    else yield path;
  }
}

function read(root: URL, path: string): string | undefined {
  try {
    return Deno.readTextFileSync(new URL(path, root));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
