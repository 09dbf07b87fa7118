import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UsageError } from "../../scripts/command_line.ts";
import { parseFuzzOptions } from "../../scripts/fuzz/options.ts";
import { namesIn, placesOf, targetNames } from "../../scripts/fuzz/places.ts";
import { runProgram } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);
const KNOWN = ["one", "other"];

/** What is kept with the sources must not grow with every run. */
const CORPUS_FILES_MAX = 200;
const CORPUS_BYTES_MAX = 200_000;

Deno.test("parseFuzzOptions() takes all targets, when none is named", () => {
  assertEquals(parseFuzzOptions([], KNOWN), {
    targets: KNOWN,
    seconds: 20,
    keep: false,
    help: false,
  });
});

Deno.test("parseFuzzOptions() takes targets, each once", () => {
  const args = ["other", "other", "--seconds", "5", "--keep"];
  assertEquals(parseFuzzOptions(args, KNOWN), {
    targets: ["other"],
    seconds: 5,
    keep: true,
    help: false,
  });
});

for (const args of [["none"], ["--seconds", "0"], ["--seconds", "1.5"]]) {
  Deno.test(`parseFuzzOptions() refuses "${args.join(" ")}"`, () => {
    assertThrows(() => parseFuzzOptions(args, KNOWN), UsageError);
  });
}

for (const target of targetNames()) {
  Deno.test(`the corpus of ${target} is there, and small`, () => {
    const { corpus } = placesOf(target);
    const names = namesIn(corpus);
    const bytes = names.map((name) => Deno.statSync(`${corpus}/${name}`).size)
      .reduce((sum, size) => sum + size, 0);
    assert(names.length > 0 && names.length < CORPUS_FILES_MAX);
    assert(bytes < CORPUS_BYTES_MAX, `${bytes} bytes`);
  });
}

Deno.test("every fuzz target is built, as its manifest says", () => {
  const manifest = Deno.readTextFileSync(
    new URL("native/fuzz/Cargo.toml", ROOT),
  );
  const names = [...manifest.matchAll(/^\[\[bin\]\]\nname = "(.+)"$/gm)]
    .map(([, name]) => name);
  assertEquals(names.sort(), targetNames());
});

function fuzz(...args: string[]) {
  const config = new URL("deno.json", ROOT).pathname;
  const task = ["task", "--quiet", "--config", config, "fuzz"];
  return runProgram([Deno.execPath(), ...task, ...args]);
}

Deno.test("fuzz --help explains, and exits 0", async () => {
  const { code, stdout } = await fuzz("--help");
  assertMatch(stdout, /Usage: deno task fuzz \[TARGET\.\.\.\]/);
  assertEquals(code, 0);
});

Deno.test("fuzz exits 2 with one line, when there is no such target", async () => {
  const { code, stdout, stderr } = await fuzz("none");
  assertEquals({ code, stdout }, { code: 2, stdout: "" });
  assertMatch(stderr, /^error: Cannot fuzz target "none": there are [^\n]+\n$/);
});

Deno.test("fuzz says in one line what to install, when there is no C++ compiler", async () => {
  const script = new URL("scripts/fuzz.ts", ROOT).pathname;
  const { code, stderr } = await runProgram(
    [Deno.execPath(), "run", "--quiet", "-A", script],
    { env: { CXX: "no-such-compiler" } },
  );
  assertEquals(code, 1);
  assertMatch(stderr, /^error: [^\n]+"no-such-compiler"; [^\n]+g\+\+[^\n]+\n$/);
});
