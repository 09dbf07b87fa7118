/**
 * Arrows between the rooms of `src/` point one way: `cli -> server -> http,
 * fiber -> reactor -> system, bytes -> net -> poll -> native`.
 *
 * @module
 */

import { posix } from "node:path";

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
  park: { uses: ["base"] },
  native: { uses: ["base"] },
  poll: { uses: ["base", "native"] },
  net: { uses: ["base", "native", "poll"] },
  proactor: { uses: ["base", "park", "native", "poll", "net"] },
  stream: { uses: [], types: ["net"] },
  bytes: { uses: ["base", "net"] },
  system: { uses: ["base", "park", "native", "poll", "net", "bytes"] },
  reactor: {
    uses: ["base", "native", "poll", "net", "stream", "bytes", "system"],
  },
  fiber: { uses: ["base", "net", "stream", "bytes", "reactor"] },
  // HTTP must run over any transport, also over a test's.
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
  // Entry points beside mod.ts.
  "proactor.ts": { uses: ["base", "native", "poll", "net", "proactor"] },
  "poll.ts": { uses: ["native", "poll", "net"] },
  "testing.ts": { uses: ["net", "system"] },
};

/** The command line prints the version of this file. */
const CONFIG = "deno.json";

/** Returns why `path` may not import `specifier`, unless it may. */
export function arrowFault(
  path: string,
  specifier: string,
  isType: boolean,
): string | undefined {
  if (path === "mod.ts") {
    return /^\.\/src\/(?!cli\/)/.test(specifier) ? undefined : "mod.ts may " +
      `re-export what lies in src/ outside of src/cli, not "${specifier}"`;
  }
  const room = roomOf(path);
  const arrow = ARROWS[room];
  if (arrow === undefined) {
    return `src/${room} is no room: there are ${
      Object.keys(ARROWS).join(", ")
    }`;
  }
  if (specifier.startsWith("node:")) return undefined;
  if (!specifier.startsWith(".")) {
    return `${room} may not import package "${specifier}": ` +
      `src/ needs nothing but Deno`;
  }
  const target = posix.join(posix.dirname(path), specifier);
  if (room === "cli" && target === CONFIG) return undefined;
  const to = target.startsWith("src/") ? roomOf(target) : target;
  const { uses, types = [] } = arrow;
  if (to === room || uses.includes(to)) return undefined;
  if (isType && types.includes(to)) return undefined;
  const allowed = [...uses, ...types.map((name) => `types of ${name}`)];
  return `${room} may not import ${to}, only ${
    allowed.join(", ") || "its own files"
  }`;
}

/** The innermost room that a path of `src/` lies in. */
function roomOf(path: string): string {
  const [, outer, inner] = path.split("/");
  const nested = `${outer}/${inner}`;
  return nested in ARROWS ? nested : outer!;
}
