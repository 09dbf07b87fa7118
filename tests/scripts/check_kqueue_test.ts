import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { clippyCommand } from "../../scripts/check_kqueue/clippy.ts";
import { run, step } from "../../scripts/debian_rust/command.ts";
import {
  parseCheckOptions,
  type Target,
  TARGETS,
} from "../../scripts/check_kqueue/options.ts";
import {
  aptCommand,
  isUnpacked,
  librariesOf,
  obstacle,
  runtimesFor,
  withoutRust,
} from "../../scripts/debian_rust/toolchain.ts";
import { Failure, UsageError } from "../../scripts/command_line.ts";
import { runProgram } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);

function runCheck(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const config = new URL("deno.json", ROOT).pathname;
  const task = ["task", "--quiet", "--config", config, "check:kqueue"];
  return runProgram([Deno.execPath(), ...task, ...args]);
}

Deno.test("check:kqueue --help names each target", async () => {
  const { code, stdout } = await runCheck("--help");
  assertEquals(code, 0);
  for (const target of TARGETS) assertStringIncludes(stdout, target);
});

Deno.test("check:kqueue says in one line what there is, when a target is none", async () => {
  const { code, stdout, stderr } = await runCheck("x86_64-pc-windows-msvc");
  assertEquals([code, stdout], [2, ""]);
  assertEquals(
    stderr,
    'error: Cannot check for "x86_64-pc-windows-msvc": there are ' +
      "aarch64-apple-darwin, x86_64-apple-darwin, x86_64-unknown-freebsd\n",
  );
});

Deno.test("parseCheckOptions() is for every target, when none is named", () => {
  assertEquals(parseCheckOptions([]), { targets: TARGETS, help: false });
  const { targets } = parseCheckOptions(["x86_64-unknown-freebsd"]);
  assertEquals(targets, ["x86_64-unknown-freebsd"]);
});

Deno.test("parseCheckOptions() refuses what nobody asked for", () => {
  assertThrows(() => parseCheckOptions(["--all"]), UsageError);
});

const DARWIN: Target = "aarch64-apple-darwin";
const PLACES = {
  manifest: new URL("file:///p/native/Cargo.toml"),
  toolchain: new URL("file:///p/tools/"),
  libraries: new URL("file:///p/tools/usr/lib/x86_64-linux-gnu/"),
  build: new URL("file:///p/build/"),
};

Deno.test("clippyCommand() has every target's tests checked, warnings denied", () => {
  const { program, args } = clippyCommand(PLACES, DARWIN);
  assertEquals(program, "/p/tools/usr/bin/cargo-clippy");
  const line = args.join(" ");
  assertStringIncludes(line, `--target ${DARWIN} `);
  assertStringIncludes(line, "--all-targets");
  assertStringIncludes(line, "-Zbuild-std=std,panic_abort,test");
  assertMatch(line, / -- -D warnings$/);
});

Deno.test("clippyCommand() uses the unpacked tools, and nothing of the machine's", () => {
  const { args, env } = clippyCommand(PLACES, DARWIN);
  assertEquals(env?.CARGO, "/p/tools/usr/bin/cargo");
  assertEquals(env?.RUSTC, "/p/tools/usr/bin/rustc");
  assertEquals(env?.LD_LIBRARY_PATH, "/p/tools/usr/lib/x86_64-linux-gnu/");
  assertEquals(args[args.indexOf("--target-dir") + 1], "/p/build/");
});

Deno.test("withoutRust() leaves out Rust's packages, and no other", () => {
  const status = `Package: libc6
Status: install ok installed
Depends: cargo-culture

Package: cargo-web
Status: install ok installed

Package: libstd-rust-web-1.96
Status: install ok installed

Package: zlib1g
Status: install ok installed
`;
  const names = withoutRust(status).match(/^Package: .*/gm);
  assertEquals(names, ["Package: libc6", "Package: zlib1g"]);
});

Deno.test("aptCommand() keeps what apt writes in one folder", () => {
  const { program, args } = aptCommand("/p/apt", ["update"]);
  assertEquals([program, args.at(-1)], ["apt-get", "update"]);
  for (const name of ["Dir::State=", "Dir::State::status=", "Dir::Cache="]) {
    assert(args.some((arg) => arg.startsWith(`${name}/p/apt`)), name);
  }
});

Deno.test("obstacle() says what is missing, and what to do", () => {
  assertEquals(obstacle("linux", () => true), undefined);
  const missing = obstacle("linux", (program) => program !== "apt-get");
  assertStringIncludes(missing ?? "", "without apt-get: run this on Debian 12");
  for (const os of ["darwin", "freebsd"] as const) {
    assertStringIncludes(obstacle(os, () => true) ?? "", '"deno task test"');
  }
});

Deno.test("runtimesFor() is of the LLVM that was downloaded, or says so", () => {
  const archives = ["libgcc-s1_12_amd64.deb", "libllvm22_22.1_amd64.deb"];
  assertEquals(runtimesFor(archives), "libclang-rt-22-dev");
  assertThrows(() => runtimesFor(["lock"]), Failure, "which LLVM");
});

Deno.test("librariesOf() finds the host's folder, or says what to delete", () => {
  const folder = Deno.makeTempDirSync();
  const tools = new URL(`file://${folder}/`);
  assert(!isUnpacked(tools));
  Deno.mkdirSync(new URL("usr/lib/rustlib", tools), { recursive: true });
  assertThrows(() => librariesOf(tools), Failure, `delete ${folder}/`);
  Deno.mkdirSync(new URL("usr/lib/aarch64-linux-gnu", tools));
  assertMatch(librariesOf(tools).pathname, /\/aarch64-linux-gnu\/$/);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("run() and step() fail, when the program does or is not there", async () => {
  const none = { program: "/nonexistent/cargo", args: [] };
  const error = await rejection(() => run(none));
  assertEquals(error.message, "Cannot run /nonexistent/cargo: it is not there");
  const failed = await rejection(() =>
    step("a step", () => Promise.resolve(false))
  );
  assertEquals(failed.message, "a step failed, see above");
});

async function rejection(work: () => Promise<unknown>): Promise<Failure> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Failure) return error;
  }
  throw new Error("It did not fail");
}
