/** The simulation finds faults: each mutant of the library fails in it. */

import { assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { type Mutant, MUTANTS } from "./mutants.ts";
import { type File, makeChange } from "./syntax_place.ts";

const ROOT = new URL("../../", import.meta.url);
/** Seeds within which each mutant is found; most need fewer than ten. */
const SEEDS = 3_000;
/** A limit of time, for mutants with a loop that spins. */
const DEADLINE_MS = 60_000;
/** Errors of a mutant that is no valid program, and proves nothing. */
const NO_PROGRAM = /ReferenceError|TypeError/;

/** The library's source: paths are from `src/`. */
const FILES: readonly File[] = [...filesUnder("")];

function* filesUnder(folder: string): Generator<File> {
  for (const { name, isDirectory } of Deno.readDirSync(fileOf(folder))) {
    const path = `${folder}${name}`;
    if (isDirectory) yield* filesUnder(`${path}/`);
    else yield [path, Deno.readTextFileSync(fileOf(path))];
  }
}

function fileOf(path: string): URL {
  return new URL(`src/${path}`, ROOT);
}

/** Writes the library into a folder, with a mutant's fault in it. */
async function writeMutant(mutant: Mutant, folder: string): Promise<void> {
  const [changedPath, changed] = makeChange(FILES, mutant);
  for (const [path, text] of FILES) {
    const file = `${folder}/src/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, path === changedPath ? changed : text);
  }
  const native = fileURLToPath(new URL("native", ROOT));
  await Deno.symlink(native, `${folder}/native`);
}

/** Runs the simulation on a copy, in its own process. */
async function simulate(folder: string, scenario: string): Promise<string> {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      fileURLToPath(new URL("tests/sim/replay.ts", ROOT)),
      `--source=${folder}`,
      `--scenario=${scenario}`,
      `--seeds=${SEEDS}`,
    ],
    signal: AbortSignal.timeout(DEADLINE_MS),
    stdout: "null",
    stderr: "piped",
  }).output();
  return new TextDecoder().decode(stderr);
}

Deno.test("each mutant has one place in the source", () => {
  const errors = MUTANTS.flatMap((mutant) => {
    try {
      makeChange(FILES, mutant);
      return [];
    } catch (error) {
      return [`${mutant.name}: ${(error as Error).message}`];
    }
  });
  assertEquals(errors, []);
});

for (const mutant of MUTANTS) {
  Deno.test(`the simulation finds that ${mutant.name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await writeMutant(mutant, folder);
      const output = await simulate(folder, mutant.scenario);
      assertMatch(output, /: seed \d+ failed: /);
      const found = /seed \d+ failed: .*/.exec(output)![0];
      assertNotMatch(found, NO_PROGRAM);
      // deno-lint-ignore no-console -- says how hard it was to find
      console.log(found);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
