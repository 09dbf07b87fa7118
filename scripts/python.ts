/**
 * Python and packages of PyPI, for programs that check denio from outside.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is for command lines

import { Failure } from "./command_line.ts";
import { cratePath, outputOf, run } from "./programs.ts";

/** Returns why packages cannot be had here; `undefined` when they can. */
export function pythonObstacle(): string | undefined {
  // Debian has venv in Python, and what venv needs in a package of its own.
  const asked = ["python3", "-c", "import ensurepip, venv"];
  if (outputOf(asked) !== undefined) return undefined;
  return "Cannot run Python's packages: there is no Python 3 with venv; get it " +
    'with "apt-get install python3-venv"';
}

/**
 * Brings packages from PyPI, unless they are there in these versions, and
 * returns the Python that has them.
 *
 * @param name The folder in native/target.
 * @param requirements All packages, as pip's requirements file has them: also
 * those that they need, and those that build them.
 * @throws {Failure} when there is no Python, or pip fails.
 */
export function bringPackages(name: string, requirements: string): string {
  const lack = pythonObstacle();
  if (lack !== undefined) throw new Failure(lack);
  const folder = cratePath(`target/${name}`);
  const python = `${folder}/bin/python`;
  const [wanted, had] = [`${folder}/wanted.txt`, `${folder}/had.txt`];
  // Packages are lost when the system has another Python than before.
  const state = requirements + outputOf(["python3", "--version"]);
  if (outputOf(["cat", had]) === state) return python;
  console.log(`--- bringing packages of ${name} from PyPI`);
  const why = `Cannot bring packages of ${name} from PyPI: see above`;
  const venv = ["python3", "-m", "venv", "--clear", folder];
  if (!run(venv)) throw new Failure(why);
  Deno.writeTextFileSync(wanted, requirements);
  const isBrought = run([
    ...[python, "-m", "pip", "install", "--disable-pip-version-check", "-q"],
    // The list is complete, and what is Python 2 would not compile.
    ...["--no-deps", "--no-compile", "-r", wanted],
    // Also what builds a package is of the version in the list.
  ], { PIP_CONSTRAINT: wanted });
  if (!isBrought) throw new Failure(why);
  Deno.writeTextFileSync(had, state);
  return python;
}
