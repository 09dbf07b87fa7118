/**
 * A file that a proactor has opened.
 *
 * @module
 */

import type { Abortable } from "../base/abortable.ts";

/** Where to read or write, and what ends it early. */
export interface PositionOptions extends Abortable {
  /**
   * The position in the file, in bytes, from 0 to 2 ** 53 - 1; without it the
   * file's own position, which then moves on.
   */
  at?: number | undefined;
}

/**
 * A file that an `AsyncProactor` has opened. Its methods are those of the
 * proactor, with the file as their first argument.
 *
 * @example Write and read
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { AsyncProactor } from "./async_proactor.ts";
 *
 * using proactor = new AsyncProactor();
 * const path = await Deno.makeTempFile();
 * await using file = await proactor.open(path, { read: true, write: true });
 * await file.write(new TextEncoder().encode("hello"), { at: 2 });
 * const buffer = new Uint8Array(16);
 * assertEquals(await file.read(buffer, { at: 5 }), 2);
 * assertEquals((await file.stat()).size, 7);
 * await Deno.remove(path);
 * ```
 */
export interface ProactorFile extends Disposable, AsyncDisposable {
  /** The path that it was opened by. */
  readonly path: string | URL;
  /** The number by which native code knows the file; 0 once it is closed. */
  readonly handle: number;

  /**
   * Reads into `buffer`: at most 256 KiB; `null` at the end of the file.
   *
   * @throws {RangeError} and others, as `AsyncProactor.read` does.
   */
  read(buffer: Uint8Array, options?: PositionOptions): Promise<number | null>;

  /** Writes all of `bytes`, and returns how many. */
  write(bytes: Uint8Array, options?: PositionOptions): Promise<number>;

  /** Waits until the file is on its disk: `fsync(2)`. */
  sync(options?: Abortable): Promise<void>;

  /** Waits until the file's bytes are on its disk: `fdatasync(2)`. */
  syncData(options?: Abortable): Promise<void>;

  /** Describes the file, as `Deno.FsFile.stat`. */
  stat(options?: Abortable): Promise<Deno.FileInfo>;

  /**
   * Closes the file. Reads and writes that are not over end with
   * `Deno.errors.Interrupted`, unless they were faster.
   *
   * @throws {Deno.errors.BadResource} when it is closed already.
   */
  close(): Promise<void>;

  /** Closes the file at once, unless it is closed already. */
  [Symbol.dispose](): void;

  /** Closes the file, unless it is closed already. */
  [Symbol.asyncDispose](): Promise<void>;
}
