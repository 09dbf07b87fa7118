/** Unsent bytes, against one array of them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Outbox } from "../src/reactor/outbox.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

/** What a send that takes up to `count` bytes would be given. */
function take(outbox: Outbox, count: number): Uint8Array {
  const { chunk, offset } = outbox;
  const taken = chunk.slice(offset, offset + count);
  outbox.shift(taken.byteLength);
  return taken;
}

Deno.test("Outbox keeps the range that it is given, and no other byte", () => {
  const outbox = new Outbox();
  assertEquals(outbox.byteLength, 0);
  outbox.push(bytes(1, 2, 3, 4, 5), 1, 4);
  assertEquals(outbox.byteLength, 3);
  assertEquals(take(outbox, 9), bytes(2, 3, 4));
  assertEquals(outbox.byteLength, 0);
});

Deno.test("Outbox keeps its bytes, when those of the caller change", () => {
  const outbox = new Outbox();
  const mine = bytes(1, 2, 3);
  outbox.push(mine, 0, 3);
  mine.fill(9);
  assertEquals(take(outbox, 9), bytes(1, 2, 3));
});

Deno.test("Outbox keeps what it is given for its own as it is, from where it is told", () => {
  const outbox = new Outbox();
  const mine = bytes(1, 2, 3);
  outbox.pushOwned(mine, 1);
  outbox.pushOwned(mine, 3);
  mine[2] = 9;
  assertEquals(outbox.byteLength, 2);
  assertEquals(take(outbox, 9), bytes(2, 9));
  for (const start of [-1, 4, NaN]) {
    assertThrows(() => outbox.pushOwned(mine, start), RangeError);
  }
});

Deno.test("Outbox goes on where it stopped, when a send took a part", () => {
  const outbox = new Outbox();
  outbox.push(bytes(1, 2, 3), 0, 3);
  outbox.push(bytes(4, 5), 0, 2);
  assertEquals(take(outbox, 2), bytes(1, 2));
  assertEquals(outbox.offset, 2);
  assertEquals(take(outbox, 9), bytes(3));
  assertEquals(outbox.offset, 0);
  assertEquals(take(outbox, 9), bytes(4, 5));
});

Deno.test("Outbox has always something to send first, when a push was empty", () => {
  const outbox = new Outbox();
  outbox.push(bytes(), 0, 0);
  outbox.push(bytes(1), 0, 1);
  outbox.push(bytes(9, 9), 1, 1);
  outbox.push(bytes(2), 0, 1);
  assertEquals(take(outbox, 9), bytes(1));
  assertEquals(take(outbox, 9), bytes(2));
  assertEquals(outbox.byteLength, 0);
});

Deno.test("Outbox throws RangeError, when the range lies outside of the bytes", () => {
  const outbox = new Outbox();
  for (const [start, end] of [[0, 4], [-1, 2], [2, 1], [4, 5], [NaN, 1]]) {
    assertThrows(() => outbox.push(bytes(1, 2, 3), start!, end!), RangeError);
  }
  assertEquals(outbox.byteLength, 0);
});

Deno.test("Outbox is an array of bytes, whatever is pushed and sent", () => {
  const push = fc.record({
    pushed: fc.uint8Array({ maxLength: 40 }),
    start: fc.nat({ max: 5 }),
  });
  const step = fc.oneof(push, fc.nat({ max: 60 }));
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    const outbox = new Outbox();
    let expected: number[] = [];
    for (const what of steps) {
      if (typeof what === "number") {
        if (outbox.byteLength === 0) continue;
        const taken = take(outbox, what);
        assert(what === 0 || taken.byteLength > 0);
        assertEquals([...taken], expected.slice(0, taken.byteLength));
        expected = expected.slice(taken.byteLength);
      } else {
        const pushed = new Uint8Array(what.pushed);
        const start = Math.min(what.start, pushed.byteLength);
        outbox.push(pushed, start, pushed.byteLength);
        expected.push(...pushed.subarray(start));
      }
      assertEquals(outbox.byteLength, expected.length);
    }
    const rest: number[] = [];
    while (outbox.byteLength > 0) rest.push(...take(outbox, 7));
    assertEquals(rest, expected);
  }));
});
