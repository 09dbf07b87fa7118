/** denio opens the paths that Deno would open, and no others. */

import { assert, assertEquals } from "@std/assert";
import { permittedPath } from "../../src/proactor/path_permissions.ts";
import { libraryFlag, runScript } from "../util/scripts.ts";

/** What Deno and denio have said of one path. */
interface Answer {
  asked: string;
  deno: string;
  denio: string;
}

async function withFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const outer = await Deno.realPath(await Deno.makeTempDir());
  const folder = `${outer}/folder`;
  try {
    for (const name of ["", "/inner", "/secret", "/../far", "/../far/deep"]) {
      await Deno.mkdir(`${folder}${name}`);
    }
    for (const name of ["file", "100%", "inner/file", "secret/file"]) {
      await Deno.writeTextFile(`${folder}/${name}`, name);
    }
    await Deno.writeTextFile(`${outer}/outside`, "outside");
    await Deno.writeTextFile(`${outer}/far/file`, "far");
    await Deno.symlink("file", `${folder}/good`);
    await Deno.symlink("/proc/self/maps", `${folder}/maps`);
    await Deno.symlink("nowhere", `${folder}/dangling`);
    await Deno.symlink("../far/deep", `${folder}/up`);
    await Deno.symlink("around", `${folder}/around`);
    return await body(folder);
  } finally {
    await Deno.remove(outer, { recursive: true });
  }
}

/** Runs the fixture with permissions beside that for the library. */
async function ask(folder: string, flags: string[]): Promise<Answer[]> {
  const isNarrow = !flags.includes("-A");
  const { stdout, stderr } = await runScript("asks_for_paths.ts", {
    flags: ["--no-prompt", ...(isNarrow ? [libraryFlag()] : []), ...flags],
    args: [folder],
  });
  assert(stdout !== "", stderr);
  return JSON.parse(stdout);
}

/** The permissions of each run; `DIR` is the folder. */
const RUNS = [
  ["--allow-read=DIR"],
  ["--allow-read=DIR", "--allow-write=DIR/inner,DIR/missing,DIR/file"],
  ["--allow-read", "--allow-write=DIR", "--deny-write=DIR/secret"],
  ["--allow-read", "--deny-read=DIR/secret", "--allow-write"],
  ["--allow-read=DIR,/proc,/dev,/sys", "--allow-write=/dev,/proc"],
  ["--allow-read", "--allow-write", "--allow-env"],
  ["--allow-read=/", "--deny-read=/etc,DIR/file"],
  ["-A", "--deny-net=1.1.1.1"],
  ["-A"],
];

for (const flags of RUNS) {
  Deno.test({
    name: `a path is permitted as Deno permits it: ${flags.join(" ")}`,
    ignore: Deno.build.os !== "linux",
    fn: () =>
      withFolder(async (folder) => {
        const filled = flags.map((flag) => flag.replaceAll("DIR", folder));
        const answers = await ask(folder, filled);
        for (const { asked, deno, denio } of answers) {
          assertEquals(denio, deno, asked);
        }
        const refused = answers.filter(({ deno }) => deno !== "permitted");
        assertEquals(
          refused.length > 0,
          !filled.every((flag) => flag === "-A"),
        );
      }),
  });
}

Deno.test("a path is no number, not empty and has no NUL", () => {
  const access = { read: true, write: false };
  for (const path of ["", "a\0b", 7, undefined, new URL("http://a/b")]) {
    let thrown: unknown;
    try {
      permittedPath(path as string, access);
    } catch (error) {
      thrown = error;
    }
    assert(thrown instanceof TypeError, String(path));
  }
});
