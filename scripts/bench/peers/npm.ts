/**
 * Peers that are npm packages: installed where the benchmark keeps its own, in
 * exactly the version that was measured before.
 *
 * @module
 */

import { join } from "node:path";
import { Failure } from "../../command_line.ts";
import { need, outputOf, placeOf, type Tools } from "./tools.ts";

/** A hundred megabytes over a poor link. */
const INSTALL_MS = 600_000;
/** Written when npm has ended well: a part of a package looks like one. */
const STAMP = "installed";

/** A package in one version. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
}

/**
 * Returns the folder of a package, which is installed unless it is there.
 *
 * @throws {Failure} with the reason why it cannot be had.
 */
export async function npmPackage(
  { name, version }: NpmPackage,
  tools: Tools,
): Promise<string> {
  const wanted = `${name}@${version}`;
  // One folder each: a package that cannot be had must not keep others away.
  const prefix = placeOf(`npm/${wanted.replace("/", "+")}`);
  if (!isInstalled(prefix)) await install(prefix, wanted, tools);
  return join(prefix, "node_modules", name);
}

async function install(
  prefix: string,
  wanted: string,
  tools: Tools,
): Promise<void> {
  if (!tools.mayInstall) throw new Failure(`${wanted} is not installed`);
  need(tools, "npm", `, to install ${wanted} with`);
  tools.progress(`installing ${wanted} with npm`);
  Deno.mkdirSync(prefix, { recursive: true });
  try {
    await outputOf([
      "npm",
      "install",
      "--prefix",
      prefix,
      "--save-exact",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
      wanted,
    ], INSTALL_MS);
  } catch (error) {
    const reason = (error as Error).message;
    throw new Failure(`${wanted} could not be installed: ${reason}`);
  }
  Deno.writeTextFileSync(join(prefix, STAMP), "");
}

function isInstalled(prefix: string): boolean {
  try {
    return Deno.statSync(join(prefix, STAMP)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
