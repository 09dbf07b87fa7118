/**
 * Writes files to standard output, one behind the other, by io_uring.
 *
 * `deno run -A tests/examples/cat.ts FILE...`
 *
 * @module
 */

import { AsyncProactor, type ProactorFile } from "../../src/proactor.ts";

/** Passes the bytes of files on; a part is valid until `write` resolves. */
export async function cat(
  paths: readonly string[],
  write: (bytes: Uint8Array) => Promise<unknown>,
): Promise<void> {
  await using proactor = new AsyncProactor();
  const buffer = new Uint8Array(65_536);
  for (const path of paths) {
    await using file: ProactorFile = await proactor.open(path);
    for (let count; (count = await file.read(buffer)) !== null;) {
      await write(buffer.subarray(0, count));
    }
  }
}

if (import.meta.main) {
  const out = Deno.stdout.writable.getWriter();
  await cat(Deno.args, (bytes) => out.write(bytes));
}
