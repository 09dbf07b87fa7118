/** Running fibers are counted: an exclusive reactor blocks while none runs. */

import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import {
  type Fiber,
  type FiberConnection,
  Fibers,
  Reactor,
} from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  MEMORY_ADDRESS,
  type MemoryPolicy,
  MemorySystem,
} from "../../src/system/memory.ts";

/** Longer than any test, on the reactor's clock. */
const LONG_MS = 60_000;
/** The longest wait that delays no other work, in milliseconds. */
const SHORT_MS = 1;

/** A system that records the longest wait of the reactor. */
class WaitingSystem extends MemorySystem {
  /** In milliseconds. */
  longestWaitMs = 0;

  override policy: MemoryPolicy = {
    call: (call, _, timeoutMs) => {
      if (call !== "poll.poll") return;
      this.longestWaitMs = Math.max(this.longestWaitMs, timeoutMs!);
    },
  };

  /** Lets time pass, and returns the longest wait meanwhile in milliseconds. */
  async waitsIn(ms: number): Promise<number> {
    await this.settle();
    this.longestWaitMs = 0;
    await this.pass(ms);
    return this.longestWaitMs;
  }
}

interface Given {
  readonly reactor: Reactor;
  readonly system: WaitingSystem;
  readonly fiber: Fiber;
  /** Two connections that the fiber owns; their peers are silent. */
  readonly one: FiberConnection;
  readonly other: FiberConnection;
}

const BUFFER_BYTES = 16;
const read = (connection: FiberConnection) =>
  connection.read(new Uint8Array(BUFFER_BYTES));

/** A write to a peer that takes no byte. */
const write = (system: MemorySystem, connection: FiberConnection) => {
  for (const stream of system.connects) stream.room = 0;
  return connection.write(new Uint8Array(1_000_000));
};

/** Two waits of one fiber at once, both for the reactor. */
const DOUBLE_WAITS: Record<string, (given: Given) => Promise<unknown>[]> = {
  "two reads": ({ one, other }) => [read(one), read(other)],
  "a read and a write": ({ system, one }) => [read(one), write(system, one)],
  "two writes": ({ system, one }) => [write(system, one), write(system, one)],
  "two sleeps": ({ fiber }) => [fiber.sleep(LONG_MS), fiber.sleep(LONG_MS)],
  "a read and a sleep": ({ fiber, one }) => [read(one), fiber.sleep(LONG_MS)],
  "two scopes": ({ fiber }) =>
    [1, 2].map(() => fiber.scope((scope) => scope.sleep(LONG_MS))),
  "two accepts": ({ fiber }) => {
    const listener = fiber.listen(MEMORY_ADDRESS);
    return [listener.accept(), listener.accept()];
  },
  "a child that reads and writes its parent's": ({ system, fiber, one }) => [
    fiber.scope(() => Promise.all([read(one), write(system, one)])),
  ],
};

async function onExclusive(
  body: (reactor: Reactor, system: WaitingSystem) => Promise<void>,
): Promise<void> {
  const system = new WaitingSystem();
  using reactor = new Reactor({ system, exclusive: true, onError() {} });
  // The loop stops when nothing is open.
  reactor.setInterval(LONG_MS, () => {});
  await body(reactor, system);
}

for (const [what, waits] of Object.entries(DOUBLE_WAITS)) {
  cleanTest(
    `a fiber that waits for ${what} counts once, beside one that waits for Deno`,
    () =>
      onExclusive(async (reactor, system) => {
        const fibers = new Fibers(reactor);
        const gate = Promise.withResolvers<void>();
        fibers.spawn(async (fiber) => {
          const one = await fiber.connect(MEMORY_ADDRESS);
          const other = await fiber.connect(MEMORY_ADDRESS);
          await Promise.all(waits({ reactor, system, fiber, one, other }));
        });
        fibers.spawn(() => gate.promise);
        assertLessOrEqual(await system.waitsIn(1000), SHORT_MS);
        gate.resolve();
        assertGreater(await system.waitsIn(1000), SHORT_MS);
      }),
  );
}

/** Waits outside of fibers. */
const UNOWNED: Record<
  string,
  (reactor: Reactor, system: WaitingSystem) => Promise<Promise<unknown>[]>
> = {
  "an accept": (reactor) =>
    Promise.resolve([new Fibers(reactor).listen(MEMORY_ADDRESS).accept()]),
  "a read and a write": async (reactor, system) => {
    const fibers = new Fibers(reactor);
    const connection = await fibers.connect(MEMORY_ADDRESS);
    return [read(connection), write(system, connection)];
  },
};

for (const [what, begin] of Object.entries(UNOWNED)) {
  cleanTest(
    `${what} outside of fibers hides no fiber that waits for Deno`,
    () =>
      onExclusive(async (reactor, system) => {
        const fibers = new Fibers(reactor);
        const gate = Promise.withResolvers<void>();
        fibers.spawn(() => gate.promise);
        const begun = begin(reactor, system);
        await system.settle();
        for (const waiting of await begun) waiting.catch(() => {});
        assertLessOrEqual(await system.waitsIn(1000), SHORT_MS);
        gate.resolve();
        assertGreater(await system.waitsIn(1000), SHORT_MS);
      }),
  );
}

cleanTest(
  "a fiber with one of two waits over counts as running, until it waits again",
  () =>
    onExclusive(async (reactor, system) => {
      const fibers = new Fibers(reactor);
      const gate = Promise.withResolvers<void>();
      const log: string[] = [];
      fibers.spawn(async (fiber) => {
        await Promise.race([fiber.sleep(10), fiber.sleep(LONG_MS)]);
        log.push("raced");
        await gate.promise;
        log.push("opened");
        await Promise.race([fiber.sleep(LONG_MS), fiber.sleep(LONG_MS)]);
      });
      await system.pass(20);
      assertEquals(log, ["raced"]);
      assertLessOrEqual(await system.waitsIn(1000), SHORT_MS);
      gate.resolve();
      assertGreater(await system.waitsIn(1000), SHORT_MS);
      assertEquals(log, ["raced", "opened"]);
    }),
);

cleanTest(
  "a read that goes on under another owner is counted for the new owner alone",
  () =>
    onExclusive(async (reactor, system) => {
      const fibers = new Fibers(reactor);
      const gate = Promise.withResolvers<void>();
      const first = fibers.spawn(async (fiber) => {
        const connection = await fiber.connect(MEMORY_ADDRESS);
        const reading = read(connection);
        fibers.spawn(async (second) => {
          second.own(connection);
          await reading;
        });
        await gate.promise;
      });
      assertLessOrEqual(await system.waitsIn(1000), SHORT_MS);
      gate.resolve();
      await first.finished;
      assertGreater(await system.waitsIn(1000), SHORT_MS);
    }),
);

cleanTest(
  "an exclusive reactor's timer is not late by the turn before",
  () =>
    onExclusive(async (reactor, system) => {
      reactor.listen(MEMORY_ADDRESS, { data: () => system.spend(96) });
      const client = system.arrive();
      await system.settle();
      const dueMs = system.nowMs() + 120;
      let ranMs = 0;
      reactor.setTimer(120, () => void (ranMs = system.nowMs()));
      client.receive("slow");
      await system.pass(300);
      assertGreater(ranMs, 0);
      assertLessOrEqual(ranMs - dueMs, SHORT_MS);
    }),
);
