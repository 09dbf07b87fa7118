/**
 * Tests of a proactor, which leave nothing open.
 *
 * @module
 */

import { AsyncProactor } from "../../src/proactor/async_proactor.ts";
import { loadLibrary } from "../../src/native/library.ts";
import { cleanTest } from "./clean_tests.ts";
import { NO_PROACTOR } from "./machine.ts";
import { within } from "./waiting.ts";

loadLibrary();

/** Registers a test with a proactor, which is closed in the end. */
export function proactorTest(
  name: string,
  run: (proactor: AsyncProactor) => Promise<void>,
): void {
  cleanTest(name, async () => {
    await using proactor = new AsyncProactor();
    await within(run(proactor), "what the test does");
  }, { ignore: NO_PROACTOR });
}

/** Returns text as bytes. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Returns bytes as text. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Calls `body` with the path of a new file, which is removed in the end. */
export async function withFile(
  text: string,
  body: (path: string) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, text);
    await body(path);
  } finally {
    await Deno.remove(path);
  }
}
