/**
 * A Unix listener that takes its path with it, as `Deno.listen` does.
 *
 * @module
 */

import { UnixListener, type UnixListenOptions } from "../net/unix_listener.ts";

/** What tells one file from another at the same path. */
type FileId = Pick<Deno.FileInfo, "dev" | "ino">;

/** A listening Unix socket whose path is removed when it is closed. */
export class PathListener extends UnixListener {
  readonly #path: string;
  readonly #file: FileId | undefined;

  private constructor(handle: number, path: string) {
    super(handle);
    // The folder of the program may be another when it is closed.
    this.#path = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
    this.#file = path.startsWith("\0") ? undefined : fileAt(this.#path);
  }

  /** Binds and listens: see {@linkcode UnixListener.bind}. */
  static override bind(options: UnixListenOptions): PathListener {
    const { path, backlog } = options;
    const { handle } = UnixListener.bind({
      path,
      ...backlog !== undefined && { backlog },
    });
    return new PathListener(handle, path);
  }

  /** Closes it and removes its path. */
  override close(): void {
    super.close();
    this.#removePath();
  }

  /** Closes it and removes its path, unless it is closed already. */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#removePath();
  }

  #removePath(): void {
    const mine = this.#file;
    const found = mine && fileAt(this.#path);
    // Somebody may have taken the path away and put a socket of their own.
    const isMine = found?.ino === mine?.ino && found?.dev === mine?.dev;
    if (found !== undefined && isMine) remove(this.#path);
  }
}

function fileAt(path: string): FileId | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
