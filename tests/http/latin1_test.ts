/** Bytes to text and back, without node's calls and with them. */

import { assertEquals } from "@std/assert";

const CALLS = 100;
const BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);
const TEXT = String.fromCharCode(...BYTES);
const ASCII = "a".repeat(300);

Deno.test("texts and bytes are the same from the first call to the hundredth", async () => {
  // A module with another specifier is a fresh one.
  const name = "../../src/http/latin1.ts?fresh";
  const { ASCII_ROOM, decodeLatin1, writeAscii } = await import(name);
  const bytes = new Uint8Array(ASCII.length + ASCII_ROOM);
  for (let call = 0; call < CALLS; call++) {
    assertEquals(decodeLatin1(BYTES, 0, 256), TEXT);
    assertEquals(decodeLatin1(BYTES, 5, 5), "");
    assertEquals(writeAscii(bytes, 0, ASCII), ASCII.length);
    assertEquals(decodeLatin1(bytes, 0, ASCII.length), ASCII);
    assertEquals(writeAscii(bytes, 0, `${ASCII.slice(1)}\xe9`), -1);
    // Enough calls to load node's.
    await import("node:buffer");
  }
});
