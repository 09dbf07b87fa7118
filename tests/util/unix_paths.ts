/**
 * Names for Unix sockets that no other socket has.
 *
 * @module
 */

import { lacks } from "./machine.ts";

let count = 0;

/** Whether this system has no abstract names. */
export const NO_ABSTRACT: boolean = lacks(
  "abstract names of Unix sockets",
  () => Deno.build.os === "linux",
);

/** A folder of its own for sockets, removed in the end. */
export class SocketFolder implements Disposable {
  readonly #folder = Deno.makeTempDirSync();

  /** Returns a path in it. */
  path(name: string = "a.sock"): string {
    return `${this.#folder}/${name}`;
  }

  /** Removes it, and the sockets in it. */
  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** Returns an abstract name that no other process uses. */
export function abstractName(): string {
  return `\0denio-test-${Deno.pid}-${count++}`;
}
