/** The simulation bites: denio with a fault in it does not hold. */

import { AssertionError, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { type Bite, BITES } from "./bites.ts";

const ROOT = new URL("../../", import.meta.url);
/** Each is found within these; most are within ten. */
const SEEDS = 3_000;
/** A fault may have the loop spin: then it is found by this. */
const DEADLINE_MS = 60_000;

/** Copies the source with one place changed, which must be there once. */
async function copyWith(bite: Bite, folder: string): Promise<void> {
  const path = new URL(`src/${bite.file}`, ROOT);
  const parts = (await Deno.readTextFile(path)).split(bite.right);
  if (parts.length !== 2) {
    throw new AssertionError(
      `Cannot make the fault "${bite.name}": what it changes is ` +
        `${parts.length - 1} times in ${bite.file}, not once`,
    );
  }
  await copyFolder(new URL("src/", ROOT), `${folder}/src`);
  await Deno.symlink(
    fileURLToPath(new URL("native", ROOT)),
    `${folder}/native`,
  );
  await Deno.writeTextFile(
    `${folder}/src/${bite.file}`,
    parts.join(bite.wrong),
  );
}

async function copyFolder(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) {
      await copyFolder(new URL(`${name}/`, from), `${to}/${name}`);
    } else await Deno.copyFile(new URL(name, from), `${to}/${name}`);
  }
}

/** Runs the simulation on a copy, in a process of its own. */
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

for (const bite of BITES) {
  Deno.test(`the simulation finds that ${bite.name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await copyWith(bite, folder);
      const output = await simulate(folder, bite.scenario);
      assertMatch(output, /: seed \d+ failed: /);
      // deno-lint-ignore no-console -- says how hard it was to find
      console.log(/seed \d+ failed: .*/.exec(output)?.[0]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
