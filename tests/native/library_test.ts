/** Finding, opening and refusing the native library. */

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  libraryFile,
  libraryPath,
  native,
  nativeOthers,
  open,
} from "../../src/native/library.ts";
import { ABI_VERSION, SYMBOLS } from "../../src/native/symbols.ts";
import { lacks } from "../util/machine.ts";
import { libraryFilePath, libraryFlag, runScript } from "../util/scripts.ts";

const OTHER_ABI = 999;
const MISSING = "/nowhere/libdenio.so";
const ENV_FLAG = "--allow-env=DENIO_NATIVE_PATH";

const COMPILER = ["cc", "gcc", "clang"].find(isInstalled);
const NO_COMPILER = lacks("a C compiler", () => COMPILER !== undefined);

Deno.test("mod.ts opens nothing, when it is only imported", async () => {
  const { code, stdout, stderr } = await runScript("imports_nothing.ts", {
    flags: ["--no-prompt"],
  });
  assertEquals({ code, stdout, stderr }, {
    code: 0,
    stdout: "true\n",
    stderr: "",
  });
});

Deno.test("native() opens the library once, when it is called twice", () => {
  assertStrictEquals(native(), native());
  assertStrictEquals(nativeOthers(), nativeOthers());
});

Deno.test("libraryFile() is what cargo calls it, on each system", () => {
  assertEquals(libraryFile("linux"), "libdenio.so");
  assertEquals(libraryFile("freebsd"), "libdenio.so");
  assertEquals(libraryFile("darwin"), "libdenio.dylib");
  assertEquals(libraryFile("windows"), "denio.dll");
});

Deno.test("open() names the path and the command that builds it, when there is none", () => {
  const error = assertThrows(() => open(MISSING), Deno.errors.NotFound);
  assertStringIncludes(error.message, `"${MISSING}"`);
  assertStringIncludes(error.message, '"deno task build"');
});

Deno.test("open() names the path, when it is a URL with a space in it", () => {
  const url = new URL("file:///nowhere/a%20b/libdenio.so");
  const error = assertThrows(() => open(url), Deno.errors.NotFound);
  assertStringIncludes(error.message, '"/nowhere/a b/libdenio.so"');
});

Deno.test({
  name: "open() refuses a library and says both numbers, when its ABI differs",
  ignore: NO_COMPILER,
  fn() {
    const folder = Deno.makeTempDirSync();
    try {
      const path = buildLibrary(folder, OTHER_ABI);
      const error = assertThrows(() => open(path), Error);
      assertStringIncludes(error.message, `"${path}"`);
      assertStringIncludes(error.message, ` ${OTHER_ABI} `);
      assertStringIncludes(error.message, ` ${ABI_VERSION};`);
      assertStringIncludes(error.message, '"deno task build"');
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test("the library is the one that DENIO_NATIVE_PATH names, when that may be read", async () => {
  const { stdout } = await runScript("opens_library.ts", {
    flags: ["--no-prompt", "--allow-ffi", ENV_FLAG],
    env: { DENIO_NATIVE_PATH: MISSING },
  });
  assertStringIncludes(stdout, `NotFound: Cannot open native library`);
  assertStringIncludes(stdout, `"${MISSING}"`);
});

Deno.test("the library opens from elsewhere, when DENIO_NATIVE_PATH says where", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/another.so`;
    Deno.copyFileSync(libraryFilePath(), path);
    const { stdout } = await runScript("opens_library.ts", {
      flags: ["--no-prompt", `--allow-ffi=${path}`, ENV_FLAG],
      env: { DENIO_NATIVE_PATH: path },
    });
    assert(stdout.startsWith("opened "), stdout);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("DENIO_NATIVE_PATH is ignored without asking, when it may not be read", async () => {
  // Without --no-prompt: a question would be on stderr, and an error here.
  const { stdout, stderr } = await runScript("opens_library.ts", {
    flags: [libraryFlag()],
    env: { DENIO_NATIVE_PATH: MISSING },
  });
  assert(stdout.startsWith("opened "), stdout);
  assertEquals(stderr, "");
});

Deno.test("the library is refused with NotCapable, when its path has no permission", async () => {
  const { stdout } = await runScript("opens_library.ts", {
    flags: ["--no-prompt", "--allow-ffi=/elsewhere"],
  });
  assert(stdout.startsWith("NotCapable: Requires ffi access"), stdout);
});

Deno.test("serving and echoing work, when only library and address are permitted", async () => {
  const { stdout, stderr, code } = await runScript("serves_and_echoes.ts", {
    flags: ["--no-prompt", libraryFlag(), "--allow-net=127.0.0.1"],
  });
  assertEquals({ stdout, stderr, code }, {
    stdout: "answered\nechoed\n",
    stderr: "",
    code: 0,
  });
});

Deno.test("a program that revokes ffi goes on with all, when it has loaded the library", async () => {
  const refused = async (...args: string[]) => {
    const flags = ["--no-prompt", libraryFlag(), "--allow-net=127.0.0.1"];
    const { stdout } = await runScript("revokes_ffi.ts", { flags, args });
    return JSON.parse(stdout);
  };
  assertEquals(await refused("load"), []);
  // And with what it has used before, when it has not.
  assertEquals(await refused(), [
    "stream: NotCapable",
    "udp: NotCapable",
    "pipe: NotCapable",
    "pair: NotCapable",
    "backends: NotCapable",
  ]);
});

Deno.test({
  name: "the library needs no other than the system's C library",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    const bytes = Deno.readFileSync(libraryPath());
    const text = new TextDecoder("latin1").decode(bytes);
    assertEquals(text.includes("libgcc_s.so"), false);
  },
});

Deno.test("the ABI has only numbers and buffers, so that a path is permission enough", () => {
  for (const [name, symbol] of Object.entries(SYMBOLS)) {
    for (const type of symbol.parameters) {
      assert(
        ["f64", "u32", "i32", "buffer"].includes(type),
        `${name}: ${type}`,
      );
    }
    assert(["f64", "i32"].includes(symbol.result), name);
  }
});

Deno.test("a buffer never leaves the thread, since only park is called on another", () => {
  const nonblocking = Object.entries(SYMBOLS).filter(([, symbol]) =>
    "nonblocking" in symbol
  );
  assertEquals(nonblocking.map(([name]) => name), ["denio_poll_park"]);
  for (const [name, { parameters }] of nonblocking) {
    assertEquals(parameters.includes("buffer" as never), false, name);
  }
});

Deno.test("native functions answer with an integer, when given any integers", async () => {
  const { stdout, stderr, code } = await runScript(
    "calls_with_any_integers.ts",
    { flags: ["--no-prompt", libraryFlag()] },
  );
  assertEquals({ stdout, stderr, code }, {
    stdout: "survived 200000 calls\n",
    stderr: "",
    code: 0,
  });
});

function isInstalled(program: string): boolean {
  try {
    return new Deno.Command(program, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch {
    return false;
  }
}

function buildLibrary(folder: string, abi: number): string {
  const source = `${folder}/abi.c`;
  const path = `${folder}/libother.so`;
  Deno.writeTextFileSync(
    source,
    `int denio_abi_version(void) { return ${abi}; }\n`,
  );
  const { success } = new Deno.Command(COMPILER!, {
    args: ["-shared", "-fPIC", "-o", path, source],
  }).outputSync();
  assert(success, "the compiler failed");
  return path;
}
