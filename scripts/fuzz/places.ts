/**
 * Where fuzzing reads and writes.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const NATIVE = new URL("../../native/", import.meta.url);

/** The manifest of the fuzz targets. */
export const MANIFEST = pathOf("fuzz/Cargo.toml");

/** What cargo builds into, and all that a run leaves. */
export const OUTPUT = pathOf("target/fuzz");

/** Where a target's files are. */
export interface Places {
  /** The corpus that is kept with the sources. */
  readonly corpus: string;
  /** What runs have found, and nobody has kept. */
  readonly found: string;
  /** Where a smaller corpus is put together. */
  readonly smaller: string;
  /** Inputs that have broken something. */
  readonly artifacts: string;
  /** What libFuzzer has said last. */
  readonly log: string;
}

/** Returns where the files of a target are. */
export function placesOf(target: string): Places {
  return {
    corpus: pathOf(`fuzz/corpus/${target}`),
    found: `${OUTPUT}/corpus/${target}`,
    smaller: `${OUTPUT}/smaller/${target}`,
    artifacts: `${OUTPUT}/artifacts/${target}`,
    log: `${OUTPUT}/${target}.log`,
  };
}

/** Returns the names of all targets. */
export function targetNames(): string[] {
  return namesIn(pathOf("fuzz/fuzz_targets"))
    .filter((name) => name.endsWith(".rs"))
    .map((name) => name.replace(".rs", ""));
}

/** Returns what lies in a folder, in order; nothing when it is not there. */
export function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function pathOf(path: string): string {
  return fileURLToPath(new URL(path, NATIVE));
}
