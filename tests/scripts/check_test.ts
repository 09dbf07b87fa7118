import { assertArrayIncludes, assertEquals, assertMatch } from "@std/assert";
import { breaches, RULES } from "../../scripts/check.ts";
import { ARROWS } from "../../scripts/check/arrows.ts";
import { ITEMS } from "../../scripts/check/contract.ts";
import { LINES_MAX } from "../../scripts/check/function_length.ts";
import { codeOf } from "../../scripts/check/unsafe_code.ts";

const DOC = "/**\n * Does something.\n *\n * @module\n */\n";

const SYMBOLS = `
export const ABI_VERSION = 1; export const ACCEPT_WORDS = 2; export const DATAGRAM_CUT = 8;
export const ADDRESS_BYTES = 24;
export const CLOCK_WORDS = 2;
export const EVENTS_MAX = 1024;
export const ABI_SYMBOL = {
  denio_abi_version: { parameters: [], result: "i32" },
} as const;
export const SYMBOLS = {
  ...ABI_SYMBOL,
  denio_stream_read: {
    parameters: [/* stream */ "u32", /* buffer */ "buffer"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;
`;

const FFI = `
pub const ABI_VERSION: i32 = 1;
pub const ACCEPT_WORDS: usize = 2; pub const DATAGRAM_CUT: i32 = 8;
pub const ADDRESS_BYTES: usize = 24;
pub const CLOCK_WORDS: usize = 2;

#[unsafe(no_mangle)]
pub extern "C" fn denio_abi_version() -> i32 {
    ABI_VERSION
}

/// As \`pub extern "C" fn denio_in_a_comment() -> i32\`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn denio_stream_read(
    stream: u32,
    buffer: *mut u8,
) -> i32 {
    0
}
`;

const ITEM_NUMBERS = Array.from({ length: ITEMS }, (_, index) => index + 1);
const IN_TYPESCRIPT = ITEM_NUMBERS.slice(0, -1);

const CONTRACT_TESTS = `${DOC}contractTest(
  "${IN_TYPESCRIPT.join(", ")}",
  "it does, when asked",
  (backend) => {},
);
`;

const CONTRACT_IN_RUST = `#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "only there")]
fn it_does_in_rust() {}
`;

const CONTRACT_TABLE = `# What it does

| item | what | where |
| ---- | ---- | ----- |
${
  IN_TYPESCRIPT.map((item) =>
    `| ${item} | It does | \`it_test.ts\`: "it does, when asked" |\n`
  ).join("")
}| ${ITEMS} | It does | \`native/tests/it.rs\`: \`it_does_in_rust\` |
`;

/** A project that breaks no rule. */
const GOOD: Readonly<Record<string, string>> = {
  "deno.json": '{ "version": "1.2.3" }',
  "native/Cargo.toml": '[package]\nname = "denio"\nversion = "1.2.3"\n',
  "native/fuzz/Cargo.lock": 'name = "denio"\nversion = "1.2.3"\n',
  "native/Cargo.lock":
    '[[package]]\nname = "denio"\nversion = "1.2.3"\n\n[[package]]\n' +
    'name = "libc"\nversion = "9.9.9"\n',
  "CHANGELOG.md": "# Changes\n\n## 1.2.3 (2026-11-20)\n\n## 1.2.2\n",
  ".gitignore": "/native/target/\nnode_modules/\n",
  "mod.ts": 'export { serve } from "./src/server/serve.ts";\n',
  "src/native/symbols.ts": DOC + SYMBOLS,
  "src/native/library.ts": `${DOC}Deno.dlopen("x", {});\n`,
  "src/poll/poll.ts": `${DOC}import "../native/library.ts";\n`,
  "src/net/tcp_stream.ts": `${DOC}import "../poll/poll.ts";\n`,
  "src/reactor/reactor.ts": `${DOC}export * from "../net/tcp_stream.ts";\n`,
  "src/http/head.ts": `${DOC}import { Buffer } from "node:buffer";\n`,
  "src/server/serve.ts": `${DOC}import "./http_server.ts";\n`,
  "src/server/http_server.ts": `${DOC}import "../reactor/reactor.ts";\n` +
    'import type { Address } from "../net/address.ts";\n',
  "src/cli/main.ts": `${DOC}import config from "../../deno.json";\n` +
    'import "../server/serve.ts";\n// import "../net/tcp_stream.ts";\n',
  "native/src/ffi/mod.rs": FFI,
  "native/src/sys/mod.rs": "pub const BATCH_MAX: usize = 1_024;\n",
  "native/tests/it.rs": CONTRACT_IN_RUST,
  "tests/contract/README.md": CONTRACT_TABLE,
  "tests/contract/it_test.ts": CONTRACT_TESTS,
  "native/src/net.rs": "//! Nothing unsafe.\n#![deny(unsafe_code)]\n",
};

/** What the rules say of the good project with some files changed. */
function said(
  changes: Readonly<Record<string, string>>,
  topLevel: readonly string[] = [],
): string[] {
  const files = new Map(Object.entries({ ...GOOD, ...changes }));
  const top = ["deno.json", "src", ".git", "node_modules", ...topLevel];
  return breaches({ files, topLevel: top });
}

Deno.test("check says nothing, when no rule is broken", () => {
  assertEquals(said({}), []);
});

/** Something that breaks a rule, and what must be said of it. */
interface Bad {
  readonly rule: keyof typeof RULES;
  readonly what: string;
  readonly file: string;
  readonly text: string;
  readonly says: RegExp;
}

const LONG = `function long() {\n${"  work();\n".repeat(LINES_MAX - 1)}}\n`;

const BAD: readonly Bad[] = [
  {
    rule: "arrows",
    what: "an import against the arrows",
    file: "src/poll/poll.ts",
    text: `${DOC}import { head } from "../http/head.ts";\n`,
    says: /^src\/poll\/poll.ts:6: poll may not import http, only base, native/,
  },
  {
    rule: "arrows",
    what: "a re-export against the arrows",
    file: "src/native/library.ts",
    text: `${DOC}export * from "../http/head.ts";\n`,
    says: /native may not import http, only base/,
  },
  {
    rule: "arrows",
    what: "a lazy import against the arrows",
    file: "src/http/head.ts",
    text: `${DOC}const x = await import("../reactor/reactor.ts");\n`,
    says: /http may not import reactor, only base, native/,
  },
  {
    rule: "arrows",
    what: "a type from against the arrows",
    file: "src/http/head.ts",
    text: `${DOC}type X = import("../net/address.ts").Address;\n`,
    says: /http may not import net/,
  },
  {
    rule: "arrows",
    what: "a type import against the arrows",
    file: "src/net/tcp_stream.ts",
    text: `${DOC}import type { X } from "../server/worker/member.ts";\n`,
    says: /net may not import server\/worker, only base, native, poll/,
  },
  {
    rule: "arrows",
    what: "a value where only types may come from",
    file: "src/server/http_server.ts",
    text: `${DOC}import { TcpStream } from "../net/tcp_stream.ts";\n`,
    says: /server may not import net, only base, .*reactor.*, types of net/,
  },
  {
    rule: "circles",
    what: "a circle of types",
    file: "src/native/library.ts",
    text: `${DOC}import type { ABI_VERSION } from "./symbols.ts";\n` +
      'import type { Library } from "./library.ts";\n',
    says: /imports itself: src\/native\/library.ts -> src\/native\/library.ts/,
  },
  {
    rule: "arrows",
    what: "a command line that reaches below the server",
    file: "src/cli/main.ts",
    text: `${DOC}import type { Handler } from "../http/service.ts";\n`,
    says: /cli may not import http, only base, .*server/,
  },
  {
    rule: "arrows",
    what: "an import from outside of src",
    file: "src/poll/poll.ts",
    text: `${DOC}import "../../scripts/build.ts";\n`,
    says: /poll may not import scripts\/build.ts/,
  },
  {
    rule: "arrows",
    what: "a package",
    file: "src/poll/poll.ts",
    text: `${DOC}import "npm:left-pad@1";\n`,
    says: /poll may not import package "npm:left-pad@1"/,
  },
  {
    rule: "arrows",
    what: "a folder that is no layer",
    file: "src/util/drawer.ts",
    text: `${DOC}import "../native/library.ts";\n`,
    says: /src\/util is no layer: there are base, native,/,
  },
  {
    rule: "arrows",
    what: "a public face that shows the command line",
    file: "mod.ts",
    text: 'export { run } from "./src/cli/main.ts";\n',
    says: /^mod.ts:1: mod.ts may re-export what lies in src\/ outside/,
  },
  {
    rule: "dlopen",
    what: "Deno.dlopen elsewhere",
    file: "src/net/tcp_stream.ts",
    text: `${DOC}\nDeno.dlopen("libc.so.6", {});\n`,
    says: /^src\/net\/tcp_stream.ts:7: Deno.dlopen belongs in src\/native/,
  },
  {
    rule: "dlopen",
    what: "dlopen by another way to name it",
    file: "src/net/tcp_stream.ts",
    text: `${DOC}const { dlopen: open } = Deno;\nDeno["dlopen"]("x", {});\n`,
    says: /^src\/net\/tcp_stream.ts:6: /,
  },
  {
    rule: "top level",
    what: "an entry that git does not ignore",
    file: ".gitignore",
    text: "/native/target/\n",
    says: /^node_modules:1: does not belong at the top/,
  },
  {
    rule: "abi",
    what: "a parameter of another type",
    file: "native/src/ffi/mod.rs",
    text: FFI.replace("stream: u32", "stream: i32"),
    says: /^src\/native\/symbols.ts:16: denio_stream_read\(stream: u32, b.*i32/,
  },
  {
    rule: "abi",
    what: "a parameter of another name",
    file: "native/src/ffi/mod.rs",
    text: FFI.replace("stream: u32", "handle: u32"),
    says: /but native\/src\/ffi\/mod.rs has denio_stream_read\(handle: u32/,
  },
  {
    rule: "abi",
    what: "parameters in another order",
    file: "src/native/symbols.ts",
    text: DOC + SYMBOLS.replace(
      '/* stream */ "u32", /* buffer */ "buffer"',
      '/* buffer */ "buffer", /* stream */ "u32"',
    ),
    says: /denio_stream_read\(buffer: buffer, stream: u32\) -> i32, but/,
  },
  {
    rule: "abi",
    what: "a parameter without a name",
    file: "src/native/symbols.ts",
    text: DOC + SYMBOLS.replace("/* stream */", ""),
    says: /denio_stream_read\(\(unnamed\): u32/,
  },
  {
    rule: "abi",
    what: "another result",
    file: "src/native/symbols.ts",
    text: DOC + SYMBOLS.replaceAll('"i32"', '"u32"'),
    says: /denio_abi_version\(\) -> u32, but .* denio_abi_version\(\) -> i32/,
  },
  {
    rule: "abi",
    what: "a function that only Rust has",
    file: "native/src/ffi/mod.rs",
    text: FFI +
      '#[unsafe(no_mangle)]\npub extern "C" fn denio_new(a: u32) -> i32 {}\n',
    says:
      /^native\/src\/ffi\/mod.rs:21: denio_new is missing in src\/native\/symb/,
  },
  {
    rule: "abi",
    what: "a function that only TypeScript has",
    file: "native/src/ffi/mod.rs",
    text: FFI.replace("denio_abi_version", "denio_version"),
    says: /native\/src\/ffi\/ has no denio_abi_version/,
  },
  {
    rule: "abi",
    what: "a function that the linker renames",
    file: "native/src/ffi/mod.rs",
    text: FFI.replace("#[unsafe(no_mangle)]\n", ""),
    says: /denio_abi_version needs #\[unsafe\(no_mangle\)\]/,
  },
  {
    rule: "abi",
    what: "another ABI number",
    file: "native/src/ffi/mod.rs",
    text: FFI.replace("i32 = 1;", "i32 = 2;"),
    says: /ABI_VERSION is 1, but ABI_VERSION in native\/src\/ffi\/ is 2/,
  },
  {
    rule: "abi",
    what: "another batch size",
    file: "native/src/sys/mod.rs",
    text: "pub const BATCH_MAX: usize = 512;\n",
    says: /EVENTS_MAX is 1024, but BATCH_MAX in .* is 512/,
  },
  ...[
    "native/Cargo.toml",
    "native/Cargo.lock",
    "native/fuzz/Cargo.lock",
    "CHANGELOG.md",
  ].map((file) => ({
    rule: "versions",
    what: `another version in ${file}`,
    file,
    text: GOOD[file]!.replace("1.2.3", "1.2.4"),
    says: /:\d+: the version is 1.2.4 and must be 1.2.3, as in deno.json/,
  })),
  {
    rule: "versions",
    what: "a changelog without versions",
    file: "CHANGELOG.md",
    text: "# Changes\n",
    says: /^CHANGELOG.md:1: the version is missing/,
  },
  {
    rule: "function length",
    what: "a function that is too long",
    file: "src/poll/poll.ts",
    text: DOC + LONG,
    says: /^src\/poll\/poll.ts:6: long\(\) has 71 lines; 70 are the most/,
  },
  {
    rule: "function length",
    what: "a method that is too long",
    file: "src/poll/poll.ts",
    text: `${DOC}class A {\n${LONG.replace("function ", "")}}\n`,
    says: /long\(\) has 71 lines/,
  },
  {
    rule: "function length",
    what: "an arrow function that is too long",
    file: "src/poll/poll.ts",
    text: `${DOC}const a = ${LONG.replace("function long()", "() =>")}`,
    says: /this function has 71 lines/,
  },
  {
    rule: "contract",
    what: "an item without a row",
    file: "tests/contract/README.md",
    text: CONTRACT_TABLE.replace(/^\| 41 .*\n/m, ""),
    says: /README.md:1: item 41 has no row/,
  },
  {
    rule: "contract",
    what: "a row of an unknown item",
    file: "tests/contract/README.md",
    text: `${CONTRACT_TABLE}${
      CONTRACT_TABLE.trim().split("\n").at(-1)!.replace("79", "80")
    }\n`,
    says: /README.md:84: there is no item 80, only 1 to 79/,
  },
  {
    rule: "contract",
    what: "a row that cannot be read",
    file: "tests/contract/README.md",
    text: CONTRACT_TABLE.replace(/^(\| 41 .*)"it does, .*$/m, "$1 later |"),
    says: /README.md:45: a row is \| item \| what/,
  },
  {
    rule: "contract",
    what: "a table that is missing",
    file: "tests/contract/README.md",
    text: "# What it does\n",
    says: /README.md:1: item 1 has no row/,
  },
  {
    rule: "contract",
    what: "a test that was renamed",
    file: "tests/contract/it_test.ts",
    text: CONTRACT_TESTS.replace("it does,", "it did,"),
    says: /README.md:5: tests\/contract\/it_test.ts has no test "it does, when/,
  },
  {
    rule: "contract",
    what: "a test in Rust that was renamed",
    file: "native/tests/it.rs",
    text: CONTRACT_IN_RUST.replace("it_does", "it_did"),
    says: /README.md:83: native\/tests\/it.rs has no test "it_does_in_rust"/,
  },
  {
    rule: "contract",
    what: "a function in Rust that is no test",
    file: "native/tests/it.rs",
    text: "fn it_does_in_rust() {}\n",
    says: /has no test "it_does_in_rust"/,
  },
  {
    rule: "contract",
    what: "a test that is in a comment alone",
    file: "tests/contract/it_test.ts",
    text: CONTRACT_TESTS.replace("contractTest(", "/* contractTest(") + "*/\n",
    says: /it_test.ts has no test "it does, when asked"/,
  },
  {
    rule: "contract",
    what: "a row of another item than its test",
    file: "tests/contract/it_test.ts",
    text: CONTRACT_TESTS.replace(" 41,", ""),
    says: /README.md:45: "it does, when asked" says that it is of 1, 2, /,
  },
  {
    rule: "contract",
    what: "a test without a row",
    file: "tests/contract/more_test.ts",
    text: `${DOC}contractTest("41", "it does more", () => {});\n`,
    says: /more_test.ts:6: item 41 has no row for "it does more"/,
  },
  {
    rule: "contract",
    what: "a title that is made up when it runs",
    file: "tests/contract/more_test.ts",
    text: `${DOC}contractTest("41", \`it does \${more}\`, () => {});\n`,
    says: /more_test.ts:6: contractTest\(\) takes items and title as plain/,
  },
  {
    rule: "unsafe code",
    what: "an unsafe block elsewhere",
    file: "native/src/net.rs",
    text: "fn f() {\n    unsafe { g() }\n}\n",
    says: /^native\/src\/net.rs:2: unsafe belongs in native\/src\/ffi\/ and/,
  },
  {
    rule: "module docs",
    what: "a file without a doc comment",
    file: "src/poll/poll.ts",
    text: "export {};\n",
    says: /^src\/poll\/poll.ts:1: the file must open with a doc comment/,
  },
  {
    rule: "module docs",
    what: "a doc comment without the tag",
    file: "src/poll/poll.ts",
    text: "/**\n * Polls.\n */\nexport const a = 1; // @module\n",
    says: /^src\/poll\/poll.ts:1: /,
  },
  {
    rule: "module docs",
    what: "a doc comment without words",
    file: "src/poll/poll.ts",
    text: "/**\n * @module\n */\n",
    says: /^src\/poll\/poll.ts:1: /,
  },
];

for (const { rule, what, file, text, says } of BAD) {
  Deno.test(`check finds ${what} (${rule})`, () => {
    const lines = said({ [file]: text });
    assertMatch(lines[0] ?? "", says);
    for (const line of lines) assertEquals(line.endsWith(`(${rule})`), true);
  });
}

Deno.test("a circle is found by way of other files", () => {
  const lines = said({
    "src/poll/a.ts": `${DOC}import "./b.ts";\n`,
    "src/poll/b.ts": `${DOC}import type { C } from "./c.ts";\n`,
    "src/poll/c.ts": `${DOC}export * from "./a.ts";\n`,
  });
  assertEquals(lines, [
    "src/poll/c.ts:1: imports itself: src/poll/a.ts -> src/poll/b.ts -> " +
    "src/poll/c.ts -> src/poll/a.ts (circles)",
  ]);
});

Deno.test("no arrow runs up: a room imports rooms above it in the table", () => {
  const rooms = Object.keys(ARROWS);
  for (const [room, { uses, types = [] }] of Object.entries(ARROWS)) {
    const above = rooms.slice(0, rooms.indexOf(room));
    for (const name of [...uses, ...types]) {
      assertArrayIncludes(above, [name], `${room} may import ${name}`);
    }
  }
});

Deno.test("check finds an entry that nobody planned (top level)", () => {
  const [line] = said({}, ["notes.txt"]);
  assertMatch(line ?? "", /^notes.txt:1: does not belong at the top/);
});

Deno.test("every rule has an example that breaks it", () => {
  const shown = new Set(BAD.map(({ rule }) => rule));
  assertEquals([...shown].sort(), Object.keys(RULES).sort());
});

Deno.test("a function of exactly the most lines is allowed", () => {
  const text = DOC + LONG.replace("  work();\n", "");
  assertEquals(said({ "src/poll/poll.ts": text }), []);
});

Deno.test("codeOf() keeps code and drops comments and literals", () => {
  const rust = `let a = "unsafe \\" unsafe"; // unsafe
/* unsafe
unsafe */ let b = r#"un"safe"#; let c = '"'; let d: &'a str = x; unsafe {}`;
  const code = codeOf(rust);
  assertEquals(code.length, rust.length);
  assertEquals(code.match(/unsafe/g)?.length, 1);
  assertMatch(code, /let d: &'a str = x; unsafe \{\}$/);
});
