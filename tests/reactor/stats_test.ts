/** The figures of a reactor, compared with what was done to it. */

import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { type Connection, Reactor } from "../../mod.ts";
import { Histogram } from "../../src/reactor/stats.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";
import { ECHO } from "../util/handlers.ts";

Deno.test("Reactor.stats() is all zeros, when nothing has happened", () => {
  using reactor = new Reactor({ system: new MemorySystem() });
  const { closed, lag, ...rest } = reactor.stats();
  const { buckets, ...lagRest } = lag;
  const numbers = [closed, rest, lagRest, buckets].flatMap(Object.values);
  assert(numbers.length > 50);
  assertEquals(numbers.filter((number) => number !== 0), []);
});

Deno.test("Reactor.stats() counts connections, calls and bytes", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  reactor.listen(MEMORY_ADDRESS, ECHO);
  const [first, second, third] = [
    system.arrive(),
    system.arrive(),
    system.arrive(),
  ];
  const own = reactor.connect(MEMORY_ADDRESS, ECHO);
  await system.settle();
  assertEquals(reactor.stats().open, 4);
  first.receive(100);
  second.receive(70_000);
  await system.settle();
  third.room = 30;
  third.receive(50);
  await system.settle();
  first.receiveEnd();
  await system.settle();
  own.abort();
  const stats = reactor.stats();
  const { accepted, connected, open, listeners, closed } = stats;
  assertEquals({ accepted, connected, open, listeners }, {
    accepted: 3,
    connected: 1,
    open: 2,
    listeners: 1,
  });
  assertEquals([closed.ended, closed.aborted, closed.idle], [1, 1, 0]);
  const { reads, writes, bytesIn, bytesOut, memoryBytes } = stats;
  assertEquals({ bytesIn, bytesOut }, { bytesIn: 70_150, bytesOut: 70_130 });
  assert(memoryBytes >= 20);
  // A read of 64 KiB and the rest; the end; a first event without bytes.
  assert(reads >= 5 && reads <= 9, `${reads} reads`);
  assert(writes >= 4 && writes <= 5, `${writes} writes`);
  third.makeRoom(20);
  await system.settle();
  assertEquals(reactor.stats().memoryBytes, 0);
  assertEquals(reactor.stats().bytesOut, 70_150);
});

Deno.test("Reactor.stats() counts turns, waits, events and timers", async () => {
  let parks = 0;
  const system = new MemorySystem({
    policy: { call: (call) => void (call === "poll.park" && parks++) },
  });
  using reactor = new Reactor({ system });
  reactor.listen(MEMORY_ADDRESS, ECHO);
  await system.settle();
  const before = reactor.stats();
  reactor.setTimer(1_000, () => {});
  reactor.setInterval(1_000, () => {}).unref();
  assertEquals(reactor.stats().timers, 2);
  const stream = system.arrive();
  await system.settle();
  stream.receive(1);
  await system.pass(5_000);
  const after = reactor.stats();
  assertEquals(after.timers, 1);
  // One event is the waker's: setting a timer ends the wait.
  assertEquals(after.events - before.events, 3);
  assertEquals(after.polls, after.turns + after.parks);
  assertEquals(after.parks, parks);
  assert(after.turns - before.turns >= 7, `${after.turns - before.turns}`);
});

Deno.test("Reactor.stats() has the lag of turns, and none of parking", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const open: Connection[] = [];
  reactor.listen(MEMORY_ADDRESS, {
    open: (connection) => void open.push(connection),
    data() {},
  });
  const stream = system.arrive();
  await system.pass(3_600_000);
  assertLessOrEqual(reactor.stats().lag.maxMs, 1);
  // A hundred turns in a row: each timer sets the next one in its turn.
  let left = 100;
  const next = () => {
    system.spend(left === 50 ? 700 : 10);
    if (--left > 0) reactor.setTimer(0, next);
  };
  reactor.setTimer(0, next);
  await system.pass(5_000);
  stream.receive(1);
  await system.pass(3_600_000);
  const { lag } = reactor.stats();
  assert(lag.p50Ms >= 10 && lag.p50Ms < 20, `${lag.p50Ms}`);
  assert(lag.p90Ms >= 10 && lag.p90Ms < 20, `${lag.p90Ms}`);
  assert(Math.abs(lag.maxMs - 700) < 2, `${lag.maxMs}`);
  assertEquals(lag.buckets.reduce((sum, count) => sum + count), lag.count);
});

Deno.test("Reactor.stats() returns a snapshot, which does not change later", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  reactor.listen(MEMORY_ADDRESS, ECHO);
  const stats = reactor.stats();
  const copy = structuredClone(stats);
  system.arrive().receive(100);
  await system.pass(10);
  assertEquals(stats, copy);
});

Deno.test("Histogram percentiles are the sorted list's, rounded up to a power of two", () => {
  const durationMs = fc.double({ min: -1, max: 1e7, noNaN: true });
  const many = fc.array(durationMs, { minLength: 1, maxLength: 200 });
  fc.assert(fc.property(many, (durations) => {
    const histogram = new Histogram();
    for (const ms of durations) histogram.add(ms);
    const sorted = durations.map((ms) => Math.max(0, ms)).sort((a, b) => a - b);
    const { count, p50Ms, p90Ms, p99Ms, maxMs } = histogram.read();
    assertEquals(count, sorted.length);
    assertEquals(maxMs, sorted.at(-1));
    for (const [share, ms] of [[0.5, p50Ms], [0.9, p90Ms], [0.99, p99Ms]]) {
      const exactMs = sorted[Math.ceil(share! * sorted.length) - 1]!;
      // One bucket counts all durations beyond 36 minutes.
      if (exactMs < 2 ** 31 / 1_000) {
        assert(ms! >= exactMs, `p${share} is ${ms}, not ${exactMs}`);
        assert(ms! <= Math.max(2 * exactMs, 0.001), `${ms}, not ${exactMs}`);
      }
    }
  }));
});
