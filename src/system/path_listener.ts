/**
 * A Unix listener that removes its path when it closes, as `Deno.listen` does.
 *
 * @module
 */

import { UnixListener, type UnixListenOptions } from "../net/unix_listener.ts";

/** The identity of a file, to recognise another file at the same path. */
type FileId = Pick<Deno.FileInfo, "dev" | "ino">;

/**
 * A listening Unix socket that removes its path when it closes. Closing always
 * closes the socket first, and then throws if the path cannot be removed.
 */
export class PathListener extends UnixListener {
  readonly #path: string;
  readonly #file: FileId | undefined;

  private constructor(handle: number, path: string) {
    super(handle);
    this.#path = path;
    this.#file = path.startsWith("\0") ? undefined : fileAt(path);
  }

  /** Binds and listens: see {@linkcode UnixListener.bind}. */
  static override bind(options: UnixListenOptions): PathListener {
    const { path, backlog } = options;
    const socket = UnixListener.bind({
      path,
      ...backlog !== undefined && { backlog },
    });
    try {
      return new PathListener(socket.handle, absolute(path));
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /**
   * Closes the socket and removes its path.
   *
   * @throws {Deno.errors.NotCapable} when the program has lost the permissions
   * for the path, and others of `unlink(2)`; the socket is closed even then.
   */
  override close(): void {
    super.close();
    this.#removePath();
  }

  /** Closes the socket and removes its path, unless it is closed already. */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#removePath();
  }

  #removePath(): void {
    const mine = this.#file;
    if (mine === undefined) return;
    requireFile(this.#path);
    const found = fileAt(this.#path);
    // Another program may have replaced the path by a socket of its own.
    const isMine = found?.ino === mine.ino && found?.dev === mine.dev;
    if (isMine) remove(this.#path);
  }
}

/**
 * Returns the absolute path, which stays right when the program changes its
 * folder; the path as given when Deno does not permit to read the folder.
 */
function absolute(path: string): string {
  if (path.startsWith("/") || path.startsWith("\0")) return path;
  try {
    return `${Deno.cwd()}/${path}`;
  } catch {
    return path;
  }
}

/** Throws without the permissions to remove a path. Never prompts for them. */
function requireFile(path: string): void {
  for (const name of ["read", "write"] as const) {
    const { state } = Deno.permissions.querySync({ name, path });
    if (state === "granted") continue;
    throw new Deno.errors.NotCapable(
      `Cannot remove "${path}": --allow-${name} was revoked`,
    );
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
