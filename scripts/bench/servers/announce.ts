/**
 * The line in which a server of the benchmark prints its address.
 *
 * @module
 */

/** Prints where a server listens, in the form that all of them use. */
export function announce({ port }: { readonly port: number }): void {
  // deno-lint-ignore no-console -- the benchmark reads it
  console.log(`listening on 127.0.0.1:${port}`);
}
