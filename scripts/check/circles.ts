/**
 * No file imports itself by way of others, not even for types: a reader of one
 * such file would have to read all of them.
 *
 * @module
 */

import { posix } from "node:path";
import { type Fault, type Files, filesUnder } from "./project.ts";

/** Imports and re-exports of files, as the formatter writes them. */
const IMPORT =
  /^(?:import|export)\b(?:[^;]*?\bfrom)?\s*"(\.[^"]+)"|\bimport\("(\.[^"]+)"/gm;

/** The files that each file imports, by their paths from the top. */
type Graph = ReadonlyMap<string, readonly string[]>;

/** Finds imports that close a circle. */
export function* circles(files: Files): Generator<Fault> {
  const graph = graphOf(files);
  const done = new Set<string>();
  const path: string[] = [];
  for (const file of graph.keys()) yield* walk(file, { graph, done, path });
}

/** Follows the imports of a file, and yields each that leads back. */
function* walk(
  file: string,
  way: { graph: Graph; done: Set<string>; path: string[] },
): Generator<Fault> {
  const { graph, done, path } = way;
  if (done.has(file)) return;
  path.push(file);
  for (const next of graph.get(file) ?? []) {
    const start = path.indexOf(next);
    if (start < 0) {
      yield* walk(next, way);
      continue;
    }
    const circle = [...path.slice(start), next].join(" -> ");
    yield { file, line: 1, message: `imports itself: ${circle}` };
  }
  path.pop();
  done.add(file);
}

function graphOf(files: Files): Graph {
  const graph = new Map<string, string[]>();
  for (const [path, text] of filesUnder(files, "", ".ts")) {
    const imports = [...text.matchAll(IMPORT)].map(([, one, other]) =>
      posix.join(posix.dirname(path), one ?? other!)
    );
    graph.set(path, imports);
  }
  return graph;
}
