/** The heap of timers, against a sorted list. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { type Timer, Timers } from "../src/reactor/timers.ts";

const nothing = () => {};

Deno.test("Timers.nextDeadlineMs is infinite, when no timer waits", () => {
  const timers = new Timers();
  assertEquals(timers.nextDeadlineMs, Infinity);
  assertEquals(timers.size, 0);
  assertEquals(timers.takeDue(Infinity), undefined);
});

Deno.test("Timers.takeDue() takes a timer at its deadline, and not before", () => {
  const timers = new Timers();
  const timer = timers.add(10, nothing);
  assertEquals(timers.nextDeadlineMs, 10);
  assertEquals(timers.takeDue(9.999), undefined);
  assertStrictEquals(timers.takeDue(10), timer);
  assertEquals(timers.takeDue(10), undefined);
  assertEquals(timers.size, 0);
});

Deno.test("Timers.takeDue() takes the earliest first, one at a time", () => {
  const timers = new Timers();
  for (const deadlineMs of [5, 1, 4, 2, 3]) timers.add(deadlineMs, nothing);
  assertEquals(deadlinesUpTo(timers, 4), [1, 2, 3, 4]);
  assertEquals(timers.nextDeadlineMs, 5);
});

Deno.test("Timers.takeDue() runs nothing itself", () => {
  const timers = new Timers();
  let ran = 0;
  timers.add(1, () => ran++);
  timers.takeDue(1)?.callback();
  assertEquals(ran, 1);
});

Deno.test("Timers.remove() leaves a timer alone, when it was taken or removed", () => {
  const timers = new Timers();
  const taken = timers.add(1, nothing);
  const removed = timers.add(2, nothing);
  timers.add(3, nothing);
  timers.takeDue(1);
  timers.remove(removed);
  timers.remove(removed);
  timers.remove(taken);
  assertEquals(timers.size, 1);
  assertEquals(deadlinesUpTo(timers, Infinity), [3]);
});

Deno.test("Timers.remove() leaves a timer alone, when it is another heap's", () => {
  const timers = new Timers();
  const other = new Timers();
  timers.add(1, nothing);
  const foreign = other.add(1, nothing);
  timers.remove(foreign);
  assertEquals(timers.size, 1);
  assertEquals(other.size, 1);
});

Deno.test("Timers are a sorted list, whatever is added, removed and taken", () => {
  // Few deadlines, so that many are equal.
  const deadline = fc.nat({ max: 30 });
  const step = fc.oneof(
    fc.record({ do: fc.constant("add" as const), at: deadline }),
    fc.record({ do: fc.constant("remove" as const), at: fc.nat() }),
    fc.record({ do: fc.constant("take" as const), at: deadline }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const timers = new Timers();
    const all: Timer[] = [];
    let waiting: Timer[] = [];
    for (const { do: what, at } of steps) {
      if (what === "add") {
        const timer = timers.add(at, nothing);
        all.push(timer);
        waiting.push(timer);
      } else if (what === "remove" && all.length > 0) {
        const timer = all[at % all.length]!;
        timers.remove(timer);
        waiting = waiting.filter((other) => other !== timer);
      } else if (what === "take") {
        const timer = timers.takeDue(at);
        const earliest = Math.min(...waiting.map((each) => each.deadlineMs));
        assertEquals(timer?.deadlineMs, earliest <= at ? earliest : undefined);
        if (timer !== undefined) assertEquals(waiting.includes(timer), true);
        waiting = waiting.filter((other) => other !== timer);
      }
      assertEquals(timers.size, waiting.length);
    }
    assertEquals(
      deadlinesUpTo(timers, Infinity),
      waiting.map((timer) => timer.deadlineMs).sort((a, b) => a - b),
    );
  }));
});

function deadlinesUpTo(timers: Timers, nowMs: number): number[] {
  const taken: number[] = [];
  for (;;) {
    const timer = timers.takeDue(nowMs);
    if (timer === undefined) return taken;
    taken.push(timer.deadlineMs);
  }
}
