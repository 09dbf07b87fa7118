/**
 * The line by which a server under measurement is found.
 *
 * @module
 */

/** Prints where a server listens, as all of them do. */
export function announce({ port }: { readonly port: number }): void {
  // deno-lint-ignore no-console -- the benchmark reads it
  console.log(`listening on 127.0.0.1:${port}`);
}
