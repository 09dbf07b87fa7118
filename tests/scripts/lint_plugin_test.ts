import { assertArrayIncludes, assertEquals, assertMatch } from "@std/assert";
import { ARROWS } from "../../scripts/check/arrows.ts";
import plugin, { LINES_MAX } from "../../scripts/lint_plugin.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const DOC = "/**\n * Does something.\n *\n * @module\n */\n";
const LINES = "  work();\n".repeat(LINES_MAX - 1);

/** Returns what the rules say of one file. */
function said(path: string, text: string): string[] {
  return Deno.lint.runPlugin(plugin, ROOT + path, text)
    .map(({ id, message }) => `${id}: ${message}`);
}

/** Files that break no rule, each behind a doc comment. */
const GOOD: [path: string, text: string][] = [
  ["mod.ts", 'export { serve } from "./src/server/serve.ts";'],
  ["src/native/library.ts", 'Deno.dlopen("x", {});'],
  ["src/net/tcp_stream.ts", 'import "../poll/poll.ts";'],
  ["src/http/head.ts", 'import { Buffer } from "node:buffer";'],
  ["src/server/a.ts", 'import { type A } from "../net/address.ts";'],
  ["src/cli/main.ts", 'import config from "../../deno.json";'],
  ["src/base/own.ts", "Date.now();"],
  ["src/net/a.ts", "const at: Date = dateOf(0);\nat.setTimeout(1);"],
  ["src/poll/poll.ts", `function a() {\n${LINES.slice(10)}}`],
  ["tests/any_test.ts", `import "npm:left-pad@1";\nfunction a() {\n${LINES}}`],
];

/** Files that break one, each behind a doc comment. */
const BAD: [path: string, text: string, says: RegExp][] = [
  ["src/poll/a.ts", 'import "../http/head.ts";', /arrows: poll may not import/],
  ["src/native/a.ts", 'export * from "../http/a.ts";', /may not import http/],
  ["src/http/a.ts", 'await import("../net/a.ts");', /http may not import net/],
  ["src/http/a.ts", 'type X = import("../net/a.ts").A;', /may not import net/],
  ["src/net/a.ts", 'import type { X } from "../http/a.ts";', /import http/],
  ["src/server/a.ts", 'import { a } from "../net/a.ts";', /types of net$/],
  ["src/poll/a.ts", 'import "../../scripts/build.ts";', /scripts\/build.ts/],
  ["src/poll/a.ts", 'import "npm:left-pad@1";', /package "npm:left-pad@1"/],
  ["src/util/a.ts", 'import "../native/a.ts";', /src\/util is no room/],
  [
    "mod.ts",
    'export { run } from "./src/cli/main.ts";',
    /mod.ts may re-export/,
  ],
  ["src/net/a.ts", "const { dlopen: open } = Deno;", /dlopen belongs in src/],
  ["src/net/a.ts", 'Deno["dlopen"]("x", {});', /^denio\/dlopen: /],
  ["src/net/a.ts", "queueMicrotask(a);", /own-clock: queueMicrotask may be a/],
  ["src/net/a.ts", "new Date();", /Date may be a fake/],
  ["src/net/a.ts", "performance.now();", /performance may be a fake/],
  ["src/poll/a.ts", `function a() {\n${LINES}}`, /has 71 lines, more than 70/],
  ["scripts/a.ts", `class A {\n  a() {\n${LINES}}\n}`, /has 71 lines/],
  ["src/poll/a.ts", `const a = () => {\n${LINES}};`, /has 71 lines/],
];

for (const [path, text] of GOOD) {
  Deno.test(`the house rules allow ${path} its ${text.slice(0, 40)}`, () => {
    assertEquals(said(path, `${DOC}${text}\n`), []);
  });
}

for (const [path, text, says] of BAD) {
  Deno.test(`the house rules find that ${path} ${says.source}`, () => {
    assertMatch(said(path, `${DOC}${text}\n`)[0] ?? "", says);
  });
}

for (const text of ["export {};\n", "/**\n * @module\n */\n"]) {
  Deno.test(`the house rules want a doc comment in ${text}`, () => {
    assertMatch(
      said("src/a.ts", text)[0]!,
      /^denio\/module-docs: A file opens/,
    );
  });
}

Deno.test("no arrow runs up: a room imports rooms above it in the table", () => {
  const rooms = Object.keys(ARROWS);
  for (const [room, { uses, types }] of Object.entries(ARROWS)) {
    const above = rooms.slice(0, rooms.indexOf(room));
    for (const name of [...uses, ...types]) {
      assertArrayIncludes(above, [name], `${room} may import ${name}`);
    }
  }
});
