import { assertEquals, assertExists, assertStringIncludes } from "@std/assert";
import {
  buildArguments,
  builtLibrary,
  freshen,
  staleReason,
} from "../../scripts/build.ts";

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

Deno.test("staleReason() is that the library is not there, before a build", () => {
  using crate = new FakeCrate();
  assertEquals(staleReason(crate.url), "it is not there yet");
});

Deno.test("staleReason() is none, when the library is as new as its sources", () => {
  using crate = new FakeCrate();
  crate.writeLibrary(EARLY);
  assertEquals(staleReason(crate.url), undefined);
  crate.writeLibrary(LATE);
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
    const reason = staleReason(crate.url);
    assertExists(reason);
    assertStringIncludes(reason, `${path} is newer`);
  });
}

Deno.test("freshen() ends staleness, when cargo left an old library", () => {
  using crate = new FakeCrate();
  crate.writeLibrary(EARLY);
  crate.write("Cargo.toml", LATE);
  freshen(crate.url);
  assertEquals(staleReason(crate.url), undefined);
});

Deno.test("freshen() touches nothing, when the library is newer anyway", () => {
  using crate = new FakeCrate();
  crate.writeLibrary(LATE);
  freshen(crate.url);
  assertEquals(Deno.statSync(builtLibrary(crate.url)).mtime, LATE);
});

const BUILD = new URL("../../scripts/build.ts", import.meta.url);

async function runBuild(
  { args, path }: { args: string[]; path?: string },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", BUILD.pathname, ...args],
    // Another folder: nothing may depend on where it is called.
    cwd: "/",
    stdin: "null",
    ...path !== undefined && { env: { PATH: path } },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

Deno.test("build --if-stale says nothing, when all is built", async () => {
  // The first may have to build, which other steps of the gate do as well.
  await runBuild({ args: ["--if-stale"] });
  const { code, stdout, stderr } = await runBuild({ args: ["--if-stale"] });
  assertEquals({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" });
});

Deno.test("build says in one line how to get cargo, when there is none", async () => {
  const { code, stderr } = await runBuild({ args: [], path: "/nonexistent" });
  assertEquals(code, 1);
  assertEquals(
    stderr,
    "error: Cannot build: there is no cargo on PATH; " +
      "get Rust 1.85 or newer from https://rustup.rs\n",
  );
});

Deno.test("build() of an example builds the library too, and leaves no old one", () => {
  const words = buildArguments(["--example", "limit"]);
  assertEquals(words.includes("--lib"), true, words.join(" "));
});
