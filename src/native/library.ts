/**
 * Finds and opens the native library, once, on first use.
 *
 * Importing a module must not open it: a program that only imports types
 * needs neither the file nor `--allow-ffi`.
 *
 * @module
 */

import { environment } from "./environment.ts";
import {
  ABI_SYMBOL,
  ABI_VERSION,
  OTHER_SYMBOLS,
  SERVING_SYMBOLS,
  THREAD_SYMBOLS,
  UDP_SYMBOLS,
} from "./symbols.ts";

/** Native functions, by name. */
export type NativeOf<Symbols extends Deno.ForeignLibraryInterface> =
  Deno.DynamicLibrary<Symbols>["symbols"];

/** Those that a running server calls. */
export type Native = NativeOf<typeof SERVING_SYMBOLS>;

/** Names another library file to open; checked before the built one. */
export const NATIVE_PATH_VARIABLE = "DENIO_NATIVE_PATH";

/** The same for all groups of functions, whatever becomes of the environment. */
let pathOpened: string | URL;
let opened: Native | undefined;
let udp: NativeOf<typeof UDP_SYMBOLS> | undefined;
let others: NativeOf<typeof OTHER_SYMBOLS> | undefined;
let thread: NativeOf<typeof THREAD_SYMBOLS> | undefined;

/**
 * Returns the functions that a running server calls, opening the library on the
 * first call.
 *
 * In a Worker, all that is opened from then on ends with the Worker, however
 * that ends: as Deno's own resources do.
 *
 * @throws {Deno.errors.NotFound} when there is no library where it should be.
 * @throws {Deno.errors.NotCapable} without `--allow-ffi` for its path.
 * @throws {Error} when the library has another ABI number.
 */
export function native(): Native {
  return opened ??= openForThread();
}

/** Returns the functions of UDP. Throws as {@linkcode native} does. */
export function nativeUdp(): NativeOf<typeof UDP_SYMBOLS> {
  return udp ??= openMore(UDP_SYMBOLS);
}

/**
 * Returns the functions of threads that own what they open. Throws as
 * {@linkcode native} does.
 */
export function nativeThread(): NativeOf<typeof THREAD_SYMBOLS> {
  return thread ??= openMore(THREAD_SYMBOLS);
}

/** Returns all other functions. Throws as {@linkcode native} does. */
export function nativeOthers(): NativeOf<typeof OTHER_SYMBOLS> {
  return others ??= openMore(OTHER_SYMBOLS);
}

/**
 * Opens all of the native library now, some 6 ms, of which each part is opened
 * otherwise when it is first used. It stays open until the process ends. Each
 * Worker opens its own.
 *
 * A program that revokes `ffi` once it has started, as Deno's manual advises,
 * calls this before: what was opened works without the permission, and what was
 * not yet, such as UDP, would throw `NotCapable` then. And the sanitizer of
 * resources of `Deno.test` finds fault with the first test that uses denio,
 * unless this was called before, at the top of the file.
 *
 * @example Give the permission back
 * ```ts
 * import { loadLibrary } from "../../mod.ts";
 * import { UdpSocket } from "../../src/poll.ts";
 *
 * loadLibrary();
 * Deno.permissions.revokeSync({ name: "ffi" });
 * UdpSocket.bind({ hostname: "127.0.0.1", port: 0 }).close();
 * ```
 *
 * @throws {Deno.errors.NotFound} when there is no library where it should be.
 * @throws {Deno.errors.NotCapable} without `--allow-ffi` for its path.
 * @throws {Error} when the library has another ABI number.
 */
export function loadLibrary(): void {
  native();
  nativeUdp();
  nativeThread();
  nativeOthers();
}

/**
 * Returns where the library is looked for: `DENIO_NATIVE_PATH` when that may
 * be read and is set, else `native/target/release` beside this module.
 */
export function libraryPath(): string | URL {
  return environment(NATIVE_PATH_VARIABLE) ?? new URL(
    `../../native/target/release/${libraryFile(Deno.build.os)}`,
    import.meta.url,
  );
}

/** Returns what cargo calls the library on the given system. */
export function libraryFile(os: typeof Deno.build.os): string {
  if (os === "windows") return "denio.dll";
  return os === "darwin" ? "libdenio.dylib" : "libdenio.so";
}

/** Opens the library at `path`; only tests call this with their own. */
export function open(path: string | URL): Native {
  checkAbi(path);
  return Deno.dlopen(path, SERVING_SYMBOLS).symbols;
}

function openForThread(): Native {
  pathOpened = libraryPath();
  const symbols = open(pathOpened);
  // The table of handles is the process's: without this, a listener of a Worker
  // that has died would go on taking connections, and nobody would accept them.
  if (isWorker()) {
    thread = Deno.dlopen(pathOpened, THREAD_SYMBOLS).symbols;
    thread.denio_thread_own();
  }
  return symbols;
}

/** Opens more of the library, which is checked and the thread's by then. */
function openMore<Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): NativeOf<Symbols> {
  native();
  return Deno.dlopen(pathOpened, symbols).symbols;
}

/** Whether this thread is a Worker's, and not the program's own. */
function isWorker(): boolean {
  const scope = (globalThis as { WorkerGlobalScope?: new () => object })
    .WorkerGlobalScope;
  return scope !== undefined && globalThis instanceof scope;
}

function checkAbi(path: string | URL): void {
  // Alone, since a library of another version may lack the other symbols.
  const library = dlopenAbi(path);
  try {
    const found = library.symbols.denio_abi_version();
    if (found === ABI_VERSION) return;
    throw new Error(
      `Cannot use native library "${shown(path)}": its ABI number is ` +
        `${found} and this module needs ${ABI_VERSION}; ` +
        `run "deno task build" in "${root()}"`,
    );
  } finally {
    library.close();
  }
}

function dlopenAbi(path: string | URL): Deno.DynamicLibrary<typeof ABI_SYMBOL> {
  try {
    return Deno.dlopen(path, ABI_SYMBOL);
  } catch (error) {
    // A missing permission is Deno's own clear message.
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new Deno.errors.NotFound(
      `Cannot open native library "${shown(path)}": ` +
        `run "deno task build" in "${root()}" to build it`,
      { cause: error },
    );
  }
}

function shown(path: string | URL): string {
  return typeof path === "string" ? path : filePath(path);
}

function root(): string {
  return filePath(new URL("../../", import.meta.url));
}

function filePath(url: URL): string {
  return url.protocol === "file:" ? decodeURIComponent(url.pathname) : url.href;
}
