import { assert, assertEquals, assertMatch } from "@std/assert";
import { faultLines, RULES } from "../../scripts/check.ts";
import { ITEMS } from "../../scripts/check/contract.ts";

const SYMBOLS = `
export const ABI_VERSION = 1;
export const EVENTS_MAX = 1024;
export const SYMBOLS = {
  denio_abi_version: { parameters: [], result: "i32" },
  denio_stream_read: {
    parameters: [/* stream */ "u32", /* buffer */ "buffer"],
    result: "i32",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;
`;

const FFI = `
pub const ABI_VERSION: i32 = 1;

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
const TESTS = `
contractTest(
  "${IN_TYPESCRIPT.join(", ")}",
  "it does",
  (backend) => {},
);
`;
const TABLE = `# What it does\n\n${
  IN_TYPESCRIPT.map((item) =>
    `| ${item} | It does | \`it_test.ts\`: "it does" |\n`
  ).join("")
}| ${ITEMS} | It does | \`native/tests/it.rs\`: \`it_does\` |\n`;

/** A project that breaks no rule. */
const GOOD: Readonly<Record<string, string>> = {
  "deno.json": '{ "version": "1.2.3" }',
  "native/Cargo.toml": '[package]\nname = "denio"\nversion = "1.2.3"\n',
  "native/Cargo.lock": 'name = "denio"\nversion = "1.2.3"\n',
  "native/fuzz/Cargo.lock": 'name = "denio"\nversion = "1.2.3"\n',
  "CHANGELOG.md": "# Changes\n\n## 1.3.0\n\n## 1.2.3\n",
  ".gitignore": "/native/target/\nnode_modules/\n",
  "node_modules": "",
  "src/native/symbols.ts": SYMBOLS,
  "native/src/ffi/mod.rs": `#![allow(unsafe_code)]\n${FFI}`,
  "native/poll/src/sys/mod.rs": "pub const BATCH_MAX: usize = 1_024;\n",
  "native/tests/it.rs": "#[test]\n#[ignore]\nfn it_does() {}\n",
  "tests/contract/README.md": TABLE,
  "tests/contract/it_test.ts": TESTS,
};

const RUST = "native/src/ffi/mod.rs";
const TYPESCRIPT = "src/native/symbols.ts";
const README = "tests/contract/README.md";
const TEST = "tests/contract/it_test.ts";

/** Faults: in each a text of a file is replaced, and a rule must find it. */
const BAD: [file: string, from: string, to: string, says: RegExp][] = [
  [RUST, "stream: u32", "stream: i32", /^src\/native\/.*stream: i32.*\(abi\)$/],
  [RUST, "stream: u32", "handle: u32", /has denio_stream_read\(handle: u32/],
  [RUST, "_abi_version", "_version", /has no denio_abi_version/],
  [RUST, "#[unsafe(no_mangle)]", "", /version needs #\[unsafe\(no_mangle/],
  [RUST, "i32 = 1;", "i32 = 2;", /ABI_VERSION is 1, but 2 in Rust/],
  ["native/poll/src/sys/mod.rs", "1_024", "512", /EVENTS_MAX is 1024, but 512/],
  [TYPESCRIPT, "/* stream */", "", /read\(\(unnamed\): u32/],
  [TYPESCRIPT, '"i32"', '"u32"', /-> u32, but .* -> i32/],
  [TYPESCRIPT, "denio_stream_read", "x", /denio_stream_read is missing/],
  ["src/a.ts", "", 'import type { B } from "./a.ts";', /itself.*\(circles\)$/],
  [README, "| 41 |", "| 42 |", /item 41 has no row.*\(contract\)$/],
  [README, "| 41 |", "| 80 |", /README.md:43: there is no item 80/],
  [README, '"it does"', "later", /a row is \| item/],
  [TEST, "it does", "it did", /it_test.ts has no test "it does"/],
  [TEST, " 41,", "", /has no test "it does" of item 41 /],
  [TEST, '"it does"', "`it ${does}`", /it_test.ts:2: .* plain strings/],
  [TEST, "contractTest", "// contractTest", /has no test "it does"/],
  [TEST, "\n", '\ncontractTest("41", "more", run);\n', /has no row for .*more/],
  ["native/tests/it.rs", "#[test]", "", /it.rs has no test "it_does"/],
  [".gitignore", "node_modules/", "", /^node_modules:1: .*\(top level\)$/],
  ["native/src/net.rs", "", "#![allow(unsafe_code)]", /\(unsafe code\)$/],
  ["native/poll/src/a.rs", "", "#![allow(unsafe_code)]", /\(unsafe code\)$/],
  ["native/Cargo.lock", "1.2.3", "1.2.4", /must be 1.2.3, as in deno.json/],
  ["CHANGELOG.md", "1.2.3", "1.2.2", /must be 1.2.3.*\(versions\)$/],
];

Deno.test("check says nothing, when no rule is broken", () => {
  assertEquals(faultLines(new Map(Object.entries(GOOD))), []);
});

for (const [file, from, to, says] of BAD) {
  Deno.test(`check finds ${says.source} in ${file}`, () => {
    const changed = (GOOD[file] ?? "").replace(from, to);
    const files = Object.entries({ ...GOOD, [file]: changed });
    assertMatch(faultLines(new Map(files))[0] ?? "", says);
  });
}

Deno.test("check finds a circle by way of other files", () => {
  const files = new Map([
    ...Object.entries(GOOD),
    ["src/poll/a.ts", 'import {\n  a,\n  b,\n} from "./b.ts";\n'],
    ["src/poll/b.ts", 'type C = import("./c.ts").C;\n'],
    ["src/poll/c.ts", 'export * from "./a.ts";\n'],
  ]);
  assertEquals(faultLines(files), [
    "src/poll/c.ts:1: imports itself: src/poll/a.ts -> src/poll/b.ts -> " +
    "src/poll/c.ts -> src/poll/a.ts (circles)",
  ]);
});

Deno.test("each rule has an example that breaks it", () => {
  const shown = BAD.map(([, , , says]) => says.source).join();
  for (const rule of Object.keys(RULES)) {
    assert(shown.includes(`\\(${rule}\\)`), rule);
  }
});
