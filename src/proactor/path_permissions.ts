/**
 * Asks Deno for permission before native code opens a file, since Deno cannot
 * see what native code does. The rules are Deno's own: `check_open` and
 * `check_special_file` in its `runtime/permissions/lib.rs`.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { nativeOthers } from "../native/library.ts";
import { ADDRESS_BYTES } from "../native/symbols.ts";
import { DescriptorKind } from "../net/descriptor.ts";
import { requirementError } from "../net/permissions.ts";

/** What a program will do with a file. */
export interface FileAccess {
  /** Reads it. */
  read: boolean;
  /** Writes it, or makes it. */
  write: boolean;
  /** Makes it when it is missing. */
  create?: boolean;
}

/** A path that the program may use. */
export interface PermittedPath {
  /** The path for native code, without a NUL byte. */
  bytes: Uint8Array;
  /**
   * Whether the path may end in a symbolic link. Otherwise its links were
   * followed, and a link can only have come later.
   */
  follows: boolean;
}

/** The longest path that Linux opens, `PATH_MAX` of `limits.h`. */
const PATH_BYTES_MAX = 4096;
/** Places below which most files require all permissions. */
const SPECIAL = ["/dev", "/proc", "/sys"];
/** Those that require no more than any file. */
const HARMLESS = ["/dev/random", "/dev/urandom", "/dev/zero", "/dev/null"];
/** Deno's permissions: a program with `--allow-all` has them all. */
const NAMES = [
  "read",
  "write",
  "net",
  "env",
  "sys",
  "run",
  "ffi",
  "import",
] as const;
/** How many folders each thread remembers for each permission. */
const FOLDERS_MAX = 8;

type FilePermission = "read" | "write";

/** Folders that were permitted as a whole when they were last asked for. */
const folders: Record<FilePermission, string[]> = { read: [], write: [] };

/**
 * Returns a path of a program for native code, when Deno would let the program
 * open it.
 *
 * @throws {Deno.errors.NotCapable} when a permission is missing: for the path,
 * or, for most of `/dev`, `/proc` and `/sys`, any permission at all.
 * @throws {TypeError} when the path is empty, has a NUL, or is no file URL.
 * @throws {Error} when the symbolic links cannot be followed.
 */
export function permittedPath(
  path: string | URL,
  access: FileAccess,
): PermittedPath {
  const text = fileText(path);
  const bytes = new TextEncoder().encode(text);
  // Here Deno opens the path as it is written, which is another place when
  // `..` comes behind a link, or when a link leads to a file to be made.
  const mayDiffer = access.create === true || /(^|\/)\.\.(\/|$)/.test(text);
  if (mayDiffer && hasAll()) return { bytes, follows: true };
  if (access.read) requirePath("read", text);
  if (access.write) requirePath("write", text);
  const place = resolved(bytes, text);
  const placeText = new TextDecoder().decode(place);
  if (isHarmless(placeText, access)) return { bytes: place, follows: true };
  if (isBelow(SPECIAL, placeText)) {
    if (!hasAll()) throw requirementError("all", placeText);
    return { bytes, follows: true };
  }
  return { bytes: place, follows: false };
}

/** Returns the path of a file URL, as Deno does. */
function fileText(path: string | URL): string {
  const text = path instanceof URL ? urlText(path) : path;
  if (typeof text !== "string") {
    throw new TypeError(
      `Cannot use path "${text}": it must be a string or a file URL`,
    );
  }
  if (text === "" || text.includes("\0")) {
    throw new TypeError(
      `Cannot use path "${text.replaceAll("\0", "\\0")}": it must have a ` +
        "character, and no NUL",
    );
  }
  return text;
}

function urlText(url: URL): string {
  if (url.protocol !== "file:" || url.hostname !== "") {
    throw new TypeError(
      `Cannot use path "${url}": its URL must be file: without a host`,
    );
  }
  return decodeURIComponent(url.pathname.replace(/%(?![0-9A-F]{2})/gi, "%25"));
}

function resolved(bytes: Uint8Array<ArrayBuffer>, text: string): Uint8Array {
  const place = new Uint8Array(PATH_BYTES_MAX);
  const length = unwrap(
    nativeOthers().denio_path_resolve(
      bytes,
      bytes.byteLength,
      place,
      place.byteLength,
    ),
    `find "${text}"`,
  );
  return place.subarray(0, length);
}

function isBelow(places: readonly string[], path: string): boolean {
  return places.some((place) => path === place || path.startsWith(`${place}/`));
}

/** Whether a special file requires no more permissions than other files. */
function isHarmless(path: string, access: FileAccess): boolean {
  if (HARMLESS.includes(path)) return true;
  // Who may write to a terminal may imitate Deno's questions.
  if (path === "/dev/tty") return !access.write;
  if (path.startsWith("/proc/pressure/")) return true;
  // A shell's `<(command)` is such a path.
  const [, fd] = /^(?:\/dev|\/proc\/self)\/fd(?:\/.*)?\/(\d+)$/.exec(path) ??
    [];
  return fd !== undefined && Number(fd) > 2 && isPipe(Number(fd));
}

function isPipe(fd: number): boolean {
  const address = new Uint8Array(ADDRESS_BYTES);
  const kind = nativeOthers().denio_descriptor_describe(fd, address);
  return kind === DescriptorKind.PIPE_READER ||
    kind === DescriptorKind.PIPE_WRITER;
}

/** Whether the program has every permission, as with `--allow-all`. */
function hasAll(): boolean {
  return NAMES.every((name) => isWhole({ name } as Deno.PermissionDescriptor));
}

/** Whether a permission holds for all that a descriptor covers. */
function isWhole(descriptor: Deno.PermissionDescriptor): boolean {
  const { state, partial } = Deno.permissions.querySync(descriptor);
  return state === "granted" && !partial;
}

function requirePath(name: FilePermission, path: string): void {
  if (isWhole({ name })) return;
  const parts = absoluteParts(path);
  if (isInFolder(name, parts)) return;
  const { state } = Deno.permissions.querySync({ name, path });
  if (state === "granted") return;
  const shown = path.startsWith("/") ? `/${parts.join("/")}` : path;
  throw requirementError(name, shown);
}

/**
 * Whether a folder around a path is permitted as a whole. Deno keeps an object
 * for each path that it is asked for, until the program ends, so denio asks for
 * as few as it can: clients may choose the paths.
 */
function isInFolder(name: FilePermission, parts: readonly string[]): boolean {
  const known = folders[name];
  const whole = `/${parts.join("/")}`;
  const isKnown = (folder: string) =>
    whole.startsWith(`${folder}/`) && isWhole({ name, path: folder });
  if (known.some(isKnown)) return true;
  let folder = "";
  for (const part of parts.slice(0, -1)) {
    folder += `/${part}`;
    if (!isWhole({ name, path: folder })) continue;
    known.push(folder);
    if (known.length > FOLDERS_MAX) known.shift();
    return true;
  }
  return false;
}

/** Returns the parts of a path, from the root on, without `.` and `..`. */
function absoluteParts(path: string): string[] {
  const parts: string[] = [];
  const whole = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  for (const part of whole.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}
