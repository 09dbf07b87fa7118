/** A queue of bytes, against one array of them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BLOCK_BYTES_MAX, ByteQueue } from "../../src/bytes/byte_queue.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

Deno.test("ByteQueue keeps its bytes, when those of the caller change", () => {
  const queue = new ByteQueue();
  const mine = bytes(0, 1, 2, 3, 4);
  queue.push(mine, 1, 4);
  mine.fill(9);
  assertEquals(queue.take(), bytes(1, 2, 3));
});

Deno.test("ByteQueue refers to a long array that is its own", () => {
  const queue = new ByteQueue();
  const mine = new Uint8Array(10_000);
  queue.pushOwned(mine, 1, 10_000);
  assertEquals(queue.views(1)[0]!.buffer, mine.buffer);
  assertEquals(queue.views(1)[0]!.byteOffset, 1);
});

Deno.test("ByteQueue takes memory for its bytes, not for its pieces, when they are small", () => {
  const queue = new ByteQueue();
  const piece = bytes(1, 2, 3, 4, 5, 6, 7, 8);
  for (let index = 0; index < 100_000; index++) queue.pushOwned(piece, 0, 8);
  assertEquals(queue.byteLength, 800_000);
  assert(queue.memoryBytes < 800_000 + 2 * BLOCK_BYTES_MAX);
  assert(queue.views(8).length === 8);
});

Deno.test("ByteQueue frees memory block by block, when bytes leave", () => {
  const queue = new ByteQueue();
  queue.push(new Uint8Array(10 * BLOCK_BYTES_MAX), 0, 10 * BLOCK_BYTES_MAX);
  const full = queue.memoryBytes;
  queue.shift(5 * BLOCK_BYTES_MAX);
  assert(queue.memoryBytes < 0.6 * full);
  queue.shift(5 * BLOCK_BYTES_MAX);
  assertEquals([queue.byteLength, queue.memoryBytes], [0, 0]);
});

Deno.test("ByteQueue tells a ledger of each array that it refers to, as often", () => {
  const held: Uint8Array[] = [];
  const queue = new ByteQueue({
    hold: (array) => void held.push(array),
    release: (array) => void held.splice(held.indexOf(array), 1),
  });
  const array = new Uint8Array(10_000);
  queue.pushOwned(array, 0, 10_000);
  queue.pushOwned(array, 5_000, 10_000);
  queue.push(array, 0, 10_000);
  assertEquals(held.length, 2);
  assert(queue.memoryBytes < 20_000);
  queue.shift(10_001);
  assertEquals(held.length, 1);
  queue.clear();
  assertEquals(held.length, 0);
});

Deno.test("ByteQueue.takeFirst takes bytes in order, and never those of the caller", () => {
  const queue = new ByteQueue();
  assertEquals(queue.takeFirst(), undefined);
  const mine = Uint8Array.from({ length: 100_000 }, (_, index) => index);
  queue.push(mine, 0, 30_000);
  queue.pushOwned(mine, 30_000, 60_000);
  queue.push(mine, 60_000, 100_000);
  let at = 0;
  while (queue.byteLength > 0) {
    const first = queue.takeFirst()!;
    assertEquals(first, mine.slice(at, at + first.byteLength));
    // An array of its own can be transferred.
    assertEquals(first.byteLength, first.buffer.byteLength);
    assert(first.buffer !== mine.buffer);
    at += first.byteLength;
  }
  assertEquals([at, queue.memoryBytes], [100_000, 0]);
});

Deno.test("ByteQueue.joined keeps the bytes that it has shown, whatever follows", () => {
  const queue = new ByteQueue();
  const shown: [view: Uint8Array, expected: Uint8Array][] = [];
  const buffers = new Set<ArrayBufferLike>();
  for (let index = 0; index < 10_000; index++) {
    queue.push(bytes(index & 255), 0, 1);
    const view = queue.joined();
    buffers.add(view.buffer);
    if (index % 100 === 0) shown.push([view, view.slice()]);
    if (index % 1_000 === 999) queue.shift(500);
  }
  for (const [view, expected] of shown) assertEquals(view, expected);
  // Copied each time that its memory has doubled, not with each byte.
  assert(buffers.size < 20);
});

Deno.test("ByteQueue throws RangeError, when the range lies outside of the bytes", () => {
  const queue = new ByteQueue();
  for (const [start, end] of [[0, 4], [-1, 2], [2, 1], [4, 5], [NaN, 1]]) {
    assertThrows(() => queue.push(bytes(1, 2, 3), start!, end!), RangeError);
  }
  const mine = new Uint8Array(5_000);
  assertThrows(() => queue.pushOwned(mine, 0, 5_001), RangeError);
  assertEquals(queue.byteLength, 0);
  assertThrows(() => queue.shift(1), RangeError);
  assertThrows(() => queue.take(-1), RangeError);
  assertThrows(() => queue.find(bytes()), RangeError);
});

Deno.test("ByteQueue.find finds what the bytes as one array have, wherever they were cut", () => {
  const pieces = fc.array(fc.uint8Array({ max: 2, maxLength: 300 }));
  const wanted = fc.uint8Array({ max: 2, minLength: 1, maxLength: 4 });
  fc.assert(fc.property(pieces, wanted, fc.nat(200), (pieces, wanted, from) => {
    const queue = new ByteQueue();
    for (const piece of pieces) {
      queue.push(new Uint8Array(piece), 0, piece.byteLength);
    }
    const text = String.fromCharCode(...queue.joined());
    const delimiter = String.fromCharCode(...wanted);
    const at = text.indexOf(delimiter, Math.max(0, from - wanted.length + 1));
    const expected = at < 0 ? -1 : at + wanted.length;
    assertEquals(queue.find(new Uint8Array(wanted), from), expected);
  }));
});

Deno.test("ByteQueue is an array of bytes, whatever goes in and out", () => {
  const push = fc.record({
    length: fc.oneof(fc.nat(40), fc.nat(5_000), fc.nat(100_000)),
    start: fc.nat({ max: 5 }),
    isOwned: fc.boolean(),
  });
  const out = fc.record({
    how: fc.constantFrom("shift", "take", "moveTo", "joined", "clear"),
    count: fc.oneof(fc.nat(60), fc.nat(120_000)),
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(push, out), { maxLength: 60 }), (steps) => {
      const queue = new ByteQueue();
      let expected = new Uint8Array();
      let next = 0;
      for (const step of steps) {
        if ("length" in step) {
          const { length, isOwned } = step;
          const piece = Uint8Array.from({ length }, () => next++);
          const start = Math.min(step.start, length);
          if (isOwned) queue.pushOwned(piece, start, length);
          else queue.push(piece, start, length);
          expected = new Uint8Array([...expected, ...piece.subarray(start)]);
          continue;
        }
        const count = Math.min(step.count, queue.byteLength);
        const first = expected.slice(0, count);
        if (step.how === "joined") {
          assertEquals(queue.joined(), expected);
          continue;
        }
        if (step.how === "shift") queue.shift(count);
        if (step.how === "take") assertEquals(queue.take(count), first);
        if (step.how === "moveTo") {
          const target = new Uint8Array(count + 3);
          assertEquals(queue.moveTo(target, 3), count);
          assertEquals(target.subarray(3), first);
        }
        if (step.how === "clear") queue.clear();
        expected = expected.slice(step.how === "clear" ? Infinity : count);
        assertEquals(queue.byteLength, expected.byteLength);
        const views = queue.views(Infinity);
        assertEquals(
          new Uint8Array(views.flatMap((view) => [...view])),
          expected,
        );
      }
      assertEquals(queue.take(), expected);
      assertEquals(queue.memoryBytes, 0);
    }),
    { numRuns: 40 },
  );
});
