/**
 * Debian's Rust with the sources of its standard library and LLVM's sanitizer
 * runtimes, unpacked beside the machine's own, never in its place.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Failure } from "../command_line.ts";
import { type Command, outputOf, run, step } from "./command.ts";

/** Where the tools are unpacked. */
export const TOOLCHAIN: URL = new URL(
  "../../native/target/debian-rust/",
  import.meta.url,
);

/** What is asked for; apt knows what they need, and their versions. */
const PACKAGES = [
  "rustc-web",
  "cargo-web",
  "rust-web-src",
  "rust-web-clippy",
] as const;

/** What downloads and what unpacks. */
const PROGRAMS = ["apt-get", "dpkg-deb"] as const;

/** What is installed on this machine. */
const STATUS = "/var/lib/dpkg/status";

/** Of these only the library is needed: the rest is ten times as much. */
const SOURCES = "rust-web-src";

/** A file that the tools need: without it there are none. */
const CLIPPY = "usr/bin/cargo-clippy";

/** What rustc and LLVM both call the runtimes of sanitizers. */
const RUNTIMES = ["asan", "tsan"] as const;

/**
 * Has the tools in {@linkcode TOOLCHAIN}, which takes a while the first time.
 *
 * @throws {Failure} when they cannot be had here.
 */
export async function provideToolchain(): Promise<void> {
  if (isUnpacked(TOOLCHAIN)) return;
  await step("Debian's Rust, about 150 MB", () => unpackToolchain(TOOLCHAIN));
}

/** Unpacks the tools at `folder`, a URL that ends in a slash, all or nothing. */
async function unpackToolchain(folder: URL): Promise<boolean> {
  const why = obstacle(Deno.build.os, hasProgram);
  if (why !== undefined) throw new Failure(why);
  const name = fileURLToPath(folder).replace(/\/$/, "");
  const [unfinished, downloads] = [`${name}.new`, `${name}.apt`];
  for (const path of [name, unfinished, downloads]) removeFolder(path);
  if (!await download(downloads)) return false;
  if (!await unpack(`${downloads}/archives`, unfinished)) return false;
  addRuntimes(unfinished);
  Deno.renameSync(unfinished, name);
  removeFolder(downloads);
  return true;
}

/** Tells whether the tools are at `folder` already. */
export function isUnpacked(folder: URL): boolean {
  return exists(fileURLToPath(new URL(CLIPPY, folder)));
}

/** Returns where the tools' shared libraries are, which depends on the host. */
export function librariesOf(folder: URL): URL {
  const library = new URL("usr/lib/", folder);
  const triplet = namesIn(fileURLToPath(library)).find((name) =>
    /-linux-gnu/.test(name)
  );
  if (triplet !== undefined) return new URL(`${triplet}/`, library);
  throw new Failure(
    `Cannot find the tools' libraries: delete ${fileURLToPath(folder)}`,
  );
}

/** Returns why the tools cannot be had, and what to do; often nothing. */
export function obstacle(
  os: typeof Deno.build.os,
  has: (program: string) => boolean,
): string | undefined {
  if (os === "darwin" || os === "freebsd") {
    return "Cannot check from here what is checked better here: kqueue is " +
      'this system\'s own, and "deno task test" runs it';
  }
  const missing = PROGRAMS.filter((program) => !has(program));
  if (missing.length === 0) return undefined;
  return `Cannot get the tools without ${missing.join(" and ")}: run this on ` +
    'Debian 12, in a container, say; or run "deno task test" on a Mac or ' +
    "FreeBSD, which needs no such tools";
}

/**
 * Returns apt's record of what is installed, as if no Rust were: the machine's
 * own is not to be used, whichever it is.
 */
export function withoutRust(status: string): string {
  const isRust = /^Package: \S*(?:rust|cargo)/;
  const paragraphs = status.split(/\n\n+/);
  return paragraphs.filter((text) => !isRust.test(text)).join("\n\n");
}

/** Returns an apt command that keeps all it writes in `folder`. */
export function aptCommand(folder: string, args: readonly string[]): Command {
  const options = [
    `Dir::State=${folder}`,
    `Dir::State::status=${folder}/status`,
    `Dir::Cache=${folder}`,
    // Its locks are for the machine's own folders.
    "Debug::NoLocking=1",
    // The user that apt would become may not see this folder.
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
    "Acquire::Retries=3",
  ];
  const flags = options.flatMap((option) => ["-o", option]);
  return { program: "apt-get", args: ["-qq", ...flags, ...args] };
}

/** The machine's lists may be old or none, so that apt gets its own. */
async function download(folder: string): Promise<boolean> {
  for (const part of ["lists/partial", "archives/partial"]) {
    Deno.mkdirSync(`${folder}/${part}`, { recursive: true });
  }
  const status = withoutRust(Deno.readTextFileSync(STATUS));
  Deno.writeTextFileSync(`${folder}/status`, status);
  const install = ["install", "--yes", "--no-install-recommends"];
  const get = (names: readonly string[]) =>
    run(aptCommand(folder, [...install, "--download-only", ...names]));
  return await run(aptCommand(folder, ["update"])) && await get(PACKAGES) &&
    await get([...PACKAGES, runtimesFor(namesIn(`${folder}/archives`))]);
}

/**
 * Returns the package that has the runtimes of the LLVM among `archives`.
 *
 * @throws {Failure} when there is none.
 */
export function runtimesFor(archives: readonly string[]): string {
  const [version] = archives.flatMap((name) =>
    /^libllvm(\d+)_/.exec(name)?.[1] ?? []
  );
  if (version !== undefined) return `libclang-rt-${version}-dev`;
  throw new Failure("Cannot tell which LLVM Debian's Rust is made with");
}

/** Puts runtimes where rustc looks for them, under the names it knows. */
function addRuntimes(root: string): void {
  const host = Deno.build.target;
  const [llvm] = namesIn(`${root}/usr/lib`).filter((name) =>
    name.startsWith("llvm-")
  );
  const version = llvm?.replace("llvm-", "");
  const from = `${root}/usr/lib/${llvm}/lib/clang/${version}/lib/linux`;
  const to = `${root}/usr/lib/rustlib/${host}/lib`;
  for (const runtime of RUNTIMES) {
    Deno.copyFileSync(
      `${from}/libclang_rt.${runtime}-${Deno.build.arch}.a`,
      `${to}/librustc-stable_rt.${runtime}.a`,
    );
  }
}

/** Unpacks all packages at once: it is mostly waiting for the disk. */
async function unpack(from: string, to: string): Promise<boolean> {
  Deno.mkdirSync(to, { recursive: true });
  const packages = namesIn(from).filter((name) => name.endsWith(".deb"));
  const unpacked = packages.map((name) =>
    run(unpackCommand(`${from}/${name}`, to))
  );
  return (await Promise.all(unpacked)).every((isDone) => isDone);
}

function unpackCommand(file: string, to: string): Command {
  if (!file.includes(`/${SOURCES}_`)) {
    return { program: "dpkg-deb", args: ["-x", file, to] };
  }
  const script = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --directory ' +
    '"$2" --wildcards "./usr/src/*/library" ./usr/lib/rustlib';
  return { program: "sh", args: ["-ec", script, "sh", file, to] };
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}

function hasProgram(program: string): boolean {
  return outputOf([program, "--version"]) !== undefined;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function removeFolder(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
