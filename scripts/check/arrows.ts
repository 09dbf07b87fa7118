/**
 * Arrows between the rooms of `src/` point one way: `cli -> server -> http,
 * fiber -> reactor -> system, bytes -> net -> poll -> native`.
 *
 * @module
 */

import { posix } from "node:path";

const words = (text: string) => text === "" ? [] : text.split(" ");

/** A room that may import `uses`, and of `types` only types. */
const room = (uses: string, types = "") => (
  { uses: words(uses), types: words(types) }
);

/**
 * What each room may import. Rooms are named by their paths in `src/`: a file or
 * a folder that is named here by itself is no part of the folder around it. Each
 * room imports from rooms above it in this table alone, so no arrow runs back.
 */
export const ARROWS: Readonly<Record<string, ReturnType<typeof room>>> = {
  base: room(""),
  park: room("base"),
  native: room("base"),
  poll: room("base native"),
  net: room("base native poll"),
  proactor: room("base park native poll net"),
  stream: room("", "net"),
  bytes: room("base net"),
  system: room("base park native poll net bytes"),
  reactor: room("base native poll net stream bytes system"),
  fiber: room("base net stream bytes reactor"),
  // HTTP must run over any transport, also over a test's.
  http: room("base native stream bytes"),
  // The same frames go over any transport too.
  websocket: room("base native stream bytes http"),
  trace: room("base native poll net system http"),
  server: room("base stream reactor http websocket", "net"),
  "server/worker": room(
    "base native poll net bytes system reactor http websocket server",
  ),
  "server/serve.ts": room("server server/worker", "http"),
  "server/register.ts": room("websocket server server/serve.ts", "http"),
  cli: room("base reactor trace server server/worker server/serve.ts"),
  // Entry points beside mod.ts.
  "proactor.ts": room("base native poll net proactor"),
  "poll.ts": room("native poll net"),
  "testing.ts": room("net system"),
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
  const from = roomOf(path);
  const arrow = ARROWS[from];
  if (arrow === undefined) {
    return `src/${from} is no room: there are ${
      Object.keys(ARROWS).join(", ")
    }`;
  }
  if (specifier.startsWith("node:")) return undefined;
  if (!specifier.startsWith(".")) {
    return `${from} may not import package "${specifier}": ` +
      `src/ needs nothing but Deno`;
  }
  const target = posix.join(posix.dirname(path), specifier);
  if (from === "cli" && target === CONFIG) return undefined;
  const to = target.startsWith("src/") ? roomOf(target) : target;
  const { uses, types } = arrow;
  if (to === from || uses.includes(to)) return undefined;
  if (isType && types.includes(to)) return undefined;
  const allowed = [...uses, ...types.map((name) => `types of ${name}`)];
  return `${from} may not import ${to}, only ${
    allowed.join(", ") || "its own files"
  }`;
}

/** The innermost room that a path of `src/` lies in. */
function roomOf(path: string): string {
  const [, outer, inner] = path.split("/");
  const nested = `${outer}/${inner}`;
  return nested in ARROWS ? nested : outer!;
}
