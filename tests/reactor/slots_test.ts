/** The table from tokens to sources. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Ready, Slots } from "../../src/reactor/slots.ts";
import { WAKER_TOKEN } from "../../src/system/system.ts";

/** Tokens that the table has room for. */
const TOKENS_MAX = 2 ** 20;
/** Bits of a token that are its slot. */
const SLOT_MASK = TOKENS_MAX - 1;

function anEntry(): Ready {
  return { token: -1, onReady() {}, fail() {} };
}

function inserted(slots: Slots): Ready {
  const entry = anEntry();
  slots.insert(entry);
  return entry;
}

Deno.test("Slots.get() finds the source of a token, until it is removed", () => {
  const slots = new Slots();
  const first = inserted(slots);
  const second = inserted(slots);
  assertEquals(slots.size, 2);
  assert(slots.get(first.token) === first);
  assert(slots.get(second.token) === second);
  slots.remove(first.token);
  assertEquals(slots.get(first.token), undefined);
  assert(slots.get(second.token) === second);
  assertEquals(slots.size, 1);
});

Deno.test("Slots.get() finds nothing, when the token was never given out", () => {
  const slots = new Slots();
  const { token } = inserted(slots);
  for (const other of [token + 1, WAKER_TOKEN, -1, 2 ** 31 - 1]) {
    assertEquals(slots.get(other), undefined);
  }
});

Deno.test("Slots.get() finds nothing, when the slot has another owner by now", () => {
  const slots = new Slots();
  const stale: number[] = [];
  for (let round = 0; round < 100; round++) {
    const entry = inserted(slots);
    assertEquals(entry.token & SLOT_MASK, 0);
    for (const token of stale) assertEquals(slots.get(token), undefined);
    stale.push(entry.token);
    slots.remove(entry.token);
    slots.recycle();
  }
  assertEquals(new Set(stale).size, stale.length);
});

Deno.test("Slots.insert() takes no slot that closed in this turn, before recycle()", () => {
  const slots = new Slots();
  const closed = inserted(slots).token & SLOT_MASK;
  slots.remove(closed);
  assert((inserted(slots).token & SLOT_MASK) !== closed);
  slots.recycle();
  assertEquals(inserted(slots).token & SLOT_MASK, closed);
});

Deno.test("Slots.insert() gives tokens that are small integers, also after many rounds", () => {
  const slots = new Slots();
  for (let round = 0; round < 5_000; round++) {
    const { token } = inserted(slots);
    assert(token >= 0 && token < 2 ** 31, `${token}`);
    slots.remove(token);
    slots.recycle();
  }
});

Deno.test("Slots.insert() throws RangeError, when all tokens are in use", () => {
  const slots = new Slots();
  for (let count = 0; count < TOKENS_MAX; count++) inserted(slots);
  assertThrows(
    () => inserted(slots),
    RangeError,
    `Cannot register more than ${TOKENS_MAX} sources`,
  );
  assertEquals(slots.size, TOKENS_MAX);
  slots.remove(7);
  slots.recycle();
  assertEquals(inserted(slots).token & SLOT_MASK, 7);
});

Deno.test("Slots.remove() does nothing, when the token is stale", () => {
  const slots = new Slots();
  const { token } = inserted(slots);
  slots.remove(token);
  slots.remove(token);
  slots.recycle();
  const next = inserted(slots);
  slots.remove(token);
  assert(slots.get(next.token) === next);
  assertEquals(slots.size, 1);
});

Deno.test("Slots yield each entry once, while entries are removed", () => {
  const slots = new Slots();
  const entries = Array.from({ length: 10 }, () => inserted(slots));
  const seen: Ready[] = [];
  for (const entry of slots) {
    seen.push(entry);
    slots.remove(entry.token);
  }
  assertEquals(seen.length, entries.length);
  assertEquals(new Set(seen), new Set(entries));
  assertEquals(slots.size, 0);
});

Deno.test("Slots are a map, whatever is inserted, removed and recycled", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant("insert" as const) },
    { weight: 2, arbitrary: fc.nat() },
    { weight: 1, arbitrary: fc.constant("recycle" as const) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const slots = new Slots();
    const open = new Map<number, Ready>();
    const given: number[] = [];
    for (const what of steps) {
      if (what === "insert") {
        const entry = inserted(slots);
        assertEquals(given.includes(entry.token), false);
        given.push(entry.token);
        open.set(entry.token, entry);
      } else if (what === "recycle") {
        slots.recycle();
      } else if (given.length > 0) {
        const token = given[what % given.length]!;
        slots.remove(token);
        open.delete(token);
      }
      assertEquals(slots.size, open.size);
    }
    for (const token of given) {
      assert(slots.get(token) === open.get(token));
    }
    assertEquals(new Set(slots), new Set(open.values()));
  }));
});
