/**
 * A peer that is Deno's own TCP, so that denio is not tested by itself.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import { within } from "./waiting.ts";

/** Returns a port on which nobody listens. */
export function deadPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Writes all of `bytes`. */
export async function writeAll(
  client: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  for (let start = 0; start < bytes.byteLength;) {
    start += await client.write(bytes.subarray(start));
  }
}

/** Writes all of a text. */
export function writeText(client: Deno.Conn, text: string): Promise<void> {
  return writeAll(client, new TextEncoder().encode(text));
}

/** Reads `length` bytes, and fails when the stream ends before. */
export async function readExactly(
  client: Deno.Conn,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let start = 0; start < length;) {
    const count = await within(
      client.read(bytes.subarray(start)),
      `byte ${start} of ${length}`,
    );
    if (count === null) {
      throw new AssertionError(`The stream ended at ${start} of ${length}`);
    }
    start += count;
  }
  return bytes;
}

/** Reads as many bytes as `text` has, and returns them as text. */
export async function readText(
  client: Deno.Conn,
  length: number,
): Promise<string> {
  return new TextDecoder().decode(await readExactly(client, length));
}

/** Reads to the end of the stream. */
export async function readToEnd(
  client: Deno.Conn,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const count = await within(client.read(buffer), "more bytes or their end");
    if (count === null) break;
    chunks.push(buffer.slice(0, count));
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Reads to the end of the stream, and returns it as text. */
export async function readTextToEnd(client: Deno.Conn): Promise<string> {
  return new TextDecoder().decode(await readToEnd(client));
}
