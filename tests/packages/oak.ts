/**
 * Oak, as its users on Deno get it.
 *
 * Its npm edition is made for Node: it brings a `Request`, a `Response` and a
 * `Deno` of its own, which neither `Deno.serve` nor denio takes. They are all in
 * one file, which is left out here: Oak's own files run unchanged on Deno's
 * globals, as those of its JSR edition do.
 *
 * @module
 */

import type * as npm from "npm:@oakserver/oak@14.1.0";

const PACKAGE = "npm:@oakserver/oak@14.1.0";

/** The file that has what Node lacks. */
const SHIMS = "_dnt.shims.js";
/** What takes its place. Without `process` Oak knows that this is not Node. */
const GLOBALS = `
const { process: _, ...globals } = Object.getOwnPropertyDescriptors(globalThis);
export const dntGlobalThis = Object.create(null, globals);
const { Blob, Deno, File, FormData, Headers, Request, Response } = globalThis;
const { crypto, fetch } = globalThis;
export { Blob, crypto, Deno, fetch, File, FormData, Headers, Request, Response };
`;

/** What Oak exports. */
export type Oak = typeof npm;

let loading: Promise<Oak> | undefined;

/** Loads Oak, once. It takes what `Deno.serve` is now, and serves by that. */
export function loadOak(): Promise<Oak> {
  return loading ??= load();
}

async function load(): Promise<Oak> {
  const folder = await Deno.makeTempDir({ prefix: "oak" });
  try {
    await copy(`${await packageFolder()}/esm`, folder);
    await Deno.writeTextFile(`${folder}/${SHIMS}`, GLOBALS);
    return await import(`file://${folder}/mod.js`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Where Deno keeps the package. */
async function packageFolder(): Promise<string> {
  await deno("cache", PACKAGE);
  const { npmPackages } = JSON.parse(await deno("info", "--json", PACKAGE));
  const name = PACKAGE.replace("npm:", "");
  return npmPackages[name].localPath;
}

async function deno(...args: string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args,
    cwd: import.meta.dirname!,
    stderr: "null",
  });
  return new TextDecoder().decode((await command.output()).stdout);
}

async function copy(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) {
      await Deno.mkdir(`${to}/${name}`);
      await copy(`${from}/${name}`, `${to}/${name}`);
    } else if (name.endsWith(".js")) {
      await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
    }
  }
}
