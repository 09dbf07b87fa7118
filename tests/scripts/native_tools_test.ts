/**
 * The scripts that check by tools of others: sanitize, fuzz, check:kqueue and
 * autobahn.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { faultsIn } from "../../scripts/autobahn.ts";
import { corpusOf, targetNames } from "../../scripts/fuzz.ts";
import { cratePath, namesIn } from "../../scripts/programs.ts";
import { obstacle } from "../../scripts/toolchain.ts";
import { runProgram, runTask } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** The corpus in the sources must not grow with every run. */
const CORPUS_FILES_MAX = 200;
const CORPUS_BYTES_MAX = 200_000;

for (const name of ["sanitize", "fuzz", "check:kqueue", "autobahn"]) {
  Deno.test(`${name} exits 2 with one line, when it does not know a name`, async () => {
    const { code, stdout, stderr } = await runTask(name, ["nothing"]);
    assertMatch(stderr, /^error: Cannot [^\n]+ "nothing": there are [^\n]+\n$/);
    assertEquals([code, stdout], [2, ""]);
  });
}

for (
  const [name, env, why] of [
    ["sanitize", { PATH: "/nonexistent" }, "no rustc on PATH; get Rust 1.85"],
    ["fuzz", { CXX: "no-such" }, 'no C\\+\\+ compiler "no-such"; get one with'],
    [
      "autobahn",
      { PATH: "/nonexistent" },
      "no Python 3 with venv; get it with",
    ],
  ] as const
) {
  Deno.test(`${name} says in one line what to install`, async () => {
    const { code, stderr } = await runProgram(
      [Deno.execPath(), "run", "-q", "-A", `${ROOT}scripts/${name}.ts`],
      { env: { ...env } },
    );
    assertMatch(stderr, new RegExp(`^error: [^\\n]+ there is ${why}`));
    assertEquals(code, 1);
  });
}

for (const target of targetNames()) {
  Deno.test(`the corpus of ${target} is there, and small`, () => {
    const corpus = corpusOf(target);
    const sizes = namesIn(corpus)
      .map((name) => Deno.statSync(`${corpus}/${name}`).size);
    assert(sizes.length > 0 && sizes.length < CORPUS_FILES_MAX);
    assert(sizes.reduce((sum, size) => sum + size) < CORPUS_BYTES_MAX);
  });
}

Deno.test("every fuzz target is built, as its manifest says", () => {
  const manifest = Deno.readTextFileSync(cratePath("fuzz/Cargo.toml"));
  const names = [...manifest.matchAll(/^\[\[bin\]\]\nname = "(.+)"$/gm)]
    .map(([, name]) => name);
  assertEquals(names.sort(), targetNames());
});

Deno.test("faultsIn() names what a server did or closed wrongly", () => {
  const faults = faultsIn([
    ["1.1", "OK", "INFORMATIONAL", "", ""],
    ["2.1", "NON-STRICT", "OK", "late", ""],
    ["3.1", "OK", "UNCLEAN", "", "dropped"],
  ]);
  assertEquals(faults.map((line) => line.replace(/ +/, " ")), [
    "2.1 NON-STRICT: late",
    "3.1 UNCLEAN: dropped",
  ]);
});

Deno.test("obstacle() says what is missing, and what to do", () => {
  assertEquals(obstacle("linux", () => true), undefined);
  const missing = obstacle("linux", (program) => program !== "apt-get");
  assertMatch(missing ?? "", /without apt-get: run this on Debian 12/);
  assertMatch(obstacle("darwin", () => true) ?? "", /"deno task test"/);
});
