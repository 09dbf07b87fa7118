import { assertEquals } from "@std/assert";
import { ownBytes } from "../../src/websocket/own_bytes.ts";

/** Short ones share a buffer; the last has one to itself. */
const LENGTHS = [0, 1, 3, 64, 1_000, 5_000];

function pattern(length: number, first: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => first + index);
}

Deno.test("ownBytes() returns bytes that nothing changes, however many follow", () => {
  const kept: Uint8Array[] = [];
  for (let count = 0; count < 100; count++) {
    for (const length of LENGTHS) {
      const source = pattern(length + 2, count);
      const copy = ownBytes(source, 1, length + 1);
      assertEquals(copy.byteOffset % 8, 0, "any view may begin there");
      source.fill(0);
      kept.push(copy);
    }
  }
  for (const [place, copy] of kept.entries()) {
    const length = LENGTHS[place % LENGTHS.length]!;
    const count = Math.floor(place / LENGTHS.length);
    assertEquals(copy, pattern(length, count + 1));
  }
});

Deno.test("ownBytes() goes on, when a program has transferred a copy's buffer", () => {
  for (const length of [0, 3]) {
    const copy = ownBytes(pattern(length, 0), 0, length);
    structuredClone(copy, { transfer: [copy.buffer] });
    assertEquals(ownBytes(pattern(9, 7), 0, 9), pattern(9, 7));
  }
});
