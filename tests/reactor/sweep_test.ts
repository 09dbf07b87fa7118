/** Time limits: which connections close, why, and when. */

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  type CloseReason,
  type Connection,
  type ConnectionHandlers,
  type ConnectionOptions,
  Reactor,
  type Timeouts,
} from "../../mod.ts";
import {
  MEMORY_ADDRESS,
  type MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";

/** One connection, on a clock that the test moves. */
interface Scene extends Disposable {
  readonly reactor: Reactor;
  readonly system: MemorySystem;
  readonly stream: MemoryStream;
  readonly connection: Connection;
  /** Why connections closed, in this order. */
  readonly reasons: CloseReason[];
  /** When they closed, from the first open on. */
  readonly closedAtMs: number[];
}

/** Accepts one connection. */
async function accepted(
  options: ConnectionOptions,
  handlers: Partial<ConnectionHandlers> = {},
  startMs?: number,
): Promise<Scene> {
  const system = new MemorySystem({ startMs });
  const reactor = new Reactor({ system });
  const reasons: CloseReason[] = [];
  const closedAtMs: number[] = [];
  const connections: Connection[] = [];
  let openedMs = 0;
  reactor.listen({ ...MEMORY_ADDRESS, ...options }, {
    data() {},
    ...handlers,
    open: (connection) => {
      if (connections.length === 0) openedMs = system.nowMs();
      connections.push(connection);
    },
    close: (_, reason) => {
      reasons.push(reason);
      closedAtMs.push(system.nowMs() - openedMs);
    },
  });
  const stream = system.arrive();
  await system.settle();
  const [connection] = connections;
  assert(connection !== undefined);
  return {
    reactor,
    system,
    stream,
    connection,
    reasons,
    closedAtMs,
    [Symbol.dispose]: () => reactor.close(),
  };
}

/**
 * How late the shortest timeout may be: as documented, and two waits of the
 * system, which are whole milliseconds.
 */
function lateMs(timeoutMs: number): number {
  return Math.min(1_000, Math.max(8, timeoutMs / 4)) + 2;
}

/** Asserts that the connection closed for `reason`, on time. */
function assertClosed(scene: Scene, reason: CloseReason, dueMs: number): void {
  assertEquals(scene.reasons, [reason]);
  const [closedAtMs] = scene.closedAtMs;
  assertGreaterOrEqual(closedAtMs!, dueMs);
  assertLessOrEqual(closedAtMs!, dueMs + lateMs(dueMs));
}

Deno.test("a silent peer is closed for being idle, on time", async () => {
  for (const idleMs of [1, 33, 250, 5_000, 86_400_000]) {
    using scene = await accepted({ timeouts: { idleMs } });
    await scene.system.pass(2 * idleMs + 1_000);
    assertClosed(scene, "idle", idleMs);
    assertEquals(scene.stream.isClosed, true);
    assertEquals(scene.stream.resetOnClose, false, "nothing was owed");
  }
});

Deno.test("a connection is not idle, while it reads or while it writes", async () => {
  using scene = await accepted({ timeouts: { idleMs: 1_000 } });
  for (let second = 0; second < 20; second++) {
    await scene.system.pass(900);
    if (second % 2 === 0) scene.stream.receive(1);
    else scene.connection.write(new Uint8Array(1));
    await scene.system.settle();
  }
  assertEquals(scene.reasons, []);
  await scene.system.pass(999);
  assertEquals(scene.reasons, []);
  await scene.system.pass(300);
  assertEquals(scene.reasons, ["idle"]);
});

Deno.test("Connection.quietSinceMs is as late as a timeout may be", async () => {
  using scene = await accepted({ timeouts: { idleMs: 60_000 } });
  const { connection, system, stream } = scene;
  await system.pass(20_000);
  const quietMs = () => connection.nowMs - connection.quietSinceMs;
  assertLessOrEqual(quietMs(), 20_000);
  assertGreaterOrEqual(quietMs(), 20_000 - lateMs(60_000));
  stream.receive(1);
  await system.settle();
  assertEquals(quietMs(), 0);
  await system.pass(5_000);
  assertLessOrEqual(quietMs(), 5_000);
  assertGreaterOrEqual(quietMs(), 5_000 - lateMs(60_000));
  connection.setTimeouts(undefined);
  await system.pass(5_000);
  assertEquals(quietMs(), 0, "a closed connection is not watched");
});

Deno.test("a timeout is never early and late as documented, whatever moves when", async () => {
  const pause = fc.nat({ max: 2_500 });
  const scenario = fc.record({
    idleMs: fc.integer({ min: 1, max: 3_000 }),
    pauses: fc.array(pause, { maxLength: 12 }),
    startMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(
      scenario,
      async ({ idleMs, pauses, startMs }) => {
        using scene = await accepted({ timeouts: { idleMs } }, {}, startMs);
        const { system, stream, reasons, closedAtMs } = scene;
        const beginMs = system.nowMs();
        let movedMs = beginMs;
        for (const pauseMs of pauses) {
          await system.pass(pauseMs);
          if (reasons.length > 0) break;
          movedMs = system.nowMs();
          stream.receive(1);
          await system.settle();
        }
        await system.pass(idleMs + lateMs(idleMs) + 1);
        assertEquals(reasons, ["idle"]);
        const idledMs = closedAtMs[0]! + beginMs - movedMs;
        // The clock of events has nanoseconds, the test's clock has fractions.
        assertGreaterOrEqual(idledMs, idleMs - 1e-3);
        assertLessOrEqual(idledMs, idleMs + lateMs(idleMs));
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("a peer that sends nothing is closed, though it is written to", async () => {
  using scene = await accepted({ timeouts: { readMs: 1_000 } });
  for (let tenth = 0; tenth < 15; tenth++) {
    scene.connection.write(new Uint8Array(1));
    await scene.system.pass(100);
  }
  assertClosed(scene, "read", 1_000);
});

Deno.test("a read timeout does not count the time in which the connection does not read", async () => {
  using scene = await accepted({ timeouts: { readMs: 1_000 } });
  const { system, connection, reasons } = scene;
  connection.pause();
  await system.pass(10_000);
  assertEquals(reasons, []);
  connection.resume();
  await system.pass(900);
  assertEquals(reasons, [], "it counts from when it resumed");
  await system.pass(400);
  assertEquals(reasons, ["read"]);
});

Deno.test("a read timeout does not count, when the peer has ended", async () => {
  using scene = await accepted({ timeouts: { readMs: 100 } }, { end() {} });
  scene.stream.receiveEnd();
  await scene.system.pass(10_000);
  assertEquals(scene.reasons, []);
  scene.connection.close();
  assertEquals(scene.reasons, ["ended"]);
});

Deno.test("a peer that does not read is reset, though it sends", async () => {
  using scene = await accepted({ timeouts: { writeMs: 1_000 } });
  const { system, stream, connection } = scene;
  stream.room = 10;
  connection.write(new Uint8Array(1_000));
  for (let tenth = 0; tenth < 15; tenth++) {
    stream.receive(1);
    await system.pass(100);
  }
  assertClosed(scene, "write", 1_000);
  assertEquals(stream.resetOnClose, true, "it would take the rest for all");
});

Deno.test("a peer that reads slowly is left alone, until it stops", async () => {
  using scene = await accepted({ timeouts: { writeMs: 1_000 } });
  const { system, stream, connection, reasons } = scene;
  stream.room = 0;
  connection.write(new Uint8Array(1_000));
  for (let step = 0; step < 20; step++) {
    await system.pass(900);
    stream.makeRoom(1);
    await system.settle();
  }
  assertEquals(reasons, []);
  await system.pass(1_300);
  assertEquals(reasons, ["write"]);
});

Deno.test("a write timeout does not count, when nothing is unsent", async () => {
  using scene = await accepted({ timeouts: { writeMs: 100 } });
  scene.connection.write(new Uint8Array(1_000));
  await scene.system.pass(10_000);
  assertEquals(scene.reasons, []);
});

Deno.test("a closing connection is closed by its write timeout, when the peer never reads", async () => {
  const timeouts: string[] = [];
  using scene = await accepted({ timeouts: { writeMs: 1_000 } }, {
    timeout: (_, reason) => void timeouts.push(reason),
  });
  scene.stream.room = 0;
  scene.connection.write(new Uint8Array(10));
  scene.connection.close();
  await scene.system.pass(1_500);
  assertClosed(scene, "write", 1_000);
  assertEquals(timeouts, [], "its handlers have done with it");
});

Deno.test("a connection is closed at the end of its lifetime, whatever moves", async () => {
  using scene = await accepted({ timeouts: { lifetimeMs: 5_000 } });
  for (let tenth = 0; tenth < 70; tenth++) {
    scene.stream.receive(1);
    await scene.system.pass(100);
  }
  assertClosed(scene, "lifetime", 5_000);
});

Deno.test("Connection.setTimeouts() replaces the timeouts, from now on", async () => {
  using scene = await accepted({ timeouts: { idleMs: 1_000 } });
  const { system, connection, reasons } = scene;
  await system.pass(900);
  connection.setTimeouts({ idleMs: 100_000 });
  await system.pass(90_000);
  assertEquals(reasons, []);
  connection.setTimeouts(undefined);
  await system.pass(1_000_000);
  assertEquals(reasons, []);
  assertEquals(scene.reactor.stats().timers, 0, "nothing is watched any more");
  connection.setTimeouts({ idleMs: 10 });
  await system.pass(30);
  assertEquals(reasons, ["idle"]);
});

Deno.test("Connection.setDeadline() closes once, late by fifty milliseconds at most", async () => {
  for (const delayMs of [0, 1, 49, 1_000, 3_600_000]) {
    using scene = await accepted({});
    scene.connection.setDeadline(delayMs);
    for (let step = 0; step < 10; step++) {
      scene.stream.receive(1);
      await scene.system.pass(delayMs / 5);
    }
    await scene.system.pass(51);
    assertEquals(scene.reasons, ["deadline"]);
    const [closedAtMs] = scene.closedAtMs;
    assertGreaterOrEqual(closedAtMs!, delayMs);
    assertLessOrEqual(closedAtMs!, delayMs + 51);
  }
});

Deno.test("Connection.setDeadline() is replaced by the next, and cleared by infinity", async () => {
  using scene = await accepted({});
  const { system, connection, reasons } = scene;
  for (let message = 0; message < 10; message++) {
    connection.setDeadline(1_000);
    await system.pass(900);
  }
  connection.setDeadline(Infinity);
  await system.pass(1_000_000);
  assertEquals(reasons, []);
});

Deno.test("Connection.setDeadline() stays, when timeouts are set after it", async () => {
  using scene = await accepted({});
  scene.connection.setDeadline(1_000);
  scene.connection.setTimeouts({ idleMs: 60_000 });
  await scene.system.pass(1_100);
  assertEquals(scene.reasons, ["deadline"]);
});

Deno.test("ConnectionHandlers.timeout is asked instead of closing, and again after the same time", async () => {
  const reasons: string[] = [];
  using scene = await accepted(
    { timeouts: { idleMs: 1_000, lifetimeMs: 10_000 } },
    { timeout: (_, reason) => void reasons.push(reason) },
  );
  scene.connection.setDeadline(500);
  await scene.system.pass(21_000);
  assertEquals(scene.reasons, []);
  const count = (reason: string) =>
    reasons.filter((it) => it === reason).length;
  assertEquals(reasons[0], "deadline");
  assertEquals(count("deadline"), 1);
  assertEquals(count("lifetime"), 2);
  assert(count("idle") >= 16 && count("idle") <= 20, `${reasons}`);
});

Deno.test("an error in ConnectionHandlers.timeout ends its connection and no other", async () => {
  const errors: string[] = [];
  using scene = await accepted({ timeouts: { idleMs: 100 } }, {
    timeout: () => {
      throw new Error("on purpose");
    },
    error: (_, error) => void errors.push(error.message),
  });
  scene.system.arrive();
  await scene.system.pass(500);
  assertEquals(scene.reasons, ["error", "error"]);
  assertEquals(errors, ["on purpose", "on purpose"]);
});

Deno.test("a handler may close others, and accept new ones, while the sweep is under way", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const reasons: CloseReason[] = [];
  const listener = reactor.listen(
    { ...MEMORY_ADDRESS, timeouts: { idleMs: 100 } },
    {
      data() {},
      close: (_, reason) => {
        if (reasons.push(reason) > 1) return;
        for (const other of reactor.connections(listener)) other.abort();
        system.arrive();
      },
    },
  );
  for (let client = 0; client < 10; client++) system.arrive();
  await system.pass(150);
  assertEquals(reasons, ["idle", ...Array(9).fill("aborted")]);
  assertEquals(reactor.stats().open, 1);
  await system.pass(150);
  assertEquals(reasons.at(-1), "idle");
  assertEquals(reactor.stats().timers, 0);
});

Deno.test("a thousand connections close on time, whenever each moved last", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const idleMs = 10_000;
  const lastMs = new Map<Connection, number>();
  let closed = 0;
  reactor.listen({ ...MEMORY_ADDRESS, timeouts: { idleMs } }, {
    open: (connection) => void lastMs.set(connection, system.nowMs()),
    data: (connection) => void lastMs.set(connection, system.nowMs()),
    close: (connection, reason) => {
      closed++;
      assertEquals(reason, "idle");
      const idledMs = system.nowMs() - lastMs.get(connection)!;
      assert(idledMs >= idleMs && idledMs <= idleMs + 1_001, `${idledMs}`);
    },
  });
  const COUNT = 1_000;
  const streams = Array.from({ length: COUNT }, () => system.arrive());
  await system.settle();
  for (const stream of streams) {
    stream.receive(1);
    await system.pass(7);
  }
  await system.pass(2 * idleMs);
  assertEquals(closed, COUNT);
});

Deno.test("connections beyond the slots of one turn close too, in some turns more", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  let closed = 0;
  reactor.listen({ ...MEMORY_ADDRESS, timeouts: { idleMs: 1_000 } }, {
    data() {},
    close: () => void closed++,
  });
  const COUNT = 10_000;
  for (let client = 0; client < COUNT; client++) system.arrive();
  await system.pass(900);
  assertEquals([closed, reactor.stats().open], [0, COUNT]);
  await system.pass(400);
  assertEquals([closed, reactor.stats().open], [COUNT, 0]);
});

Deno.test("the sweep costs nothing, when no connection has a limit of time", async () => {
  using scene = await accepted({});
  assertEquals(scene.reactor.stats().timers, 0);
  const { parks } = scene.reactor.stats();
  await scene.system.pass(86_400_000);
  assertLessOrEqual(scene.reactor.stats().parks - parks, 1);
});

Deno.test("the sweep sleeps until something is due, while nothing moves", async () => {
  using scene = await accepted({ timeouts: { idleMs: 600_000 } });
  await scene.system.pass(2_000);
  const { parks } = scene.reactor.stats();
  await scene.system.pass(590_000);
  assertLessOrEqual(scene.reactor.stats().parks - parks, 2);
  await scene.system.pass(9_000);
  assertClosed(scene, "idle", 600_000);
});

Deno.test("the sweep goes on for years, when its clock wraps", async () => {
  const DAY_MS = 86_400_000;
  using scene = await accepted({ timeouts: { idleMs: DAY_MS } });
  for (let halfDay = 0; halfDay < 220; halfDay++) {
    await scene.system.pass(DAY_MS / 2);
    scene.stream.receive(1);
    await scene.system.settle();
  }
  assertEquals(scene.reasons, []);
  await scene.system.pass(DAY_MS - 1);
  assertEquals(scene.reasons, []);
  await scene.system.pass(1_001);
  assertEquals(scene.reasons, ["idle"]);
});

Deno.test("Reactor.connect() has timeouts too, which count while it connects", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const reasons: CloseReason[] = [];
  reactor.connect({ ...MEMORY_ADDRESS, timeouts: { idleMs: 1_000 } }, {
    data() {},
    close: (_, reason) => void reasons.push(reason),
  });
  // A source that stays open, so that the loop goes on.
  reactor.listen(MEMORY_ADDRESS, { data() {} });
  await system.pass(1_300);
  assertEquals(reasons, ["idle"]);
});

Deno.test("timeouts and deadlines throw RangeError, when they are out of range", async () => {
  using scene = await accepted({});
  const { connection, reactor } = scene;
  const names = ["idleMs", "readMs", "writeMs", "lifetimeMs"] as const;
  for (const name of names) {
    for (const value of [0, -1, NaN, 2 ** 31]) {
      const timeouts: Timeouts = { [name]: value };
      const message = `${name} "${value}"`;
      assertThrows(() => connection.setTimeouts(timeouts), RangeError, message);
      assertThrows(
        () => reactor.listen({ ...MEMORY_ADDRESS, timeouts }, { data() {} }),
        RangeError,
        message,
      );
    }
  }
  for (const value of [-1, NaN, 2 ** 31]) {
    assertThrows(() => connection.setDeadline(value), RangeError, `"${value}"`);
  }
  connection.abort();
  connection.setDeadline(1);
  connection.setTimeouts({ idleMs: 1 });
  assertEquals(reactor.stats().timers, 0, "a closed connection is not watched");
});
