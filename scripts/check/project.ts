/**
 * The project's files, in memory, which the rules read.
 *
 * @module
 */

/** The text of each file that a rule may read, by its path from the top. */
export type Files = ReadonlyMap<string, string>;

/** Something that breaks a rule. */
export interface Fault {
  /** The file's path from the top. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** The fault, and what would be right. */
  readonly message: string;
}

/** Built files and other people's: no rule reads them. */
const SKIPPED = /^(target|node_modules|corpus|results)$/;
const READABLE = /\.(ts|rs|md|toml|lock|json)$|^\.gitignore$/;

/** Reads the project at `root`, a URL that ends in a slash. */
export function readProject(root: URL): Files {
  const files = new Map<string, string>();
  const read = (folder: string) => {
    for (
      const { name, isDirectory } of Deno.readDirSync(new URL(folder, root))
    ) {
      const path = `${folder}${name}`;
      const isHidden = folder === "./" && isDirectory && name.startsWith(".");
      if (isDirectory && !isHidden && !SKIPPED.test(name)) read(`${path}/`);
      else if (READABLE.test(name)) {
        files.set(path.slice(2), Deno.readTextFileSync(new URL(path, root)));
      } else if (folder === "./") files.set(name, "");
    }
  };
  read("./");
  return files;
}

/** Yields the files under a folder that end as `ending`. */
export function* filesUnder(
  files: Files,
  folder: string,
  ending: string,
): Generator<[path: string, text: string]> {
  for (const [path, text] of files) {
    if (path.startsWith(folder) && path.endsWith(ending)) yield [path, text];
  }
}

/** Returns the line that position `index` of `text` is on. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}
