import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import {
  buildCommand,
  builtLibrary,
  freshen,
  staleReason,
} from "../../scripts/build.ts";
import { BUILD_DEADLINE_MS, runProgram } from "../util/program.ts";

const EARLY = new Date("2020-01-01T00:00:00Z");
const LATE = new Date("2021-01-01T00:00:00Z");

/** A crate as far as building looks at it, gone when the test ends. */
class FakeCrate implements Disposable {
  readonly url: URL;
  readonly #folder = Deno.makeTempDirSync();

  constructor() {
    this.url = new URL(`file://${this.#folder}/`);
    for (const path of ["Cargo.toml", "Cargo.lock", "src/sys/epoll.rs"]) {
      this.write(path, EARLY);
    }
  }

  write(path: string, modified: Date): void {
    const file = new URL(path, this.url);
    Deno.mkdirSync(new URL(".", file), { recursive: true });
    Deno.writeTextFileSync(file, "");
    Deno.utimeSync(file, modified, modified);
  }

  writeLibrary(modified: Date): void {
    const path = builtLibrary(this.url).href.slice(this.url.href.length);
    this.write(path, modified);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

Deno.test("staleReason() is none, when the library is as new as its sources", () => {
  using crate = new FakeCrate();
  assertEquals(staleReason(crate.url), "it is not there yet");
  crate.writeLibrary(EARLY);
  assertEquals(staleReason(crate.url), undefined);
});

for (
  const path of [
    "Cargo.toml",
    "Cargo.lock",
    "src/a.rs",
    "src/b/c.rs",
    "build.rs",
    "poll/Cargo.toml",
    "poll/src/sys/a.rs",
  ]
) {
  Deno.test(`staleReason() names ${path}, when it is newer`, () => {
    using crate = new FakeCrate();
    crate.writeLibrary(EARLY);
    crate.write(path, LATE);
    assertStringIncludes(staleReason(crate.url)!, `${path} is newer`);
  });
}

Deno.test("freshen() ends staleness, when cargo left an old library", () => {
  using crate = new FakeCrate();
  crate.writeLibrary(EARLY);
  crate.write("Cargo.toml", LATE);
  freshen(crate.url);
  assertEquals(staleReason(crate.url), undefined);
});

/** Runs in another folder: nothing may depend on it. */
function runBuild(args: string[], env: Record<string, string> = {}) {
  const script = new URL("../../scripts/build.ts", import.meta.url).pathname;
  return runProgram(
    [Deno.execPath(), "run", "--quiet", "-A", script, ...args],
    { cwd: "/", env, deadlineMs: BUILD_DEADLINE_MS },
  );
}

Deno.test("build --if-stale says nothing, when all is built", async () => {
  // The first may have to build, which other steps of the gate do as well.
  await runBuild(["--if-stale"]);
  const result = await runBuild(["--if-stale"]);
  assertEquals(result, { code: 0, stdout: "", stderr: "" });
});

Deno.test("build says in one line how to get cargo, when there is none", async () => {
  const { code, stderr } = await runBuild([], { PATH: "/nonexistent" });
  assertMatch(stderr, /^error: [^\n]+ get Rust 1.85 or newer from [^\n]+\n$/);
  assertEquals(code, 1);
});

Deno.test("build() of an example builds the library too, and leaves no old one", () => {
  assert(buildCommand(["--example", "limit"]).includes("--lib"));
});
