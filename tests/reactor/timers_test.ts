/** The heap of timers, against a sorted list; timers of a reactor. */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Reactor } from "../../mod.ts";
import { type Timer, Timers } from "../../src/reactor/timers.ts";
import { MemorySystem } from "../../src/system/memory.ts";

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

Deno.test("Timers.takeDue() takes the earliest timer first", () => {
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
  // Few different deadlines, so that many are equal.
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
        const expected = waiting.find((each) => each.deadlineMs === earliest);
        assertStrictEquals(timer, earliest <= at ? expected : undefined);
        waiting = waiting.filter((other) => other !== timer);
      }
      assertEquals(timers.size, waiting.length);
    }
    // Sorting is stable: equal deadlines stay in the order they were set.
    waiting.sort((a, b) => a.deadlineMs - b.deadlineMs);
    for (const timer of waiting) {
      assertStrictEquals(timers.takeDue(Infinity), timer);
    }
    assertEquals(timers.size, 0);
  }));
});

Deno.test("an interval is due at start + n * period, however late it was taken", () => {
  const timers = new Timers();
  const interval = timers.addInterval(1_000, 0.1, nothing);
  let lateMs = 0;
  for (let n = 1; n <= 10_000; n++) {
    assertEquals(interval.deadlineMs, 1_000 + n * 0.1);
    // Later each time, up to nearly a period.
    lateMs = (lateMs + 0.013) % 0.09;
    const nowMs = interval.deadlineMs + lateMs;
    assertStrictEquals(timers.takeDue(nowMs), interval);
    assertEquals(timers.takeDue(nowMs), undefined);
  }
});

Deno.test("an interval is taken once and goes on in step, when deadlines were missed", () => {
  const timers = new Timers();
  const interval = timers.addInterval(0, 10, nothing);
  assertStrictEquals(timers.takeDue(57), interval);
  assertEquals(timers.takeDue(57), undefined);
  assertEquals(interval.deadlineMs, 60);
  assertStrictEquals(timers.takeDue(60), interval);
  assertEquals(interval.deadlineMs, 70);
});

Deno.test("an interval is never due twice at one time, whatever its start, period and lateness", () => {
  const ms = fc.double({ min: 1e-3, max: 1e7, noNaN: true });
  fc.assert(fc.property(ms, ms, ms, (startMs, periodMs, lateMs) => {
    const timers = new Timers();
    const interval = timers.addInterval(startMs, periodMs, nothing);
    const nowMs = interval.deadlineMs + lateMs;
    timers.takeDue(nowMs);
    assertEquals(timers.takeDue(nowMs), undefined);
    const aheadMs = interval.deadlineMs - nowMs;
    assertEquals(aheadMs > 0 && aheadMs < periodMs * 1.001 + 1e-6, true);
  }));
});

Deno.test("timers are counted for the process once, however often ref() and unref() are called", () => {
  let refs = 0;
  const timers = new Timers((delta) => refs += delta);
  const timer = timers.add(1, nothing);
  assertEquals(refs, 0);
  timer.ref();
  timer.ref();
  assertEquals([refs, timer.isRefed], [1, true]);
  timer.unref();
  timer.unref();
  assertEquals([refs, timer.isRefed], [0, false]);
  timer.ref();
  timers.takeDue(1);
  assertEquals([refs, timer.isPending], [0, false]);
  timer.unref();
  timer.ref();
  timers.remove(timer);
  assertEquals(refs, 0);
  const interval = timers.addInterval(0, 1, nothing);
  interval.ref();
  timers.takeDue(5);
  assertEquals([refs, interval.isPending], [1, true]);
  timers.remove(interval);
  assertEquals(refs, 0);
});

/** Runs `scene` on a reactor whose clock the test moves. */
async function onFakeClock(
  scene: (
    reactor: Reactor,
    system: MemorySystem,
    reported: unknown[],
  ) => Promise<void>,
): Promise<void> {
  const system = new MemorySystem();
  const reported: unknown[] = [];
  using reactor = new Reactor({
    system,
    onError: (error) => void reported.push(error),
  });
  // An open source, so that the loop goes on.
  reactor.listen({ hostname: "127.0.0.1", port: 0 }, { data() {} });
  await scene(reactor, system, reported);
}

Deno.test("Reactor.setTimer() runs on the clock of its system, to the millisecond", () =>
  onFakeClock(async (reactor, system) => {
    const ranAtMs: number[] = [];
    const startMs = system.nowMs();
    for (const delayMs of [86_400_000, 3, 250, 0]) {
      reactor.setTimer(delayMs, () => {
        ranAtMs.push(system.nowMs() - startMs);
      });
    }
    await system.pass(249);
    assertEquals(ranAtMs, [0, 3]);
    await system.pass(1);
    assertEquals(ranAtMs, [0, 3, 250]);
    await system.pass(86_400_000);
    assertEquals(ranAtMs, [0, 3, 250, 86_400_000]);
  }));

Deno.test("Reactor.setTimer() runs those of one deadline in the order they were set", () =>
  onFakeClock(async (reactor, system) => {
    const order: string[] = [];
    const say = (name: string) => () => void order.push(name);
    reactor.setTimer(10, say("a"));
    await system.pass(4);
    reactor.setTimer(6, say("b"));
    reactor.setTimer(0, () => {
      reactor.setTimer(6, say("d"));
    });
    reactor.setTimer(6, say("c"));
    await system.pass(6);
    assertEquals(order, ["a", "b", "c", "d"]);
  }));

Deno.test("Reactor.setTimer() in a callback comes after those that are due, also with a delay of the past", () =>
  onFakeClock(async (reactor, system) => {
    const order: string[] = [];
    reactor.setTimer(5, () => {
      order.push("first");
      reactor.setTimer(-100, () => void order.push("third"));
    });
    reactor.setTimer(5, () => void order.push("second"));
    await system.pass(5);
    assertEquals(order, ["first", "second", "third"]);
  }));

Deno.test("Reactor.setInterval() does not drift and skips missed deadlines, when turns take long", () =>
  onFakeClock(async (reactor, system) => {
    const ranAtMs: number[] = [];
    const startMs = system.nowMs();
    const interval = reactor.setInterval(100, () => {
      ranAtMs.push(system.nowMs() - startMs);
      // The third takes longer than two periods.
      system.spend(ranAtMs.length === 3 ? 230 : 7);
    });
    await system.pass(1_000);
    assertEquals(ranAtMs, [100, 200, 300, 530, 600, 700, 800, 900, 1000]);
    reactor.clearTimer(interval);
    await system.pass(1_000);
    assertEquals(ranAtMs.length, 9);
  }));

Deno.test("Reactor.clearTimer() in its own callback ends an interval", () =>
  onFakeClock(async (reactor, system) => {
    let runs = 0;
    const interval = reactor.setInterval(10, () => {
      if (++runs === 3) reactor.clearTimer(interval);
    });
    await system.pass(100);
    assertEquals([runs, interval.isPending], [3, false]);
  }));

Deno.test("Reactor.setInterval() goes on after an error, which is reported", () =>
  onFakeClock(async (reactor, system, reported) => {
    let runs = 0;
    reactor.setInterval(10, () => {
      runs++;
      throw new Error("on purpose");
    });
    await system.pass(30);
    assertEquals([runs, reported.length], [3, 3]);
  }));

Deno.test("Reactor.setInterval() throws RangeError, when the period is not more than zero", () =>
  onFakeClock((reactor) => {
    for (const periodMs of [0, -1, NaN]) {
      assertThrows(
        () => reactor.setInterval(periodMs, nothing),
        RangeError,
        `"${periodMs}"`,
      );
    }
    return Promise.resolve();
  }));

Deno.test("a reactor wakes for nothing but its timers, when nothing else happens", () =>
  onFakeClock(async (reactor, system) => {
    await system.settle();
    let parks = 0;
    system.policy = { call: (call) => void (call === "poll.park" && parks++) };
    reactor.setTimer(60_000, nothing);
    reactor.setTimer(3_600_000, nothing);
    await system.pass(7_200_000);
    // The new timers end a park, and later each timer ends one.
    assertEquals(parks <= 4, true, `${parks}`);
  }));

function deadlinesUpTo(timers: Timers, nowMs: number): number[] {
  const taken: number[] = [];
  for (;;) {
    const timer = timers.takeDue(nowMs);
    if (timer === undefined) return taken;
    taken.push(timer.deadlineMs);
  }
}
