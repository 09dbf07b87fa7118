/** Unsent bytes: what is counted of them, and since when they wait. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Outbox } from "../../src/bytes/outbox.ts";
import { FakeHost } from "../util/fake_host.ts";
import { concat } from "../util/http_bytes.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

Deno.test("Outbox counts the memory that it takes, not its writes", () => {
  const host = new FakeHost();
  const outbox = new Outbox(host);
  for (let index = 0; index < 50_000; index++) {
    outbox.push(new Uint8Array(20), 0, 20);
  }
  assertEquals(outbox.byteLength, 1_000_000);
  assert(host.memoryBytes >= 1_000_000);
  assert(host.memoryBytes < 1_150_000, `${host.memoryBytes} bytes`);
  let sends = 0;
  for (; outbox.byteLength > 0; sends++) {
    outbox.shift(concat(outbox.views).length);
  }
  assert(sends <= 4, `${sends} sends`);
  assertEquals(host.memoryBytes, 0);
});

Deno.test("Outbox counts an array once, when several are sent it", () => {
  const host = new FakeHost();
  const array = new Uint8Array(1_000_000);
  const outboxes = [1, 2, 3].map(() => new Outbox(host));
  for (const outbox of outboxes) outbox.pushOwned(array, 0);
  assert(host.memoryBytes < 3_100_000);
  for (const outbox of outboxes) outbox.clear();
  assertEquals(host.memoryBytes, 0);
});

Deno.test("Outbox sends copies and arrays of its own in order, from where a send stopped", () => {
  const outbox = new Outbox(new FakeHost());
  outbox.push(bytes(1, 2, 3), 0, 3);
  outbox.push(bytes(9), 1, 1);
  outbox.pushOwned(new Uint8Array(3_000).fill(4), 1_000);
  outbox.push(bytes(5), 0, 1);
  outbox.shift(2);
  assertEquals(
    concat(outbox.views),
    concat([
      bytes(3),
      new Uint8Array(2_000).fill(4),
      bytes(5),
    ]),
  );
  assertThrows(() => outbox.pushOwned(bytes(1), 2), RangeError);
  assertThrows(() => outbox.push(bytes(1), 0, 2), RangeError);
});

Deno.test("Outbox counts looks that find nothing moved, by what was sent or acknowledged", () => {
  const host = new FakeHost();
  const outbox = new Outbox(host);
  outbox.push(bytes(1, 2, 3), 0, 3);
  const looks = (...unacked: (number | undefined)[]) =>
    unacked.map((bytes) => outbox.look(bytes));
  assertEquals(looks(undefined, undefined, undefined), [0, 1, 2]);
  host.nowMs = 200;
  outbox.shift(1);
  assertEquals(outbox.sinceMs, 200);
  assertEquals(looks(50, 50, 60, 60), [0, 1, 2, 3]);
  host.nowMs = 400;
  assertEquals(looks(59, 59), [0, 1]);
  assertEquals(outbox.sinceMs, 400);
});
