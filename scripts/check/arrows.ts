/**
 * Arrows between the rooms of `src/` point one way: `cli -> server -> http,
 * fiber -> reactor -> system, bytes -> net -> poll -> native`.
 *
 * @module
 */

import { posix } from "node:path";
import { type Fault, type Project, typeScriptUnder } from "./project.ts";
import { type ImportFound, importsOf, parse } from "./syntax.ts";

/**
 * What each room may import; of those in `types`, only types. Rooms are named by
 * their paths in `src/`: a file or a folder that is named here by itself is no
 * part of the folder around it. Each room imports from rooms above it in this
 * table alone, so no arrow runs back.
 */
export const ARROWS: Readonly<
  Record<string, { uses: string[]; types?: string[] }>
> = {
  base: { uses: [] },
  native: { uses: ["base"] },
  poll: { uses: ["base", "native"] },
  net: { uses: ["base", "native", "poll"] },
  stream: { uses: [], types: ["net"] },
  bytes: { uses: ["base", "net"] },
  system: { uses: ["base", "poll", "net"] },
  reactor: {
    uses: ["base", "native", "poll", "net", "stream", "bytes", "system"],
  },
  fiber: { uses: ["base", "net", "stream", "bytes", "reactor"] },
  // The protocol must run over anything that moves bytes, a test's as well.
  http: { uses: ["base", "native", "stream", "bytes"] },
  trace: { uses: ["base", "native", "poll", "net", "system", "http"] },
  server: { uses: ["base", "stream", "reactor", "http"], types: ["net"] },
  "server/worker": {
    uses: [
      "base",
      "native",
      "poll",
      "net",
      "system",
      "reactor",
      "http",
      "server",
    ],
  },
  "server/serve.ts": { uses: ["server", "server/worker"], types: ["http"] },
  "server/register.ts": {
    uses: ["server", "server/serve.ts"],
    types: ["http"],
  },
  cli: {
    uses: [
      "base",
      "reactor",
      "trace",
      "server",
      "server/worker",
      "server/serve.ts",
    ],
  },
};

/** The command line prints the version that this file has. */
const CONFIG = "deno.json";

/** What comes with Deno itself. */
const BUILT_IN = /^node:/;

/** Finds imports that no arrow allows. */
export function* arrows(project: Project): Generator<Fault> {
  for (const [path, text] of typeScriptUnder(project, "src")) {
    for (const found of importsOf(parse(path, text))) {
      const message = faultOf(path, found);
      if (message) yield { file: path, line: found.line, message };
    }
  }
  for (const found of importsOf(parse("mod.ts", modText(project)))) {
    if (/^\.\/src\/(?!cli\/)/.test(found.specifier)) continue;
    const message = `mod.ts may re-export what lies in src/ outside of ` +
      `src/cli, not "${found.specifier}"`;
    yield { file: "mod.ts", line: found.line, message };
  }
}

function modText({ files }: Project): string {
  return files.get("mod.ts") ?? "";
}

function faultOf(path: string, found: ImportFound): string | undefined {
  const folder = layerOf(path);
  const arrow = ARROWS[folder];
  if (arrow === undefined) {
    return `src/${folder} is no layer: there are ${
      Object.keys(ARROWS).join(", ")
    }`;
  }
  if (BUILT_IN.test(found.specifier)) return undefined;
  if (!found.specifier.startsWith(".")) {
    return `${folder} may not import package "${found.specifier}": ` +
      `src/ needs nothing but Deno`;
  }
  const target = posix.join(posix.dirname(path), found.specifier);
  if (folder === "cli" && target === CONFIG) return undefined;
  const to = target.startsWith("src/") ? layerOf(target) : target;
  const types = arrow.types ?? [];
  if (to === folder || arrow.uses.includes(to)) return undefined;
  if (found.isType && types.includes(to)) return undefined;
  return `${folder} may not import ${to}, only ${allowed(arrow.uses, types)}`;
}

function allowed(uses: string[], types: string[]): string {
  const names = [...uses, ...types.map((name) => `types of ${name}`)];
  return names.join(", ") || "its own files";
}

/** The innermost room that a path of `src/` lies in. */
function layerOf(path: string): string {
  const [, outer, inner] = path.split("/");
  const nested = `${outer}/${inner}`;
  return nested in ARROWS ? nested : outer!;
}
