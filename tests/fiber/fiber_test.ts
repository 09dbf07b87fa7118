/** Fibers: their names, what they own, and where their errors go. */

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { type Fiber, Fibers, Reactor } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readToEnd } from "../util/deno_client.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";
import { onReactor } from "../util/fibers.ts";
import { encoded } from "../util/handlers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually, within } from "../util/waiting.ts";

const NEVER_MS = 60_000;

cleanTest(
  "Fibers.spawn() resolves as the fiber does",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const fiber = fibers.spawn((fiber) => fiber.name, { name: "one" });
      assertEquals(await fiber.finished, "one");
      assert(fiber.isEnded);
      assertEquals(await fiber.finished, "one");
      assertEquals(reactor.reported, []);
    }),
);

cleanTest(
  "a fiber runs at once, up to what it waits for",
  () =>
    onReactor(async ({ fibers }) => {
      const log: string[] = [];
      const fiber = fibers.spawn(async (fiber) => {
        log.push("begun");
        await fiber.sleep(0);
        log.push("over");
      });
      assertEquals(log, ["begun"]);
      await fiber.finished;
      assertEquals(log, ["begun", "over"]);
    }),
);

cleanTest(
  "a fiber's error goes to onError with its name, when no code reads finished",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const cause = new RangeError("too much");
      fibers.spawn(() => Promise.reject(cause), { name: "worker" });
      fibers.spawn(() => {
        throw new RangeError("too little");
      });
      await eventually("the reports", () => reactor.reported.length === 2);
      assertEquals(reactor.reported.map(({ message }) => message), [
        'Fiber "worker" failed: too much',
        'Fiber "fiber-1" failed: too little',
      ]);
      assertStrictEquals(reactor.reported[0]!.cause, cause);
    }),
);

cleanTest(
  "a fiber's error rejects finished and is not reported, when code reads finished",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const fiber = fibers.spawn(() => Promise.reject(new RangeError("no")));
      await assertRejects(() => fiber.finished, RangeError, "no");
      assertEquals(reactor.reported, []);
    }),
);

cleanTest(
  "a fiber that ends sends what it wrote, then the end",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      using listener = Deno.listen(LOOPBACK);
      const fiber = fibers.spawn(async (fiber) => {
        const conn = await fiber.connect(listener.addr as Deno.NetAddr);
        await conn.write(encoded("bye"));
        fiber.own(fibers.listen(LOOPBACK));
      });
      using peer = await listener.accept();
      assertEquals(await readToEnd(peer), encoded("bye"));
      await fiber.finished;
      await eventually("all to be closed", () => reactor.size === 0);
    }),
);

cleanTest(
  "a fiber that throws resets what it owns",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      using listener = Deno.listen(LOOPBACK);
      const { promise: accepted, resolve } = Promise.withResolvers<void>();
      fibers.spawn(async (fiber) => {
        await fiber.connect(listener.addr as Deno.NetAddr);
        await accepted;
        throw new Error("broken");
      });
      using peer = await listener.accept();
      resolve();
      await assertRejects(
        () => within(peer.read(new Uint8Array(1)), "the reset"),
        Deno.errors.ConnectionReset,
      );
      assertEquals(reactor.reported.length, 1);
    }),
);

cleanTest(
  "Fiber.own() disposes of anything with the fiber, newest first",
  () =>
    onReactor(async ({ fibers }) => {
      const log: string[] = [];
      await fibers.spawn((fiber) => {
        for (const name of ["first", "second", "third"]) {
          fiber.own({ [Symbol.dispose]: () => void log.push(name) });
        }
      }).finished;
      assertEquals(log, ["third", "second", "first"]);
    }),
);

cleanTest(
  "Fiber.cancel() ends sleeps, accepts, connects and children",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const reason = new Error("enough");
      const caught: unknown[] = [];
      const waits: ((fiber: Fiber) => Promise<unknown>)[] = [
        (fiber) => fiber.sleep(NEVER_MS),
        (fiber) => fiber.listen(LOOPBACK).accept(),
        (fiber) => fiber.scope((scope) => scope.sleep(NEVER_MS)),
        (fiber) => fiber.withTimeout(NEVER_MS, (late) => late.sleep(NEVER_MS)),
        ({ signal }) =>
          new Promise((_, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason))
          ),
      ];
      for (const wait of waits) {
        const fiber = fibers.spawn((fiber) =>
          wait(fiber).catch((error) => {
            caught.push(error);
            throw error;
          })
        );
        fiber.cancel(reason);
        fiber.cancel(new Error("too late"));
        assert(fiber.isCancelled);
        assertStrictEquals(
          await assertRejects(() => within(fiber.finished, "the end")),
          reason,
        );
      }
      assertEquals(caught, waits.map(() => reason));
      assertEquals(reactor.reported, []);
      assertEquals(reactor.size, 0);
    }),
);

cleanTest(
  "a fiber obeys the signal that it was spawned with",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const controller = new AbortController();
      const { signal } = controller;
      const fiber = fibers.spawn((fiber) => fiber.sleep(NEVER_MS), { signal });
      controller.abort();
      await assertRejects(() => fiber.finished, DOMException);
      assertEquals(reactor.reported, []);
      const late = fibers.spawn((fiber) => fiber.sleep(NEVER_MS), { signal });
      await assertRejects(() => late.finished, DOMException);
    }),
);

cleanTest(
  "a cancelled fiber can wait for nothing any more",
  () =>
    onReactor(async ({ fibers }) => {
      const fiber = fibers.spawn(async (fiber) => {
        fiber.cancel(new RangeError("over"));
        await assertRejects(() => fiber.sleep(0), RangeError);
        await assertRejects(() => fiber.connect(LOOPBACK), RangeError);
        assertThrows(() => fiber.listen(LOOPBACK), RangeError);
      });
      await assertRejects(() => fiber.finished, RangeError);
    }),
);

cleanTest(
  "an error after a cancel is reported, when it is not the reason of the cancel",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const fiber = fibers.spawn(async (fiber) => {
        await fiber.sleep(NEVER_MS).catch(() => {});
        throw new Error("while tidying up");
      }, { name: "tidy" });
      fiber.cancel();
      await eventually("the report", () => reactor.reported.length > 0);
      assertEquals(
        reactor.reported[0]!.message,
        'Fiber "tidy" failed: while tidying up',
      );
    }),
);

cleanTest(
  "sleep() is never early, and ends when its signal aborts",
  () =>
    onReactor(async ({ fibers }) => {
      const startMs = performance.now();
      await fibers.sleep(5);
      assertGreaterOrEqual(performance.now() - startMs, 5);
      const controller = new AbortController();
      const { signal } = controller;
      const sleeping = fibers.sleep(NEVER_MS, { signal });
      controller.abort(new RangeError("up"));
      await assertRejects(() => sleeping, RangeError, "up");
      await assertRejects(() => fibers.sleep(0, { signal }), RangeError);
    }),
);

cleanTest(
  "withTimeout() resolves as the body does, when that is in time",
  () =>
    onReactor(async ({ fibers }) => {
      const value = await fibers.spawn((fiber) =>
        fiber.withTimeout(NEVER_MS, async (inner) => {
          await inner.sleep(0);
          return 7;
        })
      ).finished;
      assertEquals(value, 7);
      const failing = fibers.spawn((fiber) =>
        fiber.withTimeout(NEVER_MS, Promise.reject(new RangeError("no")))
      );
      await assertRejects(() => failing.finished, RangeError);
    }),
);

cleanTest(
  "withTimeout() throws TimedOut and cancels, when time is over",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      let reason: unknown;
      const fiber = fibers.spawn(async (fiber) => {
        const listener = fiber.listen(LOOPBACK);
        await assertRejects(
          () =>
            fiber.withTimeout(1, async (inner) => {
              inner.signal.onabort = () => reason = inner.signal.reason;
              await listener.accept({ signal: inner.signal });
            }),
          Deno.errors.TimedOut,
          "Waited 1 ms",
        );
        assertEquals(fiber.isCancelled, false);
        // The listener still works, and no earlier accept waits for it.
        using _client = await fiber.connect(listener.addr);
        (await listener.accept()).close();
      });
      await within(fiber.finished, "the fiber");
      assert(reason instanceof Deno.errors.TimedOut);
      assertEquals(reactor.reported, []);
    }),
);

cleanTest(
  "fibers that wait for Deno's loop go on, while others are busy",
  () =>
    onReactor(async ({ fibers }) => {
      let isOver = false;
      await using server = fibers.serve(LOOPBACK, async (conn) => {
        for await (const chunk of conn) await conn.write(chunk);
      });
      const busy = fibers.spawn(async (fiber) => {
        const conn = await fiber.connect(server.addr);
        const target = new Uint8Array(64);
        while (!isOver) {
          await conn.write(target);
          await conn.readExactly(target);
        }
      });
      const waiting = fibers.spawn(async () => {
        for (let round = 0; round < 20; round++) {
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      });
      await within(waiting.finished, "twenty timers of Deno's");
      isOver = true;
      await busy.finished;
    }),
);

cleanTest(
  "a fiber that sleeps is cancelled, when the reactor closes, and sleeps no more",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const reasons: unknown[] = [];
      const fiber = fibers.spawn(async (fiber) => {
        for (let times = 0; times < 2; times++) {
          await fiber.sleep(NEVER_MS).catch((reason) => reasons.push(reason));
        }
        await fiber.sleep(NEVER_MS);
      });
      const alone = fibers.sleep(NEVER_MS);
      reactor.close();
      for (const ended of [fiber.finished, alone]) {
        const message = "the reactor is closed";
        await assertRejects(
          () => within(ended, "its end"),
          Deno.errors.BadResource,
          message,
        );
      }
      assertEquals(reasons.length, 2);
      assertEquals(reactor.reported, []);
    }),
);

Deno.test("fiber.withTimeout() ends a fiber that waits for a promise which never settles", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const fibers = new Fibers(reactor);
  // Without it the loop would end with the timer.
  fibers.listen(MEMORY_ADDRESS);
  const outcome = fibers.spawn(async (fiber) => {
    const never = new Promise<never>(() => {});
    return await fiber.withTimeout(50, never).catch((error) => error.name);
  }).finished;
  await system.pass(60);
  assertEquals(await outcome, "TimedOut");
});

Deno.test("fiber.withTimeout() resolves with bytes that were read in the turn in which the time is over", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const fibers = new Fibers(reactor);
  const listener = fibers.listen(MEMORY_ADDRESS);
  const stream = system.arrive();
  await system.settle();
  const conn = await listener.accept();
  const read =
    fibers.spawn((fiber) =>
      fiber.withTimeout(20, ({ signal }) => conn.readChunk({ signal }))
    ).finished;
  await system.settle();
  // Bytes come, and the time passes, before the reactor polls again.
  system.spend(30);
  stream.receive("hello");
  await system.settle();
  assertEquals(new TextDecoder().decode((await read)!), "hello");
});
