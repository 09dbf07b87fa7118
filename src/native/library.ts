/**
 * Finds and opens the native library, once, on first use.
 *
 * Importing a module must not open the library: a program that imports only
 * types needs neither the file nor `--allow-ffi`.
 *
 * @module
 */

import { environment } from "./environment.ts";
import {
  ABI_SYMBOL,
  ABI_VERSION,
  DEFLATE_SYMBOLS,
  OTHER_SYMBOLS,
  PROACTOR_SYMBOLS,
  RING_SYMBOLS,
  SERVING_SYMBOLS,
  THREAD_SYMBOLS,
  UDP_SYMBOLS,
  WEBSOCKET_SYMBOLS,
} from "./symbols.ts";

/** Native functions, by name. */
export type NativeOf<Symbols extends Deno.ForeignLibraryInterface> =
  Deno.DynamicLibrary<Symbols>["symbols"];

/** The functions that a running server calls. */
export type Native = NativeOf<typeof SERVING_SYMBOLS>;

/** The environment variable that names another library file to open. */
export const NATIVE_PATH_VARIABLE = "DENIO_NATIVE_PATH";

/** The path of all groups of functions, kept when the environment changes. */
let pathOpened: string | URL;
let opened: Native | undefined;
let udp: NativeOf<typeof UDP_SYMBOLS> | undefined;
let proactor: NativeOf<typeof PROACTOR_SYMBOLS> | undefined;
let ring: NativeOf<typeof RING_SYMBOLS> | undefined;
let webSocket: NativeOf<typeof WEBSOCKET_SYMBOLS> | undefined;
let deflate: NativeOf<typeof DEFLATE_SYMBOLS> | undefined;
let others: NativeOf<typeof OTHER_SYMBOLS> | undefined;
let thread: NativeOf<typeof THREAD_SYMBOLS> | undefined;

/**
 * Returns the functions that a running server calls. The first call opens the
 * library.
 *
 * In a Worker, all handles that are opened from then on end with the Worker's
 * thread, as Deno's own resources do.
 *
 * @throws {Deno.errors.NotFound} when the library's file is missing.
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

/** Returns the functions of proactors. Throws as {@linkcode native} does. */
export function nativeProactor(): NativeOf<typeof PROACTOR_SYMBOLS> {
  return proactor ??= openMore(PROACTOR_SYMBOLS);
}

/**
 * Returns the functions that make a thread the owner of its handles. Throws as
 * {@linkcode native} does.
 */
export function nativeThread(): NativeOf<typeof THREAD_SYMBOLS> {
  return thread ??= openMore(THREAD_SYMBOLS);
}

/**
 * Returns the functions of polls that read ahead. Throws as
 * {@linkcode native} does.
 */
export function nativeRing(): NativeOf<typeof RING_SYMBOLS> {
  return ring ??= openMore(RING_SYMBOLS);
}

/** Returns the functions of WebSocket. Throws as {@linkcode native} does. */
export function nativeWebSocket(): NativeOf<typeof WEBSOCKET_SYMBOLS> {
  return webSocket ??= openMore(WEBSOCKET_SYMBOLS);
}

/**
 * Returns the functions that compress messages of WebSocket. Throws as
 * {@linkcode native} does.
 */
export function nativeDeflate(): NativeOf<typeof DEFLATE_SYMBOLS> {
  return deflate ??= openMore(DEFLATE_SYMBOLS);
}

/** Returns all other functions. Throws as {@linkcode native} does. */
export function nativeOthers(): NativeOf<typeof OTHER_SYMBOLS> {
  return others ??= openMore(OTHER_SYMBOLS);
}

/**
 * Opens all of the native library now, which takes about 6 ms. Without this
 * call, denio opens each part on first use. The library stays open until the
 * process ends. Each Worker opens its own.
 *
 * - A program that revokes `ffi` after its start, as Deno's manual advises,
 *   must call this first: opened parts work without the permission, others,
 *   such as UDP, would throw `NotCapable`.
 * - A test file calls this at its top: the resource sanitizer of `Deno.test`
 *   would report the first test that uses denio.
 *
 * @example Revoke the permission
 * ```ts
 * import { loadLibrary } from "../../mod.ts";
 * import { UdpSocket } from "../../src/poll.ts";
 *
 * loadLibrary();
 * Deno.permissions.revokeSync({ name: "ffi" });
 * UdpSocket.bind({ hostname: "127.0.0.1", port: 0 }).close();
 * ```
 *
 * @throws {Deno.errors.NotFound} when the library's file is missing.
 * @throws {Deno.errors.NotCapable} without `--allow-ffi` for its path.
 * @throws {Error} when the library has another ABI number.
 */
export function loadLibrary(): void {
  native();
  nativeUdp();
  nativeProactor();
  nativeThread();
  nativeRing();
  nativeWebSocket();
  nativeDeflate();
  nativeOthers();
}

/**
 * Returns the library's path: `DENIO_NATIVE_PATH` when that is set and
 * permitted, otherwise a file in `native/target/release` of this project.
 */
export function libraryPath(): string | URL {
  return environment(NATIVE_PATH_VARIABLE) ?? new URL(
    `../../native/target/release/${libraryFile(Deno.build.os)}`,
    import.meta.url,
  );
}

/** Returns cargo's file name for the library on the given system. */
export function libraryFile(os: typeof Deno.build.os): string {
  if (os === "windows") return "denio.dll";
  return os === "darwin" ? "libdenio.dylib" : "libdenio.so";
}

/** Opens the library at `path`. Tests call it with files of their own. */
export function open(path: string | URL): Native {
  checkAbi(path);
  return Deno.dlopen(path, SERVING_SYMBOLS).symbols;
}

function openForThread(): Native {
  pathOpened = libraryPath();
  const symbols = open(pathOpened);
  // The table of handles belongs to the process. Without this call, the
  // listener of a dead Worker would stay open and get connections that no
  // thread accepts.
  if (isWorker()) {
    thread = Deno.dlopen(pathOpened, THREAD_SYMBOLS).symbols;
    thread.denio_thread_own();
  }
  return symbols;
}

/** Opens more functions, after `native()` has checked the library. */
function openMore<Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): NativeOf<Symbols> {
  native();
  return Deno.dlopen(pathOpened, symbols).symbols;
}

/** Whether this thread belongs to a Worker. */
function isWorker(): boolean {
  const scope = (globalThis as { WorkerGlobalScope?: new () => object })
    .WorkerGlobalScope;
  return scope !== undefined && globalThis instanceof scope;
}

function checkAbi(path: string | URL): void {
  // Opens one symbol, since another version of the library may lack the rest.
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
    // Deno's own message about the missing permission is clear.
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
