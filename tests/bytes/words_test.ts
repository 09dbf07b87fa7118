import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { copyBytes, sameBytes, viewOf } from "../../src/bytes/words.ts";

const LENGTHS = [8, 9, 15, 16, 17, 24, 31, 100];

/** Returns bytes that count up from 1. */
function counting(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => 1 + index % 100);
}

Deno.test("sameBytes() is true for equal ranges alone, at any length", () => {
  for (const length of LENGTHS) {
    for (let at = 0; at < length; at++) {
      const left = counting(length + 3);
      const right = counting(length + 5).copyWithin(5, 0);
      const same = () => sameBytes(viewOf(left), 0, viewOf(right), 5, length);
      assert(same());
      right[5 + at]! += 1;
      assert(!same(), `byte ${at} of ${length}`);
    }
  }
});

Deno.test("sameBytes() looks at no byte beside its ranges", () => {
  for (const length of LENGTHS) {
    const left = counting(length + 2);
    const right = left.slice();
    right[0] = right[length + 1] = 255;
    assert(sameBytes(viewOf(left), 1, viewOf(right), 1, length));
  }
});

Deno.test("copyBytes() copies its range and no other byte, at any length", () => {
  for (const length of LENGTHS) {
    const source = counting(length);
    const target = new Uint8Array(length + 4);
    copyBytes(viewOf(source), 0, new DataView(target.buffer), 2, length);
    assertEquals(target, new Uint8Array([0, 0, ...source, 0, 0]));
  }
});

Deno.test("viewOf() sees the bytes of a part of a buffer", () => {
  const part = counting(20).subarray(3, 10);
  const view = viewOf(part);
  assertEquals([view.byteLength, view.getUint8(0)], [7, 4]);
  part[0] = 99;
  assertStrictEquals(viewOf(part), view);
  assertEquals(view.getUint8(0), 99);
});
