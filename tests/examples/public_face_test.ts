/**
 * Each public thing is there for a program: one under `tests/examples` imports
 * it, or it stands in the signature of an imported thing.
 */

import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);
const EXAMPLES = new URL("tests/examples/", ROOT);

/** What `deno doc --json` says of an entry point. */
interface Entry {
  readonly symbols: readonly { name: string; declarations: unknown[] }[];
}

const IMPORT = /^import (?:type )?\{([^}]*)\} from "([^"]+)";/gm;

/** The names that example programs import from an entry point. */
function importedNames(entry: string): Set<string> {
  const names = new Set<string>();
  for (const { name: file } of Deno.readDirSync(EXAMPLES)) {
    if (!file.endsWith(".ts")) continue;
    const place = new URL(file, EXAMPLES);
    for (
      const [, list, from] of Deno.readTextFileSync(place).matchAll(IMPORT)
    ) {
      if (new URL(from!, place).href !== entry) continue;
      for (const item of list!.split(",")) {
        const [name] = item.trim().replace(/^type /, "").split(" as ");
        if (name) names.add(name);
      }
    }
  }
  return names;
}

/** The names of types that a declaration names, but not in its comments. */
function* namedTypes(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === "jsDoc") continue;
    const isName = key === "typeName" || key === "extends";
    if (isName && typeof inner === "string") yield inner;
    else yield* namedTypes(inner);
  }
}

Deno.test("each public thing is used by a program under tests/examples", async () => {
  const entries = Object.values(config.exports);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...entries],
    cwd: ROOT,
  }).output();
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as {
    nodes: Record<string, Entry>;
  };
  const declared = new Map<string, unknown[]>();
  const wanted: string[] = [];
  for (const [entry, { symbols }] of Object.entries(nodes)) {
    for (const { name, declarations } of symbols) {
      // The second entry point that exports it only refers to the first.
      const known = declared.get(name) ?? [];
      declared.set(name, [...known, ...declarations]);
    }
    wanted.push(...importedNames(entry));
  }
  const used = new Set<string>();
  for (let name; (name = wanted.pop()) !== undefined;) {
    if (used.has(name)) continue;
    used.add(name);
    wanted.push(...namedTypes(declared.get(name)));
  }
  const idle = [...declared.keys()].filter((name) => !used.has(name));
  assertEquals(idle.sort(), []);
});
