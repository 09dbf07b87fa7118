import { assertArrayIncludes, assertEquals, assertMatch } from "@std/assert";
import { ARROWS } from "../../scripts/check/arrows.ts";
import plugin, { LINES_MAX } from "../../scripts/lint_plugin.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const DOC = "/**\n * Does something.\n *\n * @module\n */\n";
const LONG = `function long() {\n${"  work();\n".repeat(LINES_MAX - 1)}}\n`;

/** What the rules say of one file. */
function said(path: string, text: string): string[] {
  return Deno.lint.runPlugin(plugin, ROOT + path, text)
    .map(({ id, message }) => `${id}: ${message}`);
}

const GOOD: [path: string, text: string][] = [
  ["mod.ts", 'export { serve } from "./src/server/serve.ts";\n'],
  ["src/native/library.ts", `${DOC}Deno.dlopen("x", {});\n`],
  ["src/net/tcp_stream.ts", `${DOC}import "../poll/poll.ts";\n`],
  ["src/http/head.ts", `${DOC}import { Buffer } from "node:buffer";\n`],
  ["src/server/a.ts", `${DOC}import { type A } from "../net/address.ts";\n`],
  ["src/cli/main.ts", `${DOC}import config from "../../deno.json";\n`],
  ["src/poll/poll.ts", DOC + LONG.replace("  work();\n", "")],
  ["tests/any_test.ts", `import "npm:left-pad@1";\n${LONG}`],
];

const BAD: [path: string, text: string, says: RegExp][] = [
  [
    "src/poll/poll.ts",
    `${DOC}import { head } from "../http/head.ts";\n`,
    /^denio\/arrows: poll may not import http, only base, native$/,
  ],
  [
    "src/native/library.ts",
    `${DOC}export * from "../poll/poll.ts";\n`,
    /native may not import poll, only base/,
  ],
  [
    "src/http/head.ts",
    `${DOC}const x = await import("../reactor/reactor.ts");\n`,
    /http may not import reactor/,
  ],
  [
    "src/http/head.ts",
    `${DOC}type X = import("../net/address.ts").Address;\n`,
    /http may not import net/,
  ],
  [
    "src/net/tcp_stream.ts",
    `${DOC}import type { X } from "../reactor/reactor.ts";\n`,
    /net may not import reactor/,
  ],
  [
    "src/server/http_server.ts",
    `${DOC}import { TcpStream } from "../net/tcp_stream.ts";\n`,
    /server may not import net, only .*types of net/,
  ],
  [
    "src/poll/poll.ts",
    `${DOC}import "../../scripts/build.ts";\n`,
    /poll may not import scripts\/build.ts/,
  ],
  [
    "src/poll/poll.ts",
    `${DOC}import "npm:left-pad@1";\n`,
    /poll may not import package "npm:left-pad@1"/,
  ],
  [
    "src/util/drawer.ts",
    `${DOC}import "../native/library.ts";\n`,
    /src\/util is no room: there are base, native/,
  ],
  [
    "mod.ts",
    'export { run } from "./src/cli/main.ts";\n',
    /mod.ts may re-export what lies in src\/ outside/,
  ],
  [
    "src/net/tcp_stream.ts",
    `${DOC}const { dlopen: open } = Deno;\n`,
    /^denio\/dlopen: Deno.dlopen belongs in src\/native$/,
  ],
  [
    "src/net/tcp_stream.ts",
    `${DOC}Deno["dlopen"]("x", {});\n`,
    /^denio\/dlopen: /,
  ],
  [
    "src/poll/poll.ts",
    DOC + LONG,
    /^denio\/function-length: This function has 71 lines, more than 70$/,
  ],
  [
    "scripts/build.ts",
    `${DOC}class A {\n${LONG.replace("function ", "")}}\n`,
    /has 71 lines/,
  ],
  [
    "src/poll/poll.ts",
    `${DOC}const a = ${LONG.replace("function long()", "() =>")}`,
    /has 71 lines/,
  ],
  ["src/poll/poll.ts", "export {};\n", /^denio\/module-docs: A file opens/],
  [
    "src/poll/poll.ts",
    "/**\n * @module\n */\n",
    /^denio\/module-docs: A file opens/,
  ],
];

Deno.test("no arrow runs up: a room imports rooms above it in the table", () => {
  const rooms = Object.keys(ARROWS);
  for (const [room, { uses, types = [] }] of Object.entries(ARROWS)) {
    const above = rooms.slice(0, rooms.indexOf(room));
    for (const name of [...uses, ...types]) {
      assertArrayIncludes(above, [name], `${room} may import ${name}`);
    }
  }
});

for (const [path, text] of GOOD) {
  Deno.test(`the house rules allow ${JSON.stringify(text.slice(-60))}`, () => {
    assertEquals(said(path, text), []);
  });
}

for (const [path, text, says] of BAD) {
  Deno.test(`the house rules find that ${says.source.slice(0, 60)}`, () => {
    assertMatch(said(path, text)[0] ?? "", says);
  });
}
