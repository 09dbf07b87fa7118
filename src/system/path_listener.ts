/**
 * A Unix listener that takes its path with it, as `Deno.listen` does.
 *
 * @module
 */

import { UnixListener, type UnixListenOptions } from "../net/unix_listener.ts";

/** What tells one file from another at the same path. */
type FileId = Pick<Deno.FileInfo, "dev" | "ino">;

/**
 * A listening Unix socket whose path is removed when it is closed. Closing it
 * always closes the socket; what keeps the path there is thrown after that.
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
   * Closes it and removes its path.
   *
   * @throws {Deno.errors.NotCapable} when the permissions for the path were
   * revoked meanwhile, and others of `unlink(2)`; it is closed all the same.
   */
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
    if (mine === undefined) return;
    requireFile(this.#path);
    const found = fileAt(this.#path);
    // Somebody may have taken the path away and put a socket of their own.
    const isMine = found?.ino === mine.ino && found?.dev === mine.dev;
    if (isMine) remove(this.#path);
  }
}

/** A path for when the program's folder is another, if it may be asked for. */
function absolute(path: string): string {
  if (path.startsWith("/") || path.startsWith("\0")) return path;
  try {
    return `${Deno.cwd()}/${path}`;
  } catch {
    return path;
  }
}

/** Throws without the permissions to remove a path; never prompts for them. */
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
